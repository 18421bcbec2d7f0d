#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod broken;
mod calls;
mod messages;
mod responses;

use std::borrow::Cow;

use proptest::prelude::*;

use super::{Dialect, EventTooLarge, Manner, Relay};
use crate::tokens::Encoding;

const ROLE: &str =
    r#"{"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#;
const HELLO: &str =
    r#"{"id":"c","choices":[{"index":0,"delta":{"content":"hello 你好 😀 \"usage\":{}"},"finish_reason":null}]}"#;
const STOP: &str = r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#;
const USAGE: &str = r#"{"id":"c","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}"#;
const ZEROS: &str = r#"{"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}"#;
const ERROR: &str = r#"{"error":{"message":"overloaded"}}"#;
const DONE: &str = "[DONE]";

fn stream(payloads: &[&str]) -> String {
    payloads
        .iter()
        .fold(String::new(), |stream, payload| stream + "data: " + payload + "\n\n")
}

fn relay(hide_usage: bool) -> Relay {
    let manner = Manner {
        hide_usage,
        ..Manner::default()
    };
    Relay::new(manner, 1 << 20, 1 << 22)
}

fn speaking(dialect: Dialect) -> Relay {
    let manner = Manner {
        dialect,
        ..Manner::default()
    };
    Relay::new(manner, 1 << 20, 1 << 22)
}

/// The stream as the upstreams frame it that name their events.
fn named_stream(payloads: &[&str]) -> String {
    payloads.iter().fold(String::new(), |stream, payload| {
        let name = payload.split('"').nth(3).unwrap_or_default();
        format!("{stream}event: {name}\ndata: {payload}\n\n")
    })
}

/// Asserts that every way of cutting and framing the stream gives the same bytes and the same account.
fn assert_any_cut(dialect: Dialect, payloads: &[&str], tail: &str) -> Relay {
    let plain = named_stream(payloads) + tail;
    let mut whole = speaking(dialect);
    let expected = run(&mut whole, &[plain.as_bytes()]);
    let facts = |relay: &Relay| {
        let reasons: Vec<String> = relay.finish_reasons().map(str::to_owned).collect();
        let numbers = (relay.events(), *relay.usage(), relay.count_completion(Encoding::O200k));
        let flags = (relay.done(), relay.failed(), relay.complete(), relay.has_content());
        let ends = (relay.last().to_vec(), relay.error().map(<[u8]>::to_vec));
        (reasons, numbers, flags, ends)
    };
    let unnamed = stream(payloads) + tail;
    let noisy = plain.replace("event: ", ": ping\nid: 7\nevent: ");
    for spelt in [plain.replace('\n', "\r\n"), unnamed, plain] {
        let bytes = spelt.trim_end().as_bytes();
        for size in (1..=64).chain([bytes.len()]) {
            let mut cut = speaking(dialect);
            assert_eq!(
                run(&mut cut, &bytes.chunks(size).collect::<Vec<_>>()),
                expected,
                "cut {size}"
            );
            assert_eq!(facts(&cut), facts(&whole), "cut {size}");
        }
    }
    let mut pinged = speaking(dialect);
    assert_eq!(
        run(&mut pinged, &[noisy.as_bytes()]).replace(": ping\n\n", ""),
        expected
    );
    assert_eq!(facts(&pinged), facts(&whole));
    whole
}

fn run(relay: &mut Relay, chunks: &[&[u8]]) -> String {
    let mut out = Vec::new();
    for chunk in chunks {
        out.extend_from_slice(&relay.feed(chunk).unwrap());
    }
    out.extend(relay.finish());
    String::from_utf8(out).unwrap()
}

#[test]
fn whole_events_pass_without_a_copy() {
    let (mut relay, chunk) = (relay(true), stream(&[ROLE, HELLO]));
    assert!(matches!(relay.feed(chunk.as_bytes()).unwrap(), Cow::Borrowed(same) if same == chunk.as_bytes()));
    assert_eq!(
        (relay.events(), relay.has_content(), relay.complete()),
        (2, true, false)
    );
}

