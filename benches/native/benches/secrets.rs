//! Scanning prose, code and secrets, and hostile text at doubling sizes: the time per byte must not grow with the size.
#![allow(missing_docs)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tollway_core::detector::Detector as _;
use tollway_core::secrets::Scanner;

fn scan(bench: &mut Criterion) {
    let scanner = Scanner::new();
    let mut group = bench.benchmark_group("secrets/scan");
    let texts = [
        ("prose", "The quick brown fox jumps over the lazy dog. ".repeat(100)),
        (
            "code",
            "let response = client.get(\"https://api.example.org/v1/items\").header(name, value); ".repeat(50),
        ),
        (
            "digests",
            "checksum = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"\n".repeat(50),
        ),
        (
            "findings",
            "API_KEY=4Kq8ZtP2mN7vX1wBc9Ld and password = \"S3cure!Horse\", please. ".repeat(60),
        ),
    ];
    for (name, text) in &texts {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(*name, |run| run.iter(|| findings(&scanner, black_box(text))));
    }
    for unit in [
        "key=",
        "password is ",
        "-----BEGIN PRIVATE KEY-----",
        "a://b:",
        "token=a1",
        "sk-",
        "A1b2",
    ] {
        for bytes in [1 << 14, 1 << 15, 1 << 16] {
            let text = unit.repeat(bytes / unit.len());
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::new(unit, bytes), |run| {
                run.iter(|| findings(&scanner, black_box(&text)));
            });
        }
    }
    group.finish();
}

fn findings(scanner: &Scanner, text: &str) -> usize {
    let mut findings = Vec::new();
    scanner.scan(text, 0, true, &mut findings);
    findings.len()
}

criterion_group!(benches, scan);
criterion_main!(benches);
