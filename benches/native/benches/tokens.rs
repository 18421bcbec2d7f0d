//! Counting tokens of prose, of code-like text, and of the run of one letter that makes naive counters quadratic.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tollway_core::tokens::Encoding;

fn count(bench: &mut Criterion) {
    let texts = [
        (
            "prose",
            "The quick brown fox jumps over the lazy dog; nobody knows why. ".repeat(64),
        ),
        (
            "json",
            r#"{"role": "user", "content": "Straße 12, 北京", "n": 17}, "#.repeat(64),
        ),
        ("one letter", "a".repeat(4_096)),
    ];
    let mut group = bench.benchmark_group("tokens/count");
    for encoding in Encoding::ALL {
        encoding.warm();
        for (name, text) in &texts {
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::new(encoding.name(), name), |run| {
                run.iter(|| encoding.count(black_box(text)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, count);
criterion_main!(benches);