#[test]
fn the_end_is_held_back_and_unasked_usage_hidden() {
    let all = stream(&[ROLE, HELLO, STOP, USAGE, DONE]);
    let mut hiding = relay(true);
    assert_eq!(run(&mut hiding, &[all.as_bytes()]), stream(&[ROLE, HELLO, STOP]));
    assert!(hiding.done() && hiding.complete() && !hiding.failed());
    assert_eq!(
        (hiding.usage().prompt, hiding.usage().billed_completion()),
        (Some(7), Some(3))
    );
    assert_eq!(hiding.finish_reasons().collect::<Vec<_>>(), ["stop"]);
    assert_eq!(
        run(&mut relay(false), &[all.as_bytes()]),
        stream(&[ROLE, HELLO, STOP, USAGE])
    );
}

#[test]
fn nothing_follows_the_end() {
    let mut relay = relay(false);
    let late = stream(&[STOP, DONE, HELLO, DONE]);
    assert_eq!(run(&mut relay, &[late.as_bytes(), late.as_bytes()]), stream(&[STOP]));
}

#[test]
fn an_error_passes_once_and_closes_the_stream() {
    let all = stream(&[HELLO, ERROR, HELLO, ERROR, ZEROS, DONE]);
    let mut relay = relay(true);
    assert_eq!(
        run(&mut relay, &[stream(&[USAGE]).as_bytes(), all.as_bytes()]),
        stream(&[HELLO, ERROR])
    );
    assert!(relay.failed() && relay.done() && !relay.complete());
    assert_eq!(relay.error(), Some(ERROR.as_bytes()));
    assert_eq!(relay.usage().prompt, Some(7), "zeros behind an error tell nothing");
}

#[test]
fn an_event_named_error_is_one() {
    let mut relay = relay(true);
    let out = run(
        &mut relay,
        &[b"event: error\ndata: {\"message\":\"x\"}\n\ndata: {}\n\n"],
    );
    assert_eq!(out, "event: error\ndata: {\"message\":\"x\"}\n\n");
    assert!(relay.failed());
}

#[test]
fn a_text_about_errors_is_only_a_text() {
    let chunk = stream(&[
        r#"{"choices":[{"index":0,"delta":{"content":"\"error\":{}, \"finish_reason\":\"stop\", data: [DONE]"}}],"error":null}"#,
    ]);
    let mut relay = relay(true);
    assert_eq!(run(&mut relay, &[chunk.as_bytes()]), chunk);
    assert!(!relay.failed() && !relay.done() && !relay.complete());
    assert_eq!(relay.usage(), &crate::chat::Usage::default());
}

#[test]
fn a_held_error_is_told_and_not_sent() {
    let manner = Manner {
        hold_error: true,
        ..Manner::default()
    };
    let mut holding = Relay::new(manner, 1 << 20, 1 << 22);
    assert_eq!(
        run(&mut holding, &[stream(&[HELLO, ERROR, HELLO, DONE]).as_bytes()]),
        stream(&[HELLO])
    );
    assert_eq!((holding.events(), holding.error()), (1, Some(ERROR.as_bytes())));
}

#[test]
fn the_end_of_a_chat_is_always_the_same() {
    assert_eq!(relay(true).last(), b"data: [DONE]\n\n");
}

