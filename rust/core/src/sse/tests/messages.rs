//! Anthropic's streams.

use super::{assert_any_cut, named_stream, run, speaking};
use crate::sse::{Dialect, Manner, Relay};
use crate::tokens::Encoding;

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","model":"claude","content":[],"usage":{"input_tokens":10,"cache_creation_input_tokens":300,"cache_read_input_tokens":7000,"cache_creation":{"ephemeral_5m_input_tokens":100,"ephemeral_1h_input_tokens":200},"output_tokens":1}}}"#;
const TEXT: &str = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
const HELLO: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello 你好 😀 \"error\":{}"}     }"#;
const STOP: &str = r#"{"type":"content_block_stop","index":0}"#;
const TOOL: &str =
    r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#;
const ARGUMENTS: &str =
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":1}"}}"#;
const PING: &str = r#"{"type":"ping"}"#;
const DELTA: &str =
    r#"{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":9}}"#;
const END: &str = r#"{"type":"message_stop"}"#;
const ERROR: &str = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;

#[test]
fn a_message_passes_named_and_its_end_is_held_back() {
    let all = [START, TEXT, PING, HELLO, STOP, TOOL, ARGUMENTS, DELTA, END];
    let relay = assert_any_cut(Dialect::Messages, &all, "");
    assert_eq!(
        run(&mut speaking(Dialect::Messages), &[named_stream(&all).as_bytes()]),
        named_stream(&all[..8])
    );
    assert_eq!(relay.last(), named_stream(&[END]).as_bytes());
    assert!(relay.done() && relay.complete() && relay.has_content());
    assert_eq!(relay.finish_reasons().collect::<Vec<_>>(), ["tool_use"]);
    let said = ["hello 你好 😀 \"error\":{}", "f{\"a\":1}"];
    let tokens: usize = said.iter().map(|text| Encoding::O200k.count(text)).sum();
    assert_eq!(relay.count_completion(Encoding::O200k), tokens);
}

#[test]
fn usage_is_the_last_word_field_by_field() {
    let mut relay = speaking(Dialect::Messages);
    run(&mut relay, &[named_stream(&[START, DELTA]).as_bytes()]);
    let usage = relay.usage();
    assert_eq!(
        (usage.prompt, usage.billed_completion(), usage.total),
        (Some(7310), Some(9), Some(7319))
    );
    assert_eq!(
        (usage.cached, usage.cache_write, usage.cache_write_1h),
        (Some(7000), Some(300), Some(200))
    );
    let corrected = r#"{"type":"message_delta","delta":{},"usage":{"input_tokens":9447,"cache_read_input_tokens":null,"output_tokens":11,"output_tokens_details":{"thinking_tokens":4}}}"#;
    run(&mut relay, &[named_stream(&[corrected]).as_bytes()]);
    let usage = relay.usage();
    assert_eq!(
        (usage.prompt, usage.completion, usage.reasoning),
        (Some(16747), Some(11), Some(4))
    );
}

#[test]
fn a_message_without_its_stop_was_cut() {
    let mut relay = speaking(Dialect::Messages);
    run(&mut relay, &[named_stream(&[START, TEXT, HELLO, DELTA]).as_bytes()]);
    assert!(!relay.complete() && !relay.done() && relay.last().is_empty());
}

#[test]
fn an_error_ends_a_message_as_the_first_event_too() {
    for (before, passed) in [(vec![], 1), (vec![START, TEXT, HELLO], 4)] {
        let all: Vec<&str> = before.iter().copied().chain([ERROR, HELLO, END]).collect();
        let relay = assert_any_cut(Dialect::Messages, &all, "");
        assert!(relay.failed() && !relay.complete() && !relay.done() && relay.last().is_empty());
        assert_eq!((relay.error(), relay.events()), (Some(ERROR.as_bytes()), passed));
    }
    for bare in [r#"{"error":{"message":"x"}}"#, r#"{"message":"x"}"#] {
        let mut relay = speaking(Dialect::Messages);
        let event = format!("event: error\ndata: {bare}\n\n");
        assert_eq!(run(&mut relay, &[event.as_bytes()]), event);
        assert!(relay.failed());
    }
}

#[test]
fn a_held_error_is_told_and_not_sent() {
    let manner = Manner {
        dialect: Dialect::Messages,
        hold_error: true,
        ..Manner::default()
    };
    let mut relay = Relay::new(manner, 1 << 20, 1 << 22);
    let passed = run(&mut relay, &[named_stream(&[START, ERROR, END]).as_bytes()]);
    assert_eq!(
        (passed, relay.error()),
        (named_stream(&[START]), Some(ERROR.as_bytes()))
    );
}

#[test]
fn whole_events_pass_without_a_copy() {
    let (mut relay, chunk) = (speaking(Dialect::Messages), named_stream(&[START, PING, HELLO]));
    let passed = relay.feed(chunk.as_bytes()).unwrap();
    assert!(matches!(passed, std::borrow::Cow::Borrowed(same) if same == chunk.as_bytes()));
    assert_eq!(relay.events(), 3);
}

#[test]
fn a_name_is_the_payloads_own_and_never_more_than_a_word() {
    for (event, passed) in [
        (
            "event: other\ndata: {\"type\":\"ping\"}\n\n",
            "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        ),
        (
            "event: x\ndata: {\"type\":\"a\\nb\"}\n\n",
            "data: {\"type\":\"a\\nb\"}\n\n",
        ),
        ("event: x\ndata: {\"type\":7}\n\n", "data: {\"type\":7}\n\n"),
        ("data: {\"type\":\"\"}\n\n", "data: {\"type\":\"\"}\n\n"),
        ("data: {\"a\":\ndata: 1}\n\n", "data: {\"a\":\ndata: 1}\n\n"),
    ] {
        assert_eq!(run(&mut speaking(Dialect::Messages), &[event.as_bytes()]), passed);
    }
}

#[test]
fn an_empty_delta_is_not_the_first_token() {
    let empty = r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}"#;
    let mut relay = speaking(Dialect::Messages);
    run(&mut relay, &[named_stream(&[START, TEXT, PING, empty]).as_bytes()]);
    assert!(!relay.has_content());
    run(&mut relay, &[named_stream(&[TOOL]).as_bytes()]);
    assert!(relay.has_content());
}

#[test]
fn done_is_no_event_of_a_message() {
    let mut relay = speaking(Dialect::Messages);
    assert_eq!(run(&mut relay, &[b"data: [DONE]\n\n"]), "");
    assert!(!relay.done() && !relay.complete());
    run(&mut relay, &[named_stream(&[END]).as_bytes(), b"data: [DONE]\n\n"]);
    assert_eq!(relay.last(), named_stream(&[END]).as_bytes());
}
