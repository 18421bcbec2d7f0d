//! A stream of 50 deltas in Amazon's frames: whole frames a chunk, and cut in the middle of frames.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tollway_core::eventstream::Frames;

const DELTAS: usize = 50;

fn frame() -> Vec<u8> {
    let mut headers = Vec::new();
    for (name, value) in [
        (":event-type", "contentBlockDelta"),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ] {
        headers.push(u8::try_from(name.len()).unwrap());
        headers.extend(name.as_bytes());
        headers.push(7);
        headers.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        headers.extend(value.as_bytes());
    }
    let payload = br#"{"contentBlockIndex":0,"delta":{"text":" word"},"p":"abcdefghijklmnopqrstuvwxyz"}"#;
    let mut frame = u32::try_from(16 + headers.len() + payload.len())
        .unwrap()
        .to_be_bytes()
        .to_vec();
    frame.extend(u32::try_from(headers.len()).unwrap().to_be_bytes());
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame.extend(headers);
    frame.extend(payload);
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame
}

fn feed(bench: &mut Criterion) {
    let frame = frame();
    let stream = frame.repeat(DELTAS);
    let mut group = bench.benchmark_group("eventstream/feed");
    group.throughput(Throughput::Elements(DELTAS as u64));
    for (name, size) in [("whole", frame.len()), ("cut", 97), ("merged", stream.len())] {
        group.bench_with_input(BenchmarkId::new(name, DELTAS), &size, |run, &size| {
            run.iter(|| {
                let (mut frames, mut bytes) = (Frames::new(4 << 20), 0);
                for chunk in stream.chunks(size) {
                    frames.feed(chunk, |frame| bytes += frame.payload.len()).unwrap();
                }
                frames.finish().unwrap();
                black_box(bytes)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, feed);
criterion_main!(benches);
