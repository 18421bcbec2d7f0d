//! What a session makes of a request: who says what, what is put in a value's place, what somebody else has found.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{any_json, escaped_throughout, read, read_as};
use crate::chat::Operation;
use crate::detector::Finding;
use crate::guardrails::{Action, Direction, Hit, Judge as _, Policy, Session, Source};

fn guard(checks: &str) -> Session {
    let spec = format!(r#"{{"input":[{checks}]}}"#);
    Session::new(Policy::compile(spec.as_bytes(), b"secret").unwrap(), "tenant")
}

fn judged(body: &str, session: &mut Session) -> String {
    let request = read(body);
    let changed = request.judged(&mut session.judge(Direction::Input));
    changed.map_or_else(|| body.to_owned(), |body| String::from_utf8(body).unwrap())
}

fn asking(content: &Value) -> String {
    json!({"model": "m", "messages": [{"role": "user", "content": content}]}).to_string()
}

fn sources(operation: Operation, body: &Value) -> Vec<(&'static str, String)> {
    let body = body.to_string();
    let told = read_as(operation, &body).unwrap().told_texts();
    told.into_iter().map(|(source, text)| (source.name(), text)).collect()
}

/// Each text names who says it.
fn assert_named(operation: Operation, body: &Value) {
    let told = sources(operation, body);
    assert!(!told.is_empty());
    for (source, text) in told {
        assert!(text.contains(source), "{text} is said by {source}");
    }
}

#[test]
fn a_chat_tells_who_says_what() {
    assert_named(
        Operation::Chat,
        &json!({"model": "m", "messages": [
            {"role": "system", "content": "system"},
            {"role": "developer", "content": [{"type": "text", "text": "system"}], "name": "system"},
            {"content": [{"type": "text", "text": "user"}, {"type": "invented", "x": ["tool"]}, {"type": "text", "text": "user"},
                {"type": "file", "file": {"file_data": "dGhpcyBpcyBzYWlkIGJ5IGEgdG9vbA=="}}], "role": "user"},
            {"role": "assistant", "content": "assistant", "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "assistant", "arguments": "{\"assistant\": 1}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "tool"},
            {"role": "critic", "content": "other"},
        ], "prediction": {"content": "assistant"}, "documents": [{"text": "tool"}]}),
    );
}

#[test]
fn a_role_that_comes_twice_is_nobodys() {
    let body = r#"{"model":"m","messages":[{"role":"system","content":"x","r\u006fle":"user"}]}"#;
    assert_eq!(read(body).told_texts(), [(Source::Other, "x".to_owned())]);
    let part =
        r#"{"model":"m","messages":[{"role":"assistant","content":[{"type":"text","text":"x","type":"file"}]}]}"#;
    assert_eq!(read(part).told_texts(), [(Source::Tool, "x".to_owned())]);
}

#[test]
fn messages_tell_who_says_what() {
    assert_named(
        Operation::Messages,
        &json!({"model": "m", "max_tokens": 1, "system": [{"type": "text", "text": "system"}], "messages": [
            {"role": "user", "content": "user"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "assistant", "signature": "s"},
                {"type": "tool_use", "id": "1", "name": "assistant", "input": {"x": "assistant"}},
                {"type": "web_search_tool_result", "tool_use_id": "2", "content": [{"type": "web_search_result", "title": "tool"}]}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "tool"}]},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "tool"}, "title": "tool"},
                {"type": "text", "text": "user"}]},
        ]}),
    );
}

#[test]
fn responses_tell_who_says_what() {
    assert_named(
        Operation::Responses,
        &json!({"model": "m", "instructions": "system", "prompt": {"id": "p", "variables": {"x": "user"}}, "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "user"}]},
            {"role": "system", "content": "system"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "assistant"}]},
            {"type": "function_call", "call_id": "1", "name": "assistant", "arguments": "{\"assistant\":1}"},
            {"type": "function_call_output", "call_id": "1", "output": "tool"},
            {"type": "mcp_call", "id": "2", "name": "tool", "output": "tool"},
        ]}),
    );
    assert_named(Operation::Responses, &json!({"model": "m", "input": "user"}));
}

#[test]
fn a_text_alone_is_the_users_and_what_is_ranked_a_documents() {
    assert_named(
        Operation::Completions,
        &json!({"model": "m", "prompt": ["user"], "suffix": "user"}),
    );
    assert_named(Operation::Embeddings, &json!({"model": "m", "input": "user"}));
    assert_named(
        Operation::Rerank,
        &json!({"model": "m", "query": "user", "documents": ["tool", {"text": "tool"}]}),
    );
}

