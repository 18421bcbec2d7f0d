#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::any_text::AnyText;
use super::spelt::Sink;
use super::text::{Halt, TextStream};
use super::trial::{Bench, Looks, ORIGINAL, PLACEHOLDER, Trial, cut};
use super::{Action, Judge};
use crate::chat::json;
use crate::detector::proof;

struct Written<'t> {
    text: &'t str,
    at: usize,
    out: String,
}

impl Sink for Written<'_> {
    fn keep(&mut self, bytes: usize) {
        self.out.push_str(&self.text[self.at..self.at + bytes]);
        self.at += bytes;
    }

    fn put(&mut self, bytes: usize, text: &str) {
        self.out.push_str(text);
        self.at += bytes;
    }
}

type Feed<'f> = dyn FnMut(&mut dyn Judge, &str, bool, &mut dyn Sink) -> Result<(), Halt> + 'f;

/// What becomes of the pieces of `text`: after each, and in all.
fn run(bench: &mut Bench, text: &str, pieces: &[&str], feed: &mut Feed<'_>) -> Result<Vec<String>, Halt> {
    let mut written = Written {
        text,
        at: 0,
        out: String::new(),
    };
    let mut steps = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        feed(bench, piece, at + 1 == pieces.len(), &mut written)?;
        steps.push(written.out.clone());
    }
    assert_eq!(written.at, text.len(), "nothing waits after the last");
    Ok(steps)
}

fn plain(bench: &mut Bench, text: &str, pieces: &[&str]) -> Result<Vec<String>, Halt> {
    let mut stream = TextStream::default();
    run(bench, text, pieces, &mut |judge, piece, is_last, sink| {
        stream.feed(judge, piece, is_last, sink)
    })
}

fn json_text(bench: &mut Bench, text: &str, pieces: &[&str]) -> Result<Vec<String>, Halt> {
    let mut stream = AnyText::json();
    run(bench, text, pieces, &mut |judge, piece, is_last, sink| {
        stream.feed(judge, piece, is_last, sink)
    })
}

fn last(steps: Vec<String>) -> String {
    steps.into_iter().next_back().unwrap()
}

fn redacted(text: &str) -> String {
    last(plain(&mut Bench::rewriting(), text, &[text]).unwrap())
}

fn redacted_json(text: &str) -> String {
    last(json_text(&mut Bench::rewriting(), text, &[text]).unwrap())
}

fn near_matches() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("4111111111111111".to_owned()),
        Just(PLACEHOLDER.to_owned()),
        Just("[EMAIL".to_owned()),
        Just("pin 1234".to_owned()),
        "[0-9]{1,18}",
        "[a-z]{0,3}@[a-z]{0,3}",
        "[xyz@]{1,6}",
        "[ \\[\\]A-Z_é😀\n]{1,4}",
        "[a-z ]{1,12}",
    ];
    prop::collection::vec(word, 0..14).prop_map(|words| words.concat())
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        near_matches().prop_map(serde_json::Value::String),
        any::<u32>().prop_map(serde_json::Value::from),
        Just(serde_json::Value::from(4_111_111_111_111_111_u64)),
        Just(serde_json::Value::from(1234)),
        Just(serde_json::Value::Null),
        Just(serde_json::Value::Bool(true)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::Array),
            prop::collection::vec(("(pin|key|a@b)[a-z]{0,3}", inner.clone()), 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            inner.prop_map(|value| serde_json::Value::String(value.to_string())),
        ]
    })
}

/// Whether a card stands in any string of the value, or in its numbers. Not what other detectors find: `a@axx@` is no mail
/// until the `xx@` in it is replaced.
fn holds_findings(value: &serde_json::Value) -> bool {
    let found = |text: &str| {
        let text = text.replace(ORIGINAL, "|");
        !proof::whole(&Trial(Looks::Card), &text).is_empty()
    };
    match value {
        serde_json::Value::String(text) => match serde_json::from_str(text) {
            Ok(inner @ (serde_json::Value::Object(_) | serde_json::Value::Array(_))) => holds_findings(&inner),
            _ => found(text),
        },
        serde_json::Value::Number(number) => found(&number.to_string()),
        serde_json::Value::Array(values) => values.iter().any(holds_findings),
        serde_json::Value::Object(members) => members.iter().any(|(key, value)| found(key) || holds_findings(value)),
        _ => false,
    }
}

#[test]
fn findings_are_replaced_and_placeholders_restored() {
    assert_eq!(
        redacted(&format!("a 4111111111111111, pin: 1234, x@y; {PLACEHOLDER}!")),
        format!("a [Card 16], [Pin 4]; [Mail 3]; {ORIGINAL}!").replace("[Pin 4];", "pin: [Pin 4],")
    );
    assert_eq!(redacted("[EMAIL_OTHER] [EMAIL"), "[EMAIL_OTHER] [EMAIL");
}

#[test]
fn what_reaches_beyond_a_placeholder_takes_all_of_it() {
    let mut bench = Bench::of(&[(Looks::Stop, Action::Redact)]);
    bench.originals.insert("[STOP]".to_owned(), "original".to_owned());
    assert_eq!(
        last(plain(&mut bench, "a [STOP] b STOP", &["a [STOP] b STOP"]).unwrap()),
        "a original b [Stop 4]"
    );
}