#[test]
fn payloads_are_those_that_pass() {
    let all = stream(&[ROLE, HELLO, STOP, USAGE, DONE]);
    for bytes in [all.clone(), all.replace('\n', "\r\n"), format!(": ping\n\n{all}")] {
        for size in [1, 7, bytes.len()] {
            let (mut relay, mut passed) = (relay(true), Vec::new());
            for chunk in bytes.as_bytes().chunks(size) {
                relay
                    .feed_payloads(chunk, |payload| passed.push(payload.to_vec()))
                    .unwrap();
            }
            relay.finish_payloads(|payload| passed.push(payload.to_vec()));
            assert_eq!(passed, [ROLE, HELLO, STOP].map(|payload| payload.as_bytes().to_vec()));
            assert_eq!((relay.usage().prompt, relay.events(), relay.done()), (Some(7), 3, true));
        }
    }
    let (mut relay, mut passed) = (relay(true), 0);
    relay.feed_payloads(b"data: {\"a\":1}", |_| passed += 1).unwrap();
    assert_eq!(passed, 0);
    relay.finish_payloads(|_| passed += 1);
    assert_eq!(passed, 1);
}

#[test]
fn other_fields_and_framings_end_here() {
    let odd = "\u{feff}: ping\r\n\r\nevent: message\rid: 7\rretry: 5\rdata:{\"a\":\rdata: 1}\r\r: late\n\ndata\n\ndata:\n\nnonsense\n\n";
    assert_eq!(
        run(&mut relay(true), &[odd.as_bytes()]),
        ": ping\n\ndata: {\"a\":\ndata: 1}\n\n: late\n\n"
    );
}

#[test]
fn comments_never_split_an_event() {
    let out = run(&mut relay(true), &[b"data: {\"a\":\n: ping\ndata: 1}\n\n"]);
    assert_eq!(out, "data: {\"a\":\ndata: 1}\n\n");
}

#[test]
fn a_last_event_without_its_blank_line_passes_if_it_is_whole() {
    for tail in ["data: {\"a\":1}", "data: {\"a\":1}\n", "data: {\"a\":1}\r"] {
        assert_eq!(
            run(&mut relay(true), &[tail.as_bytes()]),
            "data: {\"a\":1}\n\n",
            "{tail:?}"
        );
    }
    let mut ended = relay(true);
    assert_eq!(run(&mut ended, &[b"data: [DONE]"]), "");
    assert!(ended.done());
    assert_eq!(
        run(&mut relay(true), &[b"data: {\"choices\":[{\"del"]),
        "",
        "cut in the middle"
    );
}

#[test]
fn a_stream_without_done_is_complete_by_its_finish_reasons() {
    let two = r#"{"choices":[{"index":1,"delta":{"content":"x"}}]}"#;
    let mut relay = relay(true);
    run(&mut relay, &[stream(&[HELLO, STOP]).as_bytes()]);
    assert!(relay.complete());
    run(&mut relay, &[stream(&[two]).as_bytes()]);
    assert!(!relay.complete(), "the second choice was cut");
}

#[test]
fn azures_first_chunk_is_not_content() {
    let filters = r#"{"choices":[],"created":0,"id":"","model":"","prompt_filter_results":[]}"#;
    let mut relay = relay(true);
    assert_eq!(
        run(&mut relay, &[stream(&[filters, ROLE]).as_bytes()]),
        stream(&[filters, ROLE])
    );
    assert!(!relay.has_content());
    run(&mut relay, &[stream(&[HELLO]).as_bytes()]);
    assert!(relay.has_content());
}

#[test]
fn usage_is_the_last_word_on_each_number() {
    let mut relay = relay(true);
    let first = r#"{"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":7,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":2}}}"#;
    let last = r#"{"choices":[{"index":0,"delta":{}}],"x_groq":{"id":"r","usage":{"completion_tokens":9}}}"#;
    run(&mut relay, &[stream(&[first, last]).as_bytes()]);
    let usage = relay.usage();
    assert_eq!(
        (usage.prompt, usage.completion, usage.cached),
        (Some(7), Some(9), Some(2))
    );
}