#[test]
fn a_placeholder_is_the_same_wherever_the_value_stands() {
    let body = asking(&json!([
        {"type": "text", "text": "write to jane@example.org"},
        {"type": "text", "text": json!({"to": "jane@example.org", "from": "joan@example.org"}).to_string()},
    ]));
    let mut session = guard(r#"{"check":"pii","actions":{"email":"redact"},"restore":true}"#);
    let body = judged(&body, &mut session);
    let names: Vec<&str> = body
        .match_indices("[EMAIL_")
        .map(|(at, _)| &body[at..at + "[EMAIL_QWRTPSDF]".len()])
        .collect();
    assert_eq!(names.len(), 3);
    assert_eq!(names[0], names[2]);
    assert_ne!(names[0], names[1]);
    assert_eq!(
        session.judge(Direction::Input).original(names[1]),
        Some("joan@example.org")
    );
}

#[test]
fn masks_and_hashes_stand_in_texts_and_in_json() {
    let mut masks = guard(r#"{"check":"pii","actions":{"credit_card":"mask","email":"hash"}}"#);
    let arguments = json!({"card": 4_111_111_111_111_111_u64}).to_string();
    assert_eq!(
        judged(&asking(&json!(arguments)), &mut masks),
        asking(&json!(json!({"card": "************1111"}).to_string()))
    );
    assert_eq!(
        judged(&asking(&json!("4111-1111-1111-1111\n")), &mut masks),
        asking(&json!("****-****-****-1111\n"))
    );
    let hashed = judged(&asking(&json!("to jane@example.org")), &mut masks);
    assert!(hashed.contains("to [EMAIL:"), "{hashed}");
}

#[test]
fn a_signed_thought_gets_back_the_placeholder_that_was_signed() {
    let body = json!({"model": "m", "messages": [{"role": "assistant", "content": "",
        "thinking_blocks": [{"type": "thinking", "thinking": "mail jane@example.org", "signature": "s"}]}]})
    .to_string();
    let mut restoring = guard(r#"{"check":"pii","actions":{"email":"redact"},"restore":true}"#);
    assert!(judged(&body, &mut restoring).contains("mail [EMAIL_"));
    let mut plain = guard(r#"{"check":"pii","actions":{"email":"redact"}}"#);
    assert_eq!(judged(&body, &mut plain), body);
    let actions: Vec<_> = plain.found().map(|found| found.action).collect();
    assert_eq!(actions, [Action::Flag], "it is told, though it can't be changed");
}

#[test]
fn what_somebody_else_has_found_is_replaced_in_its_text() {
    let arguments = json!({"who": "Jane\nDoe", "age": 41}).to_string();
    let body = asking(&json!([{"type": "text", "text": "I am Jane"}, {"type": "text", "text": arguments}]));
    let request = read(&body);
    let told = request.told_texts();
    let found = |text: usize, word: &str, detector| {
        let start = told[text].1.find(word).unwrap();
        let finding = Finding {
            label: 0,
            confidence: 100,
            start,
            end: start + word.len(),
        };
        Hit { detector, finding }
    };
    let hits = BTreeMap::from([
        (0, vec![found(0, "Jane", 0)]),
        (1, vec![found(1, "Jane\\nDoe", 0), found(1, "41", 0)]),
    ]);
    let mut session = guard(r#"{"check":"pii","actions":{"email":"redact"}}"#);
    // The judge of a finding is whoever is asked: here one that takes every finding for an e-mail address.
    let changed = request
        .judged_elsewhere(&mut session.judge(Direction::Input), hits)
        .unwrap();
    let expected = json!({"who": "[EMAIL]", "age": "[EMAIL]"}).to_string();
    assert_eq!(
        String::from_utf8(changed).unwrap(),
        asking(&json!([{"type": "text", "text": "I am [EMAIL]"}, {"type": "text", "text": expected}]))
    );
}

proptest! {
    #[test]
    fn whatever_stands_there_instead_json_stays_json(message in any_json(), escape in any::<bool>(), action in "redact|mask|hash") {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": message}]}).to_string();
        if escape {
            body = escaped_throughout(&body);
        }
        let mut session = guard(&format!(
            r#"{{"check":"pii","actions":{{"email":"{action}","credit_card":"{action}"}},"restore":true}}"#
        ));
        let after = judged(&body, &mut session);
        let parses = |text: &str| serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object() || value.is_array());
        for (before, after) in read(&body).texts().zip(read(&after).texts()) {
            prop_assert!(!parses(&before) || parses(&after), "{before} became {after}");
            prop_assert!(!after.contains("bob@example.org"), "{before} became {after}");
        }
        let again = judged(&after, &mut session);
        if action == "mask" {
            prop_assert_eq!(&again, &after, "nothing is found twice");
        }
        for placeholder in placeholders(&after) {
            let count = |text: &str| text.matches(placeholder).count();
            prop_assert!(count(&again) >= count(&after), "{after} became {again}");
        }
    }
}

/// What stands in the place of an address or a card.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('[').filter_map(|(at, _)| {
        let placeholder = &text[at..=at + text[at..].find(']')?];
        (placeholder.starts_with("[EMAIL") || placeholder.starts_with("[CREDIT_CARD")).then_some(placeholder)
    })
}

/// Looked at once more, a placeholder is no finding, but it says what the number beside it is, as any word does.
#[test]
fn a_placeholder_stays_and_may_claim_what_stands_beside_it() {
    let body =
        r#"{"model":"m","messages":[{"role":"user","content":"{\"a\":4111111111111111,\"b\":6414007865997558941}"}]}"#;
    let mut session = guard(r#"{"check":"pii","actions":{"credit_card":"redact"},"restore":true}"#);
    let after = judged(body, &mut session);
    let card = placeholders(&after).next().unwrap();
    assert!(after.contains("6414007865997558941"), "{after}");
    let again = judged(&after, &mut session);
    assert!(
        again.contains(card) && !again.contains("6414007865997558941"),
        "{again}"
    );
    assert_eq!(placeholders(&again).count(), 2);
}