#[test]
fn plain_prose_waits_for_no_more_than_its_last_word() {
    let text = "The quick brown fox jumps over it.";
    let letters: Vec<&str> = (0..text.len()).map(|at| &text[at..=at]).collect();
    let steps = plain(&mut Bench::rewriting(), text, &letters).unwrap();
    for (at, step) in steps.iter().enumerate() {
        let begun = text[..=at]
            .rfind(|letter: char| !letter.is_ascii_lowercase())
            .map_or(0, |space| space + 1);
        assert!(step.len() >= begun, "{step:?} after {:?}", &text[..=at]);
    }
}

#[test]
fn a_long_match_costs_time_by_its_length() {
    let text = format!("{}@b", "a".repeat(300_000));
    let letters: Vec<&str> = (0..text.len()).map(|at| &text[at..=at]).collect();
    assert_eq!(
        last(plain(&mut Bench::rewriting(), &text, &letters).unwrap()),
        "[Mail 300002]"
    );
}

#[test]
fn nothing_follows_a_block() {
    let mut bench = Bench::of(&[(Looks::Stop, Action::Block)]);
    assert_eq!(plain(&mut bench, "a STOP", &["a ", "STOP"]), Err(Halt));
}

#[test]
fn arguments_stay_json() {
    assert_eq!(
        redacted_json(r#"{"card": 4111111111111111, "pin": 1234, "x": [1234, true], "to": "a@b\n\u00e9"}"#),
        r#"{"card": "[Card 16]", "pin": "[Pin 4]", "x": ["[Pin 4]", true], "to": "[Mail 3]\n\u00e9"}"#
    );
    assert_eq!(
        redacted_json(r#"{"a@b":{"k":"{\"c\":4111111111111111}"}}"#),
        r#"{"[Mail 3]":{"k":"{\"c\":\"[Card 16]\"}"}}"#
    );
    assert_eq!(redacted_json("4111111111111111"), r#""[Card 16]""#);
    assert_eq!(
        redacted_json(r#"{"to": "[EMAIL_BCDFGHJK]"}"#),
        format!(r#"{{"to": "{}"}}"#, json::escape(ORIGINAL))
    );
}

#[test]
fn what_is_no_json_leaks_nothing() {
    assert_eq!(
        redacted_json("card 4111111111111111 of a@b"),
        "card [Card 16] of [Mail 3]"
    );
    assert_eq!(redacted_json(r#"{"a": 1 4111111111111111"#), r#"{"a": 1 [Card 16]"#);
    assert_eq!(redacted_json(r#"{"a": "4111111111111111"#), r#"{"a": "[Card 16]"#);
    assert_eq!(redacted_json(r#"{"a": 4111111111111111"#), r#"{"a": "[Card 16]""#);
    assert_eq!(redacted_json("[EMAIL_BCDFGHJK]"), ORIGINAL);
    assert_eq!(redacted_json(r#"{"a": "\é a@b \"#), r#"{"a": "\é [Mail 3] \"#);
}

proptest! {
    #[test]
    fn a_trial_keeps_the_promise_of_detectors(text in near_matches(), cuts in prop::collection::vec(any::<usize>(), 0..6)) {
        for looks in [Looks::Card, Looks::Mail, Looks::Pin, Looks::Cross] {
            proof::same_in_pieces(&Trial(looks), &text, &cuts);
        }
    }

    #[test]
    fn a_text_in_pieces_is_the_whole_text(text in near_matches(), cuts in prop::collection::vec(any::<usize>(), 0..8)) {
        let expected = redacted(&text);
        prop_assert_eq!(last(plain(&mut Bench::rewriting(), &text, &cut(&text, &cuts)).unwrap()), expected.clone());
        let letters: Vec<&str> = text.split_inclusive(|_: char| true).chain([""]).collect();
        prop_assert_eq!(last(plain(&mut Bench::rewriting(), &text, &letters).unwrap()), expected.clone());
        let left = expected.replace(ORIGINAL, "|"); // not "": what stood on both sides never was one text
        prop_assert!(proof::whole(&Trial(Looks::Card), &left).is_empty(), "{}", left);
    }

    #[test]
    fn json_in_pieces_is_the_whole_and_stays_json(value in any_json(), cuts in prop::collection::vec(any::<usize>(), 0..8)) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let expected = redacted_json(&text);
            let written: serde_json::Value = serde_json::from_str(&expected).unwrap();
            prop_assert!(!holds_findings(&written), "{expected}");
            prop_assert_eq!(last(json_text(&mut Bench::rewriting(), &text, &cut(&text, &cuts)).unwrap()), expected.clone());
            let letters: Vec<&str> = text.split_inclusive(|_: char| true).chain([""]).collect();
            prop_assert_eq!(last(json_text(&mut Bench::rewriting(), &text, &letters).unwrap()), expected);
        }
    }

    #[test]
    fn broken_json_in_pieces_is_the_whole(value in any_json(), at in any::<usize>(), noise in near_matches(), cuts in prop::collection::vec(any::<usize>(), 0..8)) {
        let text = value.to_string();
        let parts = cut(&text, &[at]);
        let text = format!("{}{noise}{}", parts[0], parts[1]);
        let expected = redacted_json(&text);
        prop_assert_eq!(last(json_text(&mut Bench::rewriting(), &text, &cut(&text, &cuts)).unwrap()), expected.clone());
        let letters: Vec<&str> = text.split_inclusive(|_: char| true).chain([""]).collect();
        prop_assert_eq!(last(json_text(&mut Bench::rewriting(), &text, &letters).unwrap()), expected);
    }
}
