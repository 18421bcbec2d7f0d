//! A stream of 50 deltas: whole events a chunk, and cut in the middle of events.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tollway_core::sse::{Payloads, Relay};

const DELTAS: usize = 50;

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
                let mut relay = Relay::new(true, 1 << 20, 4 << 20);
                for chunk in chunks {
                    black_box(relay.feed(chunk).unwrap());
                }
                assert!(relay.done());
            });
        });
    }
    group.finish();
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

criterion_group!(benches, feed, payloads);
criterion_main!(benches);