#[test]
fn an_event_beyond_the_bound_breaks_the_stream() {
    for chunk in [
        "data: 0123456789\n\n",
        "data: 0123456789",
        "data: 01234\ndata: 56789\n\n",
        ": 01234567890123\n\n",
    ] {
        let mut relay = Relay::new(Manner::default(), 0, 12);
        assert_eq!(
            relay.feed(chunk.as_bytes()),
            Err(EventTooLarge { max_event_bytes: 12 }),
            "{chunk:?}"
        );
        assert!(relay.failed() && !relay.complete());
        assert_eq!(relay.feed(b"data: 1\n\n").unwrap(), Cow::Borrowed(b""));
    }
}

#[test]
fn what_was_said_is_counted_exactly_within_the_bound() {
    let delta = |content: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{content}"}}}}]}}"#);
    let (one, two) = (delta("hel"), delta("lo world"));
    let mut within = relay(true);
    run(&mut within, &[stream(&[&one, &two]).as_bytes()]);
    assert_eq!(within.count_completion(Encoding::O200k), 2);
    let mut beyond = Relay::new(Manner::default(), 3, 1 << 20);
    run(&mut beyond, &[stream(&[&one, &two]).as_bytes()]);
    assert_eq!(
        beyond.count_completion(Encoding::O200k),
        Encoding::O200k.count("hel") + 2
    );
}

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::sample::select(vec![ROLE, HELLO, STOP, USAGE, ZEROS, "{\"a\":", "x"]);
    let event =
        (payload, prop::sample::select(vec!["\n", "\r\n", "\r"]), 0..6).prop_map(
            |(payload, newline, form)| match form {
                0 => format!(": ping{newline}{newline}"),
                1 => format!("id: 1{newline}event: x{newline}data: {payload}{newline}{newline}"),
                2 => format!("data:{payload}{newline}: inside{newline}data: more{newline}{newline}{newline}"),
                _ => format!("data: {payload}{newline}{newline}"),
            },
        );
    let ending = prop::sample::select(vec![
        "",
        "data: [DONE]\n\n",
        "data: {\"error\":\"x\"}\n\ndata: {}\n\n",
        "data: {}",
        "data: {\"cut",
    ]);
    (any::<bool>(), prop::collection::vec(event, 0..8), ending).prop_map(|(mark, events, ending)| {
        let mark = if mark { "\u{feff}" } else { "" };
        format!("{mark}{}{ending}", events.concat()).into_bytes()
    })
}

proptest! {
    #[test]
    fn chunking_changes_nothing(bytes in any_stream(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let mut whole = relay(true);
        let expected = run(&mut whole, &[&bytes]);
        let mut single = relay(true);
        prop_assert_eq!(&run(&mut single, &bytes.chunks(1).collect::<Vec<_>>()), &expected);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        let mut random = relay(true);
        prop_assert_eq!(&run(&mut random, &pieces), &expected);
        let facts = |relay: &Relay| (relay.done(), relay.failed(), relay.complete(), relay.events(), *relay.usage());
        prop_assert_eq!(facts(&single), facts(&whole));
        prop_assert_eq!(facts(&random), facts(&whole));
    }

    #[test]
    fn any_bytes_are_relayed_without_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut relay = relay(true);
        let _ = relay.feed(&bytes);
        let _ = relay.finish();
        let _ = relay.count_completion(Encoding::O200k);
    }
}

#[test]
fn what_is_held_of_an_event_is_told_and_nothing_of_one_that_is_whole() {
    let event = stream(&[HELLO]);
    for end in [&event[..event.len() - 2], &event[..event.len() - 1]] {
        let mut relay = relay(false);
        assert_eq!(relay.held_bytes(), 0);
        assert!(relay.feed(&end.as_bytes()[..20]).unwrap().is_empty());
        assert_eq!(relay.held_bytes(), 20);
        assert!(relay.feed(&end.as_bytes()[20..]).unwrap().is_empty());
        assert!(relay.held_bytes() >= HELLO.len());
        assert!(!relay.feed(b"\n\n").unwrap().is_empty());
        assert_eq!(relay.held_bytes(), 0);
    }
}
