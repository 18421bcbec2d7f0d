//! What every chat request costs before its call: read and rendered, screened, bounded, known to a cache.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tollway_core::chat::{ChatAnswer, ChatRequest, Operation};
use tollway_core::guardrails::{Direction, Policy, Session};

fn body(turns: usize) -> String {
    let turn = r#"{"role":"user","content":"The quick brown fox\njumps over the lazy dog, twice on Sundays."},"#;
    let messages = turn.repeat(turns);
    let messages = messages.trim_end_matches(',');
    format!(r#"{{"model":"gpt-4o-mini","messages":[{messages}],"stream":true,"max_tokens":256,"temperature":0.7}}"#)
}

/// The guard of a call that looks for the entities which a policy looks for unless told.
fn session() -> Session {
    let actions =
        r#"{"email":"redact","credit_card":"redact","us_ssn":"redact","phone":"redact","iban":"redact","ip":"redact"}"#;
    let spec = format!(r#"{{"input":[{{"check":"pii","actions":{actions}}}]}}"#);
    Session::new(Policy::compile(spec.as_bytes(), b"secret").unwrap(), "tenant")
}

fn requests(bench: &mut Criterion) {
    let mut session = session();
    for turns in [3, 1_000] {
        let body = body(turns);
        let mut group = bench.benchmark_group("chat");
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(BenchmarkId::new("read+render", turns), |run| {
            run.iter(|| {
                let request = ChatRequest::read(black_box(body.as_bytes()), Operation::Chat).unwrap();
                request.render("upstream-model", true).into_owned()
            });
        });
        let request = ChatRequest::read(body.as_bytes(), Operation::Chat).unwrap();
        group.bench_function(BenchmarkId::new("screen", turns), |run| {
            run.iter(|| request.judged(black_box(&mut session.judge(Direction::Input))));
        });
        group.bench_function(BenchmarkId::new("cache_keys", turns), |run| {
            run.iter(|| request.cache_keys(black_box("tenant"), "alias"));
        });
        group.finish();
    }
}

/// A chat of 1 KB: a system, a question in parts, a tool.
fn cache_keys(bench: &mut Criterion) {
    let system = "You answer questions about the railways of Europe, shortly and kindly. ".repeat(7);
    let tool = r#"{"type":"function","function":{"name":"departures","description":"When trains leave a station.",
        "parameters":{"type":"object","properties":{"station":{"type":"string"},"hour":{"type":"integer"}},"required":["station"]}}}"#;
    let body = format!(
        r#"{{"model":"gpt-4o-mini","messages":[{{"role":"system","content":"{system}"}},
        {{"role":"user","content":[{{"type":"text","text":"When does the last train leave Lyon\nfor Paris?"}}]}}],
        "tools":[{tool}],"stream":true,"max_tokens":256,"temperature":0}}"#
    );
    let request = ChatRequest::read(body.as_bytes(), Operation::Chat).unwrap();
    assert!((900..1_200).contains(&body.len()) && request.cache_keys("tenant", "alias").namespace.is_some());
    bench.bench_function("chat/cache_keys/1KB", |run| {
        run.iter(|| request.cache_keys(black_box("tenant"), "alias"));
    });
}

/// The same turns in the dialects beside chat.
fn dialects(bench: &mut Criterion) {
    let mut session = session();
    let text = r#""text":"The quick brown fox\njumps over the lazy dog, twice on Sundays.""#;
    for (operation, field, kind) in [
        (Operation::Messages, "messages", "text"),
        (Operation::Responses, "input", "input_text"),
    ] {
        let turn = format!(r#"{{"role":"user","content":[{{"type":"{kind}",{text}}}]}},"#);
        for turns in [3, 1_000] {
            let turns_text = turn.repeat(turns);
            let body = format!(
                r#"{{"model":"m","{field}":[{}],"stream":true,"max_tokens":256}}"#,
                turns_text.trim_end_matches(',')
            );
            let mut group = bench.benchmark_group(operation.name());
            group.throughput(Throughput::Bytes(body.len() as u64));
            group.bench_function(BenchmarkId::new("read+render", turns), |run| {
                run.iter(|| {
                    let request = ChatRequest::read(black_box(body.as_bytes()), operation).unwrap();
                    request.render("upstream-model", true).into_owned()
                });
            });
            let request = ChatRequest::read(body.as_bytes(), operation).unwrap();
            group.bench_function(BenchmarkId::new("screen", turns), |run| {
                run.iter(|| request.judged(black_box(&mut session.judge(Direction::Input))));
            });
            group.finish();
        }
    }
}

fn answers(bench: &mut Criterion) {
    let body = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,
        "message":{"role":"assistant","content":"Hello! How can I help you today?","refusal":null},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":8,"completion_tokens":9,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":0}}}"#;
    bench.bench_function("chat/read_answer", |run| {
        run.iter(|| *ChatAnswer::read(black_box(body.as_bytes())).unwrap().usage());
    });
    let body = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[{"type":"text",
        "text":"Hello! How can I help you today?"}],"stop_reason":"end_turn","stop_sequence":null,
        "usage":{"input_tokens":8,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"output_tokens":9}}"#;
    bench.bench_function("messages/read_answer", |run| {
        run.iter(|| {
            let answer = ChatAnswer::read_as(black_box(body.as_bytes()), Operation::Messages);
            *answer.unwrap().usage()
        });
    });
}

criterion_group!(benches, requests, cache_keys, dialects, answers);
criterion_main!(benches);
