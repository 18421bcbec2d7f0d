//! Streams of upstreams that are careless, or mean no good.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::answer::answer;
use super::events::Screen;
use super::trial::Bench;
use crate::sse::{Dialect, Manner, Relay};

fn relay(dialect: Dialect) -> Relay {
    let manner = Manner {
        dialect,
        ..Manner::default()
    };
    Relay::new(manner, 1 << 20, 1 << 22).screened(Screen::new(dialect, Bench::rewriting().shared()))
}

fn relayed(dialect: Dialect, payloads: &[String]) -> String {
    let mut relay = relay(dialect);
    let mut out = Vec::new();
    for payload in payloads {
        out.extend_from_slice(&relay.feed(format!("data: {payload}\n\n").as_bytes()).unwrap());
    }
    out.extend(relay.finish());
    String::from_utf8(out).unwrap()
}

fn told(events: &[Value]) -> Vec<String> {
    events.iter().map(Value::to_string).collect()
}

fn delta(more: &Value, text: &str) -> Value {
    let mut event = json!({"type": "response.output_text.delta", "output_index": 0, "delta": text});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

#[test]
fn what_stands_beside_a_text_is_not_told_again_with_what_has_waited() {
    let chunk = json!({"id": "c", "note": "x@y", "choices": [{"index": 0, "delta": {"content": "hello"}}]});
    let out = relayed(Dialect::Chat, &told(&[chunk]));
    assert!(out.contains("hello") && !out.contains("x@y"), "{out}");
    let event = delta(&json!({"note": "x@y", "notes": ["x@y"]}), "hello");
    let out = relayed(Dialect::Responses, &told(&[event]));
    assert!(out.contains("hello") && !out.contains("x@y"), "{out}");
}

#[test]
fn a_text_is_one_whatever_id_its_item_has_and_however_the_event_is_written() {
    let marks = [
        (
            json!({"item_id": "a", "content_index": 0}),
            json!({"item_id": "b", "content_index": 0}),
        ),
        (
            json!({"content_index": 0, "summary_index": 0}),
            json!({"summary_index": 0, "content_index": 0}),
        ),
    ];
    for (first, second) in marks {
        let out = relayed(
            Dialect::Responses,
            &told(&[delta(&first, "is x@"), delta(&second, "y z")]),
        );
        assert!(out.contains("[Mail 3]"), "{out}");
    }
    let spelt = |text: &str| {
        delta(&json!({}), text)
            .to_string()
            .replace("text.delta", "text.d\\u0065lta")
    };
    let out = relayed(Dialect::Responses, &[spelt("is x@"), spelt("y z")]);
    assert!(out.contains("[Mail 3]"), "{out}");
}

#[test]
fn arguments_are_json_in_every_dialect() {
    let event = json!({"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "\"x\\u0040y\""});
    let out = relayed(Dialect::Responses, &told(&[event]));
    assert!(out.contains("[Mail 3]"), "{out}");
}

#[test]
fn numbers_that_json_has_not_break_no_text_up() {
    let chunk =
        |text: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"p":-Infinity,"q":NaN}}]}}"#);
    let out = relayed(Dialect::Chat, &[chunk("NaN x@"), chunk("y z")]);
    assert!(
        out.contains("NaN") && out.contains("[Mail 3]") && !out.contains("Infinity"),
        "{out}"
    );
    let body = r#"{"p":NaN,"choices":[{"message":{"content":"x\u0040y"}}]}"#;
    let screened = answer(&mut Bench::rewriting(), body.as_bytes()).unwrap().body.unwrap();
    assert_eq!(
        String::from_utf8(screened).unwrap(),
        r#"{"p":null,"choices":[{"message":{"content":"[Mail 3]"}}]}"#
    );
}

#[test]
fn a_reason_that_is_none_ends_no_text() {
    let chunk = |text: &str| json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "null"}]});
    let out = relayed(Dialect::Chat, &told(&[chunk("x@"), chunk("y z")]));
    assert!(out.contains("[Mail 3]"), "{out}");
}

#[test]
fn comments_and_numbers_that_are_texts_are_screened() {
    for end in ["\n\n", "\r\n\r\n"] {
        let mut relay = relay(Dialect::Chat);
        let out = relay.feed(format!(": for x@y{end}").as_bytes()).unwrap().into_owned();
        assert_eq!(String::from_utf8(out).unwrap(), ": for [Mail 3]\n\n");
    }
    let out = relayed(
        Dialect::Responses,
        &told(&[json!({"type": "response.created", "sequence_number": "x@y"})]),
    );
    assert!(out.contains("[Mail 3]"), "{out}");
}

#[test]
fn a_stream_of_which_too_much_waits_is_halted() {
    let choices: Vec<Value> = (0..100)
        .map(|index| json!({"index": index, "delta": {"content": "word"}, "pad": "- ".repeat(1 << 12)}))
        .collect();
    let mut relay = relay(Dialect::Chat);
    let event = format!("data: {}\n\n", json!({ "choices": choices }));
    assert_eq!(relay.feed(event.as_bytes()).unwrap().len(), 0);
    assert!(relay.screen().unwrap().is_halted());
}
