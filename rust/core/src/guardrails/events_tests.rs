#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::answer::answer;
use super::trial::{Bench, Looks, PLACEHOLDER, Shared, cut};
use super::{Action, Screen};
use crate::sse::{Dialect, Manner, Relay};

/// A text that is said, and a call's arguments.
#[derive(Clone, Debug)]
struct Said {
    text: String,
    arguments: String,
}

fn relay(dialect: Dialect, bench: Bench) -> Relay {
    let manner = Manner {
        dialect,
        ..Manner::default()
    };
    Relay::new(manner, 1 << 20, 1 << 22).screened(Screen::new(dialect, bench.shared()))
}

/// The events of a stream that says it in such pieces.
fn events(dialect: Dialect, said: &Said, cuts: &[usize]) -> Vec<Value> {
    let (texts, arguments) = (cut(&said.text, cuts), cut(&said.arguments, cuts));
    match dialect {
        Dialect::Chat => chat_events(&texts, &arguments),
        Dialect::Messages => message_events(&texts, &arguments),
        Dialect::Responses => response_events(said, &texts, &arguments),
    }
}

fn chat_events(texts: &[&str], arguments: &[&str]) -> Vec<Value> {
    let chunk = |delta: Value, reason: Value| {
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}]})
    };
    let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    events.push(chunk(
        json!({"tool_calls": [{"index": 0, "id": "t", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
        Value::Null,
    ));
    for (text, argument) in texts.iter().zip(arguments) {
        events.push(chunk(json!({"content": text}), Value::Null));
        events.push(chunk(
            json!({"tool_calls": [{"index": 0, "function": {"arguments": argument}}]}),
            Value::Null,
        ));
    }
    events.push(chunk(json!({}), json!("tool_calls")));
    events
}

fn message_events(texts: &[&str], arguments: &[&str]) -> Vec<Value> {
    let mut events = vec![
        json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": [], "usage": {"input_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}),
    ];
    for (text, argument) in texts.iter().zip(arguments) {
        events.push(json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}));
        events.push(json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": argument}}));
    }
    events.push(json!({"type": "content_block_stop", "index": 0}));
    events.push(json!({"type": "content_block_stop", "index": 1}));
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}}));
    events.push(json!({"type": "message_stop"}));
    events
}

