//! Scanning prose, text full of findings, and hostile text at doubling sizes, for phrases, patterns and topics: the time per
//! byte must not grow with the size.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tollway_core::content::{Matcher, Schema, language, topics};

const PROSE: &str =
    "On 12 May 2024 at 10:30 we shipped 250 units of item 4711, which the customer's garden had been waiting for. ";

fn matchers() -> Vec<(&'static str, Matcher)> {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let none: Vec<String> = Vec::new();
    let topical: Vec<String> = topics().map(str::to_owned).collect();
    let deny = owned(&["project bluebird", "acme corp", "internal only", "do not distribute"]);
    let patterns = owned(&[
        r"\bPROJ-\d{3,6}\b",
        r"(?i)top secret.*",
        r"\b[A-Z]{2}\d{6}[A-D]\b",
        r"\b[a-f0-9]{20,}\b",
    ]);
    let made = [
        ("phrases", Matcher::new(&deny, &none, &none, &none)),
        ("patterns", Matcher::new(&none, &patterns, &none, &none)),
        ("topics", Matcher::new(&none, &none, &topical, &none)),
        ("all", Matcher::new(&deny, &patterns, &topical, &owned(&["bath bomb"]))),
    ];
    made.into_iter()
        .filter_map(|(name, matcher)| Some((name, matcher.ok()?)))
        .collect()
}

fn scan(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("content/scan");
    let matchers = matchers();
    for (name, matcher) in &matchers {
        for (kind, text) in [
            ("1 KiB of prose", PROSE.repeat(10)[..1024].to_owned()),
            ("prose", PROSE.repeat(600)),
            (
                "findings",
                "PROJ-1234 of Project Bluebird, at the casino with poker, roulette and guns. ".repeat(900),
            ),
        ] {
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::new(*name, kind), |run| {
                run.iter(|| matcher.find(black_box(&text)));
            });
        }
    }
    for unit in [
        "top secret ",
        "gun ",
        "how to ",
        "PROJ-",
        "do not distribut ",
        "a",
        "\u{200b}",
    ] {
        for bytes in [1 << 14, 1 << 15, 1 << 16] {
            let text = unit.repeat(bytes / unit.len());
            group.throughput(Throughput::Bytes(text.len() as u64));
            if let Some((_, all)) = matchers.last() {
                group.bench_function(BenchmarkId::new(unit, bytes), |run| {
                    run.iter(|| all.find(black_box(&text)));
                });
            }
        }
    }
    group.finish();
}

fn whole(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("content/whole");
    let prose = PROSE.repeat(600);
    group.bench_function("language", |run| run.iter(|| language(black_box(&prose))));
    let schema = Schema::new(r#"{"type": "array", "items": {"type": "object", "required": ["id"]}}"#);
    let answer = format!("[{}]", vec![r#"{"id": 1, "name": "a"}"#; 1000].join(","));
    if let Ok(schema) = schema {
        group.throughput(Throughput::Bytes(answer.len() as u64));
        group.bench_function("schema", |run| run.iter(|| schema.hold(black_box(&answer))));
    }
    group.finish();
}

criterion_group!(benches, scan, whole);
criterion_main!(benches);
