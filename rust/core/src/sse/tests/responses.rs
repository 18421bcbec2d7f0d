//! Streams of `OpenAI`'s Responses.

use super::{assert_any_cut, named_stream, run, speaking};
use crate::sse::{Dialect, Manner, Relay};
use crate::tokens::Encoding;

const CREATED: &str = r#"{"type":"response.created","sequence_number":0,"response":{"id":"r","status":"in_progress","model":"m","usage":null,"error":null}}"#;
const ITEM: &str = r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"message","content":[]}}"#;
const HELLO: &str = r#"{"type":"response.output_text.delta","output_index":0,"delta":"hello \"usage\":{} 😀"}"#;
const CALL: &str = r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","name":"f","arguments":""}}"#;
const ARGUMENTS: &str = r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{\"a\":1}"}"#;
const COMPLETED: &str = r#"{"type":"response.completed","response":{"id":"r","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"hello"}]}],"usage":{"input_tokens":20,"input_tokens_details":{"cached_tokens":8,"cache_write_tokens":2},"output_tokens":7,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":27}}}"#;
const INCOMPLETE: &str = r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"usage":null}}"#;
const ERROR: &str = r#"{"type":"error","code":"server_error","message":"x","param":null}"#;
const FAILED: &str =
    r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error","message":"x"}}}"#;
const DONE: &str = "data: [DONE]\n\n";

fn end(payload: &str) -> String {
    named_stream(&[payload])
}

#[test]
fn a_response_passes_named_and_its_end_is_held_back() {
    let all = [CREATED, ITEM, HELLO, CALL, ARGUMENTS, COMPLETED];
    for tail in ["", DONE] {
        let relay = assert_any_cut(Dialect::Responses, &all, tail);
        assert_eq!(String::from_utf8_lossy(relay.last()), end(COMPLETED) + tail);
        assert!(relay.done() && relay.complete() && relay.has_content() && !relay.failed());
        assert_eq!(relay.finish_reasons().collect::<Vec<_>>(), ["completed"]);
        let said = ["hello \"usage\":{} 😀", "f{\"a\":1}"];
        let tokens: usize = said.iter().map(|text| Encoding::O200k.count(text)).sum();
        assert_eq!(relay.count_completion(Encoding::O200k), tokens);
        let usage = relay.usage();
        assert_eq!(
            (usage.prompt, usage.billed_completion(), usage.total),
            (Some(20), Some(7), Some(27))
        );
        assert_eq!(
            (usage.cached, usage.cache_write, usage.reasoning),
            (Some(8), Some(2), Some(3))
        );
    }
    assert_eq!(
        run(&mut speaking(Dialect::Responses), &[named_stream(&all).as_bytes()]),
        named_stream(&all[..5])
    );
}

#[test]
fn reasoning_is_inside_whatever_the_total_says() {
    let odd = COMPLETED.replace("\"total_tokens\":27", "\"total_tokens\":30");
    let mut relay = speaking(Dialect::Responses);
    run(&mut relay, &[end(&odd).as_bytes()]);
    assert_eq!(relay.usage().billed_completion(), Some(7));
}

#[test]
fn an_incomplete_response_is_a_complete_stream() {
    let relay = assert_any_cut(Dialect::Responses, &[CREATED, ITEM, HELLO, INCOMPLETE], "");
    assert!(relay.complete());
    assert_eq!(relay.finish_reasons().collect::<Vec<_>>(), ["max_output_tokens"]);
    assert_eq!(relay.usage().prompt, None);
}

#[test]
fn a_failed_response_is_an_error_and_still_an_end() {
    let relay = assert_any_cut(Dialect::Responses, &[CREATED, FAILED], "");
    assert!(relay.failed() && relay.done() && !relay.complete());
    assert_eq!(
        (relay.error(), relay.last()),
        (Some(FAILED.as_bytes()), end(FAILED).as_bytes())
    );
    let relay = assert_any_cut(Dialect::Responses, &[CREATED, ERROR, HELLO, FAILED], DONE);
    assert!(relay.failed() && relay.done() && !relay.complete());
    assert_eq!((relay.error(), relay.events()), (Some(ERROR.as_bytes()), 2));
    assert_eq!(String::from_utf8_lossy(relay.last()), end(FAILED) + DONE);
}

#[test]
fn an_error_may_be_all_there_is() {
    let relay = assert_any_cut(Dialect::Responses, &[ERROR, HELLO], "");
    assert!(relay.failed() && !relay.done() && relay.last().is_empty());
    let manner = Manner {
        dialect: Dialect::Responses,
        hold_error: true,
        ..Manner::default()
    };
    let mut holding = Relay::new(manner, 1 << 20, 1 << 22);
    assert_eq!(run(&mut holding, &[end(ERROR).as_bytes()]), "");
    assert_eq!(holding.error(), Some(ERROR.as_bytes()));
}

#[test]
fn a_response_without_its_end_was_cut() {
    let mut relay = speaking(Dialect::Responses);
    run(
        &mut relay,
        &[named_stream(&[CREATED, ITEM, HELLO]).as_bytes(), DONE.as_bytes()],
    );
    assert!(!relay.complete() && !relay.done() && relay.last().is_empty());
}

#[test]
fn a_response_that_comes_only_whole_is_counted_from_its_end() {
    let mut relay = speaking(Dialect::Responses);
    run(&mut relay, &[named_stream(&[CREATED, ITEM]).as_bytes()]);
    assert!(!relay.has_content());
    run(&mut relay, &[end(COMPLETED).as_bytes()]);
    assert!(relay.has_content());
    assert_eq!(relay.count_completion(Encoding::O200k), Encoding::O200k.count("hello"));
}

#[test]
fn sound_is_content_and_no_text() {
    let sound = r#"{"type":"response.audio.delta","output_index":0,"delta":"AAAA"}"#;
    let mut relay = speaking(Dialect::Responses);
    run(&mut relay, &[end(sound).as_bytes()]);
    assert!(relay.has_content());
    assert_eq!(relay.count_completion(Encoding::O200k), 0);
}

#[test]
fn streams_of_images_and_audio_are_relayed_alike() {
    let partial = r#"{"type":"image_generation.partial_image","b64_json":"AAAA","partial_image_index":0}"#;
    let image = r#"{"type":"image_generation.completed","b64_json":"AAAA","usage":{"input_tokens":5,"output_tokens":8,"total_tokens":13}}"#;
    let relay = assert_any_cut(Dialect::Responses, &[partial, image, image], "");
    assert_eq!(String::from_utf8_lossy(relay.last()), named_stream(&[image, image]));
    assert!(relay.complete() && relay.has_content());
    assert_eq!(
        (relay.usage().prompt, relay.usage().billed_completion()),
        (Some(5), Some(8))
    );

    let delta = r#"{"type":"transcript.text.delta","delta":"hello"}"#;
    let done = r#"{"type":"transcript.text.done","text":"hello","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"audio_tokens":14},"output_tokens":1}}"#;
    let relay = assert_any_cut(Dialect::Responses, &[delta, done], DONE);
    assert_eq!(String::from_utf8_lossy(relay.last()), end(done) + DONE);
    assert_eq!((relay.usage().audio_prompt, relay.usage().prompt), (Some(14), Some(14)));
    assert_eq!(relay.count_completion(Encoding::O200k), 1);
    let mut whole = speaking(Dialect::Responses);
    run(&mut whole, &[end(done).as_bytes()]);
    assert_eq!(whole.count_completion(Encoding::O200k), 1);
}