fn response_events(said: &Said, texts: &[&str], arguments: &[&str]) -> Vec<Value> {
    let mut events =
        vec![json!({"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}})];
    for (text, argument) in texts.iter().zip(arguments) {
        events.push(json!({"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": text, "logprobs": []}));
        events.push(json!({"type": "response.function_call_arguments.delta", "item_id": "j", "output_index": 1, "delta": argument}));
    }
    let item = json!({"id": "i", "type": "message", "content": [{"type": "output_text", "text": said.text}]});
    let call = json!({"id": "j", "type": "function_call", "name": "f", "arguments": said.arguments});
    events.push(json!({"type": "response.output_text.done", "item_id": "i", "output_index": 0, "content_index": 0, "text": said.text}));
    events.push(json!({"type": "response.function_call_arguments.done", "item_id": "j", "output_index": 1, "arguments": said.arguments}));
    events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": item}));
    events.push(json!({"type": "response.output_item.done", "output_index": 1, "item": call}));
    events.push(
        json!({"type": "response.completed", "response": {"id": "r", "status": "completed", "output": [item, call]}}),
    );
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    events
}

/// The stream's bytes.
fn framed(events: &[Value]) -> String {
    let frame = |event: &Value| match event["type"].as_str() {
        Some(name) => format!("event: {name}\ndata: {event}\n\n"),
        None => format!("data: {event}\n\n"),
    };
    events.iter().map(frame).collect()
}

/// The payloads that a client gets of the bytes, and of the last event.
fn received(relay: &mut Relay, chunks: &[&[u8]]) -> Vec<Value> {
    let mut out = Vec::new();
    for chunk in chunks {
        out.extend_from_slice(&relay.feed(chunk).unwrap());
    }
    out.extend(relay.finish());
    if !relay.screen().unwrap().is_halted() {
        out.extend_from_slice(relay.last());
    }
    payloads(&String::from_utf8(out).unwrap())
}

fn payloads(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// What a client puts together.
fn joined(dialect: Dialect, events: &[Value]) -> (String, String) {
    let (mut text, mut arguments) = (String::new(), String::new());
    for event in events {
        let (said, argument) = match dialect {
            Dialect::Chat => {
                let delta = &event["choices"][0]["delta"];
                (&delta["content"], &delta["tool_calls"][0]["function"]["arguments"])
            }
            Dialect::Messages => (&event["delta"]["text"], &event["delta"]["partial_json"]),
            Dialect::Responses => match event["type"].as_str().unwrap() {
                "response.output_text.delta" => (&event["delta"], &Value::Null),
                "response.function_call_arguments.delta" => (&Value::Null, &event["delta"]),
                _ => (&Value::Null, &Value::Null),
            },
        };
        text += said.as_str().unwrap_or_default();
        arguments += argument.as_str().unwrap_or_default();
    }
    (text, arguments)
}

/// The same in a whole answer.
fn whole(said: &Said) -> (String, String) {
    let body = json!({"choices": [{"message": {"content": said.text, "tool_calls": [{"function": {"name": "f", "arguments": said.arguments}}]}}]});
    let body = body.to_string();
    let screened = answer(&mut Bench::rewriting(), body.as_bytes()).unwrap();
    let body = screened.body.unwrap_or_else(|| body.into_bytes());
    let message: Value = serde_json::from_slice(&body).unwrap();
    let message = &message["choices"][0]["message"];
    let arguments = &message["tool_calls"][0]["function"]["arguments"];
    (
        message["content"].as_str().unwrap().to_owned(),
        arguments.as_str().unwrap().to_owned(),
    )
}

fn any_said() -> impl Strategy<Value = Said> {
    let word = prop_oneof![
        Just("4111111111111111".to_owned()),
        Just(PLACEHOLDER.to_owned()),
        Just("\\ \"é😀\u{1}".to_owned()),
        "[a-z]{0,3}@[a-z]{0,3}",
        "[a-z ]{1,12}",
        "[0-9]{14,18}",
    ];
    let text = prop::collection::vec(word, 0..8)
        .prop_map(|words| words.concat())
        .boxed();
    (text.clone(), text, any::<bool>()).prop_map(|(text, value, is_number)| {
        let number = if is_number {
            json!(4_111_111_111_111_111_u64)
        } else {
            json!(7)
        };
        Said {
            text,
            arguments: json!({"pin": 1234, "to": value, "n": number, "inner": json!({"to": value}).to_string()})
                .to_string(),
        }
    })
}

#[test]
fn an_event_of_which_all_waits_leaves_with_an_empty_text() {
    let mut relay = relay(Dialect::Chat, Bench::rewriting());
    let event = r#"{"choices":[{"index":0,"delta":{"content":"4111"}}]}"#;
    let out = relay
        .feed(format!("data: {event}\n\n").as_bytes())
        .unwrap()
        .into_owned();
    assert_eq!(out, format!("data: {}\n\n", event.replace("4111", "")).into_bytes());
    assert!(relay.has_content(), "what the provider said is what counts");
}

#[test]
fn what_waits_to_the_end_has_an_event_of_its_own() {
    let said = Said {
        text: "see 4111111111111111".to_owned(),
        arguments: r#"{"to":"x@y"#.to_owned(),
    };
    let all = framed(&events(Dialect::Chat, &said, &[5, 9]));
    let out = received(&mut relay(Dialect::Chat, Bench::rewriting()), &[all.as_bytes()]);
    let ends: Vec<String> = out
        .iter()
        .rev()
        .take(3)
        .map(|event| event["choices"][0].to_string())
        .collect();
    assert_eq!(
        ends[0],
        r#"{"delta":{},"finish_reason":"tool_calls","index":0,"logprobs":null}"#
    );
    assert_eq!(
        ends[1],
        r#"{"delta":{"tool_calls":[{"function":{"arguments":"[Mail 3]"},"index":0}]},"finish_reason":null,"index":0}"#
    );
    assert_eq!(
        ends[2],
        r#"{"delta":{"content":"[Card 16]"},"finish_reason":null,"index":0}"#
    );
    assert!(out.iter().all(|event| event["id"] == "c" && event["model"] == "m"));
}

#[test]
fn what_waits_leaves_before_an_error_and_before_done() {
    for end in ["data: {\"error\":{\"message\":\"of a@b\"}}\n\n", "data: [DONE]\n\n"] {
        let stream = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"hi a@b\"}}}}]}}\n\n{end}");
        let out = received(&mut relay(Dialect::Chat, Bench::rewriting()), &[stream.as_bytes()]);
        let texts: Vec<&Value> = out
            .iter()
            .map(|event| &event["choices"][0]["delta"]["content"])
            .collect();
        assert_eq!(texts[..2], [&json!("hi "), &json!("[Mail 3]")]);
        assert!(
            out.get(2)
                .is_none_or(|error| error["error"]["message"] == "of [Mail 3]")
        );
    }
}

#[test]
fn events_of_one_shape_are_read_though_their_text_is_odd() {
    let mut relay = relay(Dialect::Chat, Bench::rewriting());
    let chunk = |text: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let all = [
        "a",
        "@",
        "b\\n",
        "é \\u0061@",
        "b\"},\"x\":{\"y\":\"a@b",
        "\\\"",
        " a@b",
        ".",
    ]
    .map(chunk)
    .concat();
    let out = received(&mut relay, &[all.as_bytes()]);
    let said: String = out
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(said, "[Mail 3]\né [Mail 3]\" [Mail 3].");
    assert_eq!(out[4]["choices"][0]["x"]["y"], "[Mail 3]");
}

#[test]
fn choices_do_not_wait_for_each_other() {
    let chunk = |index: usize, text: &str, reason: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{reason}}}]}}\n\n"
        )
    };
    let all = [
        chunk(0, "4111", "null"),
        chunk(1, "11111111", "null"),
        chunk(0, "111111111111", "\"stop\""),
        chunk(1, "x", "\"stop\""),
    ];
    let out = received(
        &mut relay(Dialect::Chat, Bench::rewriting()),
        &[all.concat().as_bytes()],
    );
    let said = |index: usize| -> String {
        let choices = out
            .iter()
            .map(|event| &event["choices"][0])
            .filter(|choice| choice["index"] == index);
        choices
            .filter_map(|choice| choice["delta"]["content"].as_str())
            .collect()
    };
    assert_eq!((said(0), said(1)), ("[Card 16]".to_owned(), "11111111x".to_owned()));
}

