//! Whole answers of the dialects beside chat.

use crate::chat::{ChatAnswer, Operation};
use crate::tokens::Encoding;

fn read(operation: Operation, body: &str) -> ChatAnswer<&[u8]> {
    ChatAnswer::read_as(body.as_bytes(), operation).expect("an answer")
}

fn tokens(texts: &[&str]) -> usize {
    texts.iter().map(|text| Encoding::O200k.count(text)).sum()
}

#[test]
fn a_message_tells_its_figures() {
    let answer = read(
        Operation::Messages,
        r#" {"type":"message","model":"claude","stop_reason":"pause_turn","content":[
            {"type":"thinking","thinking":"why","signature":"s"},{"type":"text","text":"héllo","citations":[{"cited_text":"x"}]},
            {"type":"tool_use","id":"t","name":"f","input":{"a":1}},{"type":"web_search_tool_result","content":[{"title":"x"}]}],
            "usage":{"input_tokens":10,"cache_read_input_tokens":7351,"cache_creation_input_tokens":null,"output_tokens":9}}"#,
    );
    assert_eq!(
        (answer.model(), answer.choices(), answer.error()),
        (Some("claude"), 1, false)
    );
    assert_eq!(answer.finish_reasons(), ["pause_turn"]);
    let usage = answer.usage();
    assert_eq!(
        (usage.prompt, usage.completion, usage.cached),
        (Some(7361), Some(9), Some(7351))
    );
    assert_eq!(
        answer.count_completion(Encoding::O200k),
        tokens(&["why", "héllo", "f", r#"{"a":1}"#])
    );
}

#[test]
fn a_message_may_be_empty_or_an_error() {
    let answer = read(
        Operation::Messages,
        r#"{"type":"message","content":[],"stop_reason":"end_turn","usage":null}"#,
    );
    assert_eq!((answer.choices(), answer.usage().prompt), (1, None));
    assert_eq!(answer.count_completion(Encoding::O200k), 0);
    for error in [
        r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#,
        r#"{"error":"x"}"#,
    ] {
        assert!(read(Operation::Messages, error).error());
    }
}

#[test]
fn a_response_tells_its_figures() {
    let answer = read(
        Operation::Responses,
        r#"{"object":"response","model":"gpt","status":"incomplete","incomplete_details":{"reason":"content_filter"},"error":null,
            "output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"why"}]},
                {"type":"message","content":[{"type":"output_text","text":"hello"},{"type":"refusal","refusal":"no"}]},
                {"type":"function_call","name":"f","arguments":"{}","call_id":"c"},
                {"type":"reasoning","content":[{"type":"reasoning_text","text":"because"}],"summary":[{"type":"summary_text","text":"x"}]}],
            "usage":{"input_tokens":5,"output_tokens":7,"output_tokens_details":{"reasoning_tokens":6},"total_tokens":18}}"#,
    );
    assert_eq!(
        (answer.model(), answer.choices(), answer.error()),
        (Some("gpt"), 1, false)
    );
    assert_eq!(answer.finish_reasons(), ["content_filter"]);
    assert_eq!(answer.usage().billed_completion(), Some(7), "reasoning is inside");
    assert_eq!(
        answer.count_completion(Encoding::O200k),
        tokens(&["why", "hello", "no", "f", "{}", "because"])
    );
}

#[test]
fn a_response_may_be_under_way_or_have_failed() {
    let queued = read(Operation::Responses, r#"{"status":"queued","output":[],"usage":null}"#);
    assert_eq!((queued.finish_reasons().len(), queued.error()), (0, false));
    let reasonless = read(
        Operation::Responses,
        r#"{"status":"incomplete","incomplete_details":null}"#,
    );
    assert_eq!(reasonless.finish_reasons(), ["incomplete"]);
    for failed in [
        r#"{"status":"failed","error":{"code":"server_error"}}"#,
        r#"{"error":{"message":"x"}}"#,
        r#"{"code":"c","error":"text"}"#,
    ] {
        assert!(read(Operation::Responses, failed).error(), "{failed}");
    }
}

#[test]
fn the_other_answers_tell_their_figures() {
    for (operation, body, told) in [
        (
            Operation::Rerank,
            r#"{"results":[{}],"meta":{"billed_units":{"search_units":1}}}"#,
            (None, None),
        ),
        (
            Operation::Rerank,
            r#"{"results":[{}],"usage":{"total_tokens":9}}"#,
            (Some(9), Some(0)),
        ),
        (
            Operation::Images,
            r#"{"data":[{}],"usage":{"input_tokens":5,"output_tokens":8}}"#,
            (Some(5), Some(8)),
        ),
        (
            Operation::Transcriptions,
            r#"{"text":"x","usage":{"type":"tokens","input_tokens":5,"input_token_details":{"audio_tokens":4},"output_tokens":2}}"#,
            (Some(5), Some(2)),
        ),
        (
            Operation::Transcriptions,
            r#"{"text":"x","usage":{"type":"duration","seconds":5}}"#,
            (None, None),
        ),
    ] {
        let answer = read(operation, body);
        assert_eq!(
            (answer.usage().prompt, answer.usage().billed_completion()),
            told,
            "{body}"
        );
        assert_eq!(answer.choices(), 1);
    }
    let text = read(Operation::Translations, r#"{"text":"hello"}"#);
    assert_eq!(text.count_completion(Encoding::O200k), 1);
}
