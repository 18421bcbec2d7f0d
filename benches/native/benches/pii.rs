//! Scanning text without anything to look at, ordinary text, and hostile text at doubling sizes: the time per byte must
//! not grow with the size.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tollway_core::pii::{Entities, Scanner};

fn scan(bench: &mut Criterion) {
    let scanner = Scanner::new(Entities::ALL);
    let mut group = bench.benchmark_group("pii/scan");
    let texts = [
        ("nothing", "The quick brown fox jumps over the lazy dog. ".repeat(100)),
        (
            "prose",
            "On 12 May 2024 at 10:30 we shipped 250 units of item 4711 for $1,299.00. ".repeat(60),
        ),
        (
            "findings",
            "Call +1 415 555 0132, write to bob@example.com or pay with 4111 1111 1111 1111. ".repeat(50),
        ),
    ];
    for (name, text) in &texts {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(*name, |run| run.iter(|| scanner.scan(black_box(text))));
    }
    for unit in ["1-", "@", "a@", "call 11 ", "1:", "a1 ", "A B 1 ", "121042882 "] {
        for bytes in [1 << 14, 1 << 15, 1 << 16] {
            let text = unit.repeat(bytes / unit.len());
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::new(unit, bytes), |run| {
                run.iter(|| scanner.scan(black_box(&text)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, scan);
criterion_main!(benches);