#[test]
fn tokens_one_by_one_are_dropped() {
    let event = r#"{"choices":[{"delta":{"content":"hi "},"logprobs":{"content":[{"token":"4111","bytes":[52]}]}}]}"#;
    let mut relay = relay(Dialect::Chat, Bench::rewriting());
    let out = received(&mut relay, &[format!("data: {event}\n\n").as_bytes()]);
    assert_eq!(out[0]["choices"][0]["logprobs"], Value::Null);
    assert!(relay.screen().unwrap().drops_tokens());
}

#[test]
fn nothing_follows_a_block_and_a_panic_is_one() {
    for (looks, word) in [(Looks::Stop, "STOP"), (Looks::Panic, "PANIC")] {
        for dialect in Dialect::ALL {
            let said = Said {
                text: format!("so {word} secret"),
                arguments: "{}".to_owned(),
            };
            let bench = Bench::of(&[(looks, Action::Block)]);
            let mut relay = relay(dialect, bench);
            let all = framed(&events(dialect, &said, &[4, 9]));
            let out = received(&mut relay, &[all.as_bytes()]);
            assert!(relay.screen().unwrap().is_halted());
            assert!(
                !format!("{out:?}").contains("secret") && !format!("{out:?}").contains(word),
                "{out:?}"
            );
            assert_eq!(relay.feed(all.as_bytes()).unwrap().len(), 0);
        }
    }
}

