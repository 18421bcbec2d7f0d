//! Ten thousand usage rows made into what `PostgreSQL` copies.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tollway_core::rows::Batch;

const ROWS: u64 = 10_000;

fn text(text: &str) -> Vec<u8> {
    [&[0xd9, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

/// A row as the first version wrote it: 23 fields.
fn row() -> Vec<u8> {
    let mut row = vec![0xdc, 0, 23];
    row.extend(text("0199c0de-7abc-8def-0000-0000000004d2"));
    row.extend(text("0199c0de-7abc-8def-0000-0000000004d2"));
    row.extend([0xcf]);
    row.extend(1_772_236_800_123_456_u64.to_be_bytes());
    row.extend([text("tenant-7"), text("key-7-3"), vec![0xc0]].concat());
    row.extend([text("small"), text("openai"), text("gpt-4o-mini-2024-07-18")].concat());
    row.extend([0xcd, 7, 208, 0xcd, 1, 244, 0, 0, 0, 0xce, 0, 89, 67, 144]);
    row.extend([text("openai/gpt-4o-mini@2026-01-01"), text("told"), text("ok")].concat());
    row.extend([0xcc, 200, 0xc3, 0xcd, 1, 65, 45, 1]);
    row
}

fn add(bench: &mut Criterion) {
    let row = row();
    let mut group = bench.benchmark_group("rows/add");
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("ten thousand", |run| {
        run.iter(|| {
            let mut batch = Batch::new();
            for _ in 0..ROWS {
                batch.add(black_box(&row)).unwrap();
            }
            batch.copy()
        });
    });
    group.finish();
}

criterion_group!(benches, add);
criterion_main!(benches);
