//! What a look-up costs, and that it costs the same whatever the table holds.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tollway_core::keys::{KeyTable, digest, generate, well_formed};

fn forms(bench: &mut Criterion) {
    let key = generate("live", &[7; 32]).unwrap_or_default();
    bench.bench_function("keys/well_formed", |run| {
        run.iter(|| well_formed(black_box(key.as_bytes())));
    });
    bench.bench_function("keys/digest", |run| run.iter(|| digest(black_box(key.as_bytes()))));
    bench.bench_function("keys/generate", |run| {
        run.iter(|| generate("live", black_box(&[7; 32])));
    });
}

fn table(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("keys/find");
    for keys in [1_000_u64, 1_000_000] {
        let mut table = KeyTable::new(1_000_000, 1_000);
        for number in 0..keys {
            table.insert(digest(&number.to_le_bytes()), number, number % 10_000, u64::MAX, None);
        }
        // A thousand keys in turn: the working set of a worker, not one line of cache.
        let asked: Vec<_> = (0..1_000)
            .map(|number| digest(&(number * (keys / 1_000)).to_le_bytes()))
            .collect();
        let mut next = 0;
        group.bench_function(BenchmarkId::from_parameter(keys), |run| {
            run.iter(|| {
                next = (next + 1) % asked.len();
                black_box(table.find(&asked[next], 0));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, forms, table);
criterion_main!(benches);
