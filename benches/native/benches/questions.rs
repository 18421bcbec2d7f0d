//! Reading questions and comparing them, the usual and the hostile.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tollway_core::questions::{Block, Question};

const SHORT: &str = "How do I cancel my subscription before next month?";
const TWIN: &str = "How can I end my subscription before the next month starts?";
const USUAL: &str = "I ordered two pairs of running shoes on March 5 and only one of them has arrived. Can you tell me where \
    the other pair is, and whether I get my $12.50 for express delivery back if it isn't here by Friday?";

fn read(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("questions/read");
    let long = USUAL.repeat(10);
    let texts = [
        ("10 words", SHORT),
        ("200 bytes", USUAL),
        ("500 tokens", &long),
        ("one word of 8 KB", &"a".repeat(8192)),
        ("8 KB of digits", &"7 ".repeat(4096)),
        ("8 KB of signs", &"$".repeat(8192)),
        ("ideographs", &"\u{6f22}".repeat(2700)),
    ];
    for (name, text) in texts {
        group.bench_with_input(BenchmarkId::from_parameter(name), text, |run, text| {
            run.iter(|| Question::new(black_box(text)));
        });
    }
    group.finish();
}

fn compare(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("questions/confidence");
    let long = USUAL.repeat(10);
    let other = USUAL.replace("shoes", "boots").repeat(10);
    for (name, one, other) in [
        ("10 words", SHORT, TWIN),
        (
            "200 bytes",
            USUAL,
            &USUAL.replace("shoes have", "trainers").replace("tell", "say"),
        ),
        ("500 tokens", &long, &other),
    ] {
        if let (Ok(one), Ok(other)) = (Question::new(one), Question::new(other)) {
            group.bench_function(name, |run| {
                run.iter(|| black_box(&one).confidence(black_box(&other), Some(0.9)));
            });
        }
    }
    group.finish();
}

fn nearest(bench: &mut Criterion) {
    if let (Ok(one), Ok(other)) = (Question::new(SHORT), Question::new(USUAL)) {
        let mut block = Block::new();
        for _ in 0..1024 {
            block.append(other.vector());
        }
        bench.bench_function("questions/nearest of 1,024", |run| {
            run.iter(|| block.nearest(black_box(one.vector()), 8));
        });
    }
}

criterion_group!(benches, read, compare, nearest);
criterion_main!(benches);