#[test]
fn where_nothing_may_be_changed_nothing_is() {
    for dialect in Dialect::ALL {
        let said = Said {
            text: "of a@b".to_owned(),
            arguments: r#"{"n":4111111111111111}"#.to_owned(),
        };
        let bench = Arc::new(Mutex::new(Bench::of(&[
            (Looks::Mail, Action::Flag),
            (Looks::Card, Action::Flag),
        ])));
        let screen = Screen::new(dialect, Box::new(Shared(Arc::clone(&bench))));
        let mut relay = Relay::new(
            Manner {
                dialect,
                ..Manner::default()
            },
            1 << 20,
            1 << 22,
        )
        .screened(screen);
        let events = events(dialect, &said, &[4]);
        assert_eq!(received(&mut relay, &[framed(&events).as_bytes()]), events);
        assert_eq!(
            bench.lock().unwrap().counted,
            2,
            "what is said again is not counted again"
        );
    }
}

#[test]
fn a_dialect_with_one_text_behind_the_other_gets_them_so() {
    let said = Said {
        text: "look for fox".to_owned(),
        arguments: "{}".to_owned(),
    };
    let mut relay = relay(Dialect::Chat, Bench::rewriting());
    let mut said_first = String::new();
    let stream = framed(&[
        json!({"choices": [{"index": 0, "delta": {"content": said.text}}]}),
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": ""}}]}}]}),
    ]);
    let mut has_called = false;
    relay
        .feed_payloads(stream.as_bytes(), |payload| {
            let event: Value = serde_json::from_slice(payload).unwrap();
            let delta = &event["choices"][0]["delta"];
            has_called |= delta["tool_calls"].is_array();
            if !has_called {
                said_first += delta["content"].as_str().unwrap_or_default();
            }
        })
        .unwrap();
    assert_eq!((said_first.as_str(), has_called), ("look for fox", true));
}

proptest! {
    #[test]
    fn a_stream_says_what_a_whole_answer_says(
        said in any_said(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        size in 1..200_usize,
    ) {
        let expected = whole(&said);
        serde_json::from_str::<Value>(&expected.1).unwrap();
        for dialect in Dialect::ALL {
            let all = framed(&events(dialect, &said, &cuts));
            let chunks: Vec<&[u8]> = all.as_bytes().chunks(size).collect();
            let out = received(&mut relay(dialect, Bench::rewriting()), &chunks);
            prop_assert_eq!(joined(dialect, &out), expected.clone(), "{:?}", dialect);
            if dialect == Dialect::Responses {
                let numbers: Vec<u64> = out.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
                prop_assert_eq!(numbers, (0..out.len() as u64).collect::<Vec<_>>());
                let output = &out.last().unwrap()["response"]["output"];
                prop_assert_eq!(&output[0]["content"][0]["text"], &json!(expected.0));
                prop_assert_eq!(&output[1]["arguments"], &json!(expected.1));
            }
        }
    }

    #[test]
    fn any_events_are_screened_without_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "(\\{|\\[|\"|:|,|choices|delta|content|a@b|1){0,30}") {
        for dialect in Dialect::ALL {
            let mut screen = Screen::new(dialect, Bench::rewriting().shared());
            for event in [&bytes[..], text.as_bytes()] {
                prop_assert_eq!(screen.event(event, &mut |_| {}), Ok(()));
            }
            prop_assert_eq!(screen.finish(&mut |_| {}), Ok(()));
        }
    }
}
