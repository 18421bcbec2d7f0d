//! Reading questions and comparing them, the usual and the hostile.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tollway_core::questions::{Block, Graph, Question, Scratch};

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

/// Vectors about a few hundred directions, as a namespace's questions are.
fn vectors(count: usize) -> Vec<[i8; 256]> {
    let mut state = 7_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        i8::from_le_bytes([state.to_le_bytes()[3]])
    };
    let kinds: Vec<[i8; 256]> = (0..400).map(|_| std::array::from_fn(|_| next() / 2)).collect();
    (0..count)
        .map(|number| kinds[number % 400].map(|value| value.saturating_add(next() / 3)))
        .collect()
}

fn graph(bench: &mut Criterion) {
    let all = vectors(20_000);
    let (mut graph, mut scratch) = (Graph::new(), Scratch::new());
    for vector in &all[1..] {
        let plan = graph.plan(vector, &mut scratch);
        graph.commit(plan);
    }
    bench.bench_function("questions/graph of 20,000: nearest", |run| {
        run.iter(|| graph.nearest(black_box(&all[0]), 8, 96, &mut scratch));
    });
    bench.bench_function("questions/graph of 20,000: plan", |run| {
        run.iter(|| graph.plan(black_box(&all[0]), &mut scratch));
    });
}

criterion_group!(benches, read, compare, nearest, graph);
criterion_main!(benches);
