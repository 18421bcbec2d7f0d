//! A stream of 50 deltas in each dialect: whole events a chunk, and cut in the middle of events.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tollway_core::sse::{Dialect, Manner, Payloads, Relay};

const DELTAS: usize = 50;

const HIDING: Manner = Manner {
    dialect: Dialect::Chat,
    hide_usage: true,
    hold_error: false,
};

fn stream() -> Vec<Vec<u8>> {
    let delta = |delta: &str, finish: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-mini\",\
             \"system_fingerprint\":null,\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}],\"usage\":null}}\n\n"
        )
        .into_bytes()
    };
    let mut events: Vec<_> = (0..DELTAS).map(|_| delta(r#"{"content":" word"}"#, "null")).collect();
    events.push(delta("{}", "\"stop\""));
    events.push(b"data: [DONE]\n\n".to_vec());
    events
}

fn feed(bench: &mut Criterion) {
    let events = stream();
    let cut: Vec<Vec<u8>> = events.concat().chunks(97).map(<[u8]>::to_vec).collect();
    let mut group = bench.benchmark_group("sse/feed");
    group.throughput(Throughput::Elements(DELTAS as u64));
    for (name, chunks) in [("whole", &events), ("cut", &cut)] {
        group.bench_with_input(BenchmarkId::new(name, DELTAS), chunks, |run, chunks| {
            run.iter(|| {
                let mut relay = Relay::new(HIDING, 1 << 20, 4 << 20);
                for chunk in chunks {
                    black_box(relay.feed(chunk).unwrap());
                }
                assert!(relay.done());
            });
        });
    }
    group.finish();
}

/// The same deltas in the dialects that name their events.
fn named_stream(dialect: Dialect) -> Vec<Vec<u8>> {
    let event =
        |name: &str, rest: &str| format!("event: {name}\ndata: {{\"type\":\"{name}\",{rest}}}\n\n").into_bytes();
    let (delta, rest, end, last) = match dialect {
        Dialect::Chat => return stream(),
        Dialect::Messages => (
            "content_block_delta",
            r#""index":0,"delta":{"type":"text_delta","text":" word"}   "#,
            "message_stop",
            r#""index":0"#,
        ),
        Dialect::Responses => (
            "response.output_text.delta",
            r#""sequence_number":7,"item_id":"msg_1","output_index":0,"content_index":0,"delta":" word","logprobs":[]"#,
            "response.completed",
            r#""response":{"status":"completed","usage":{"input_tokens":7,"output_tokens":50,"total_tokens":57}}"#,
        ),
    };
    let mut events: Vec<_> = (0..DELTAS).map(|_| event(delta, rest)).collect();
    events.push(event(end, last));
    events
}

fn feed_named(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("sse/named");
    group.throughput(Throughput::Elements(DELTAS as u64));
    for dialect in [Dialect::Messages, Dialect::Responses] {
        let events = named_stream(dialect);
        let cut: Vec<Vec<u8>> = events.concat().chunks(97).map(<[u8]>::to_vec).collect();
        let manner = Manner {
            dialect,
            ..Manner::default()
        };
        for (name, chunks) in [("whole", &events), ("cut", &cut)] {
            group.bench_with_input(BenchmarkId::new(dialect.name(), name), chunks, |run, chunks| {
                run.iter(|| {
                    let mut relay = Relay::new(manner, 1 << 20, 4 << 20);
                    for chunk in chunks {
                        black_box(relay.feed(chunk).unwrap());
                    }
                    assert!(relay.done());
                });
            });
        }
    }
    group.finish();
}

/// What a translating caller takes instead.
fn feed_payloads(bench: &mut Criterion) {
    let events = stream();
    bench.bench_function("sse/feed_payloads", |run| {
        run.iter(|| {
            let (mut relay, mut bytes) = (Relay::new(HIDING, 1 << 20, 4 << 20), 0);
            for chunk in &events {
                relay.feed_payloads(chunk, |payload| bytes += payload.len()).unwrap();
            }
            black_box(bytes)
        });
    });
}

fn payloads(bench: &mut Criterion) {
    let cut: Vec<Vec<u8>> = stream().concat().chunks(97).map(<[u8]>::to_vec).collect();
    bench.bench_function("sse/payloads", |run| {
        run.iter(|| {
            let (mut reader, mut bytes) = (Payloads::new(4 << 20), 0);
            for chunk in &cut {
                reader.feed(chunk, |payload| bytes += payload.len()).unwrap();
            }
            black_box(bytes)
        });
    });
}

criterion_group!(benches, feed, feed_named, feed_payloads, payloads);
criterion_main!(benches);
