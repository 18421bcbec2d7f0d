//! Streams as only a broken or hostile upstream sends them.

use proptest::prelude::*;

use super::{named_stream, stream};
use crate::chat::tests::broken::any_harm;
use crate::sse::{Dialect, Manner, Relay};
use crate::tokens::Encoding;

const CHAT: [&str; 5] = [
    super::HELLO,
    r#"{"choices":[{"index":1,"delta":{"reasoning":[{"text":"x"}],"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]},"text":"y"}],"x_groq":{"usage":{"total_tokens":3}}}"#,
    super::STOP,
    super::USAGE,
    super::ERROR,
];
const MESSAGES: [&str; 6] = [
    r#"{"type":"message_start","message":{"usage":{"input_tokens":1,"cache_creation":{"ephemeral_5m_input_tokens":2}}}}"#,
    r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","name":"f","input":{"a":1}}}"#,
    r#"{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"x"}}"#,
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#,
    r#"{"type":"message_stop"}"#,
    r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
];
const RESPONSES: [&str; 5] = [
    r#"{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","name":"f","content":[{"text":"x"}],"summary":[]}}"#,
    r#"{"type":"response.output_text.delta","output_index":0,"delta":"x"}"#,
    r#"{"type":"response.completed","response":{"status":"incomplete","incomplete_details":{"reason":"r"},"output":[{"content":[{"text":"x"}]}],"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}}"#,
    r#"{"type":"response.failed","response":{"status":"failed","error":{"message":"x"}}}"#,
    r#"{"type":"error","message":"x"}"#,
];

fn any_broken_stream() -> impl Strategy<Value = (Dialect, Vec<u8>)> {
    let dialects = prop::sample::select(Dialect::ALL.to_vec());
    let events = prop::collection::vec((any::<prop::sample::Index>(), any_harm(), 0..4_u8), 1..7);
    (dialects, events, any_harm(), any::<bool>()).prop_map(|(dialect, events, harm, whole)| {
        let payloads: &[&str] = match dialect {
            Dialect::Chat => &CHAT,
            Dialect::Messages => &MESSAGES,
            Dialect::Responses => &RESPONSES,
        };
        let mut bytes = Vec::new();
        for (at, harm, form) in events {
            let payload = *at.get(payloads);
            match form {
                0 => bytes.extend(named_stream(&[payload]).into_bytes()),
                1 => bytes.extend(stream(&[payload]).into_bytes()),
                2 => {
                    bytes.extend_from_slice(b"event: error\ndata: ");
                    bytes.extend(harm.done_to(payload.as_bytes()));
                    bytes.extend_from_slice(b"\r\n\r\n");
                }
                _ => {
                    bytes.extend_from_slice(b"data: ");
                    bytes.extend(harm.done_to(payload.as_bytes()));
                    bytes.extend_from_slice(b"\n\ndata: [DONE]\n\n");
                }
            }
        }
        (dialect, if whole { bytes } else { harm.done_to(&bytes) })
    })
}

fn run(manner: Manner, chunks: impl Iterator<Item = Vec<u8>>) -> (Relay, Vec<u8>) {
    let (mut relay, mut out) = (Relay::new(manner, 16, 400), Vec::new());
    for chunk in chunks {
        match relay.feed(&chunk) {
            Ok(passed) => out.extend_from_slice(&passed),
            Err(_) => break,
        }
    }
    out.extend(relay.finish());
    (relay, out)
}

proptest! {
    #[test]
    fn a_broken_stream_is_relayed_alike_however_it_is_cut(
        (dialect, bytes) in any_broken_stream(),
        hold_error in any::<bool>(),
        size in 1..64_usize,
    ) {
        let manner = Manner { dialect, hide_usage: true, hold_error };
        let (whole, passed) = run(manner, std::iter::once(bytes.clone()));
        let (cut, again) = run(manner, bytes.chunks(size).map(<[u8]>::to_vec));
        prop_assert!(!(whole.failed() && whole.complete()));
        prop_assert!(!whole.complete() || !whole.last().is_empty());
        let _ = (whole.usage().billed_completion(), whole.count_completion(Encoding::O200k));
        // Within one chunk an event beyond the bound is an error before what came in front of it has left.
        let too_large = whole.failed() && whole.error().is_none();
        if !too_large {
            prop_assert_eq!(passed, again);
            prop_assert_eq!(whole.usage(), cut.usage());
            prop_assert_eq!(whole.last(), cut.last());
            prop_assert_eq!(whole.error(), cut.error());
            prop_assert_eq!(whole.count_completion(Encoding::O200k), cut.count_completion(Encoding::O200k));
        }
    }

    #[test]
    fn payloads_are_those_that_would_pass((dialect, bytes) in any_broken_stream(), size in 1..64_usize) {
        let manner = Manner { dialect, hide_usage: false, hold_error: true };
        let (mut fed, mut passed) = (Relay::new(manner, 16, 1 << 20), 0_u64);
        for chunk in bytes.chunks(size) {
            fed.feed_payloads(chunk, |payload| passed += u64::from(!payload.is_empty())).unwrap();
        }
        fed.finish_payloads(|_| passed += 1);
        prop_assert_eq!(fed.events(), passed);
        let mut framed = Relay::new(manner, 16, 1 << 20);
        let _ = framed.feed(&bytes).unwrap();
        let _ = framed.finish();
        prop_assert_eq!((framed.events(), framed.usage(), framed.last()), (fed.events(), fed.usage(), fed.last()));
    }
}
