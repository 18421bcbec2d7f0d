//! What routing asks of a request. Its twin in Python says what the numbers are; here is what must hold of any text.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::json;

use super::{read, read_as};
use crate::chat::{Need, Operation};

fn messages(texts: &[String]) -> String {
    let messages: Vec<_> = texts
        .iter()
        .map(|text| json!({"role": "user", "content": text}))
        .collect();
    json!({"model": "m", "messages": messages}).to_string()
}

/// The same JSON with every character of its strings escaped that may be.
fn escaped(body: &str) -> String {
    let mut out = String::new();
    for character in body.chars() {
        if character.is_ascii() {
            out.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}").unwrap();
            }
        }
    }
    out
}

#[test]
fn needs_are_told_in_a_fixed_order() {
    let body = json!({"model": "m", "tools": [{}], "response_format": {"type": "json_schema"}, "messages": [
        {"content": [{"file_data": "AAAA"}, {"input_audio": {}}, {"image_url": "x"}]}]});
    let needs: Vec<Need> = read(&body.to_string()).needs().collect();
    assert_eq!(
        needs,
        [
            Need::Vision,
            Need::Audio,
            Need::Documents,
            Need::Tools,
            Need::JsonSchema
        ]
    );
}

#[test]
fn tools_among_the_items_of_a_response_are_offered() {
    let body = json!({"model": "m", "input": [{"type": "mcp_list_tools", "tools": [{"name": "f"}]}]}).to_string();
    let request = read_as(Operation::Responses, &body).unwrap();
    assert_eq!(request.needs().collect::<Vec<_>>(), [Need::Tools]);
}

#[test]
fn a_text_that_ends_within_its_bound_is_told_from_one_that_goes_on() {
    let number = |len: usize| read(&messages(&["\u{1f600}".repeat(len)])).prefix();
    assert_ne!(number(1023), number(1024));
    assert_eq!(number(1024), number(1025));
}

proptest! {
    #[test]
    fn numbers_do_not_depend_on_the_spelling(texts in prop::collection::vec("\\PC{0,40}", 1..4), times in 1..400_usize) {
        let texts: Vec<String> = texts.iter().map(|text| text.repeat(times)).collect();
        let (plain, other) = (messages(&texts), escaped(&messages(&texts)));
        prop_assert_eq!(read(&plain).prefix(), read(&other).prefix());
        prop_assert_eq!(read(&plain).conversation(), read(&other).conversation());
    }

    #[test]
    fn later_turns_change_nothing(first in "\\PC{1,40}", later in prop::collection::vec("\\PC{0,40}", 0..4)) {
        let mut texts = vec![first.clone()];
        texts.extend(later);
        prop_assert_eq!(read(&messages(&[first])).conversation(), read(&messages(&texts)).conversation());
    }
}
