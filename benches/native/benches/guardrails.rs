//! What a policy of every native check costs a request: one whose texts are clean, and one full of findings. What screening costs
//! a stream, beside one that is only relayed, and a whole answer.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::{Arc, Mutex};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tollway_core::chat::{ChatRequest, Operation};
use tollway_core::guardrails::{Direction, Policy, Screen, Session};
use tollway_core::sse::{Dialect, Manner, Relay};

const POLICY: &str = r#"{"input":[
    {"check":"pii","actions":{"email":"redact","credit_card":"mask","phone":"hash","iban":"redact","us_ssn":"redact"},"restore":true},
    {"check":"secrets","action":"redact"},
    {"check":"content","action":"flag","deny":["project aqueduct","the emperor's new road"]}
]}"#;
const PROSE: &str = "All the aqueducts of Rome carried water, and not a drop of it paid toll on the way.\\n";
const FINDINGS: &str = "Write to jane.doe@example.com, card 4111 1111 1111 1111, and call +1 415 555 0132.\\n";

fn body(line: &str, bytes: usize) -> String {
    let text = line.repeat(bytes.div_ceil(line.len()));
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{text}"}}]}}"#)
}

fn requests(bench: &mut Criterion) {
    let policy = Policy::compile(POLICY.as_bytes(), b"secret").unwrap();
    let mut group = bench.benchmark_group("guardrails");
    for (kind, line) in [("clean", PROSE), ("findings", FINDINGS)] {
        for bytes in [1024, 8 * 1024, 1024 * 1024] {
            let body = body(line, bytes);
            let request = ChatRequest::read(body.as_bytes(), Operation::Chat).unwrap();
            group.throughput(Throughput::Bytes(body.len() as u64));
            group.bench_function(BenchmarkId::new(kind, bytes), |run| {
                run.iter(|| {
                    let mut session = Session::new(policy.clone(), "tenant");
                    black_box(request.judged(&mut session.judge(Direction::Input)))
                });
            });
        }
    }
    group.finish();
}

fn compiling(bench: &mut Criterion) {
    bench.bench_function("guardrails/compile", |run| {
        run.iter(|| Policy::compile(black_box(POLICY.as_bytes()), b"secret"));
    });
}

const DELTAS: usize = 50;
const CHECKS: &[u8] =
    br#"{"output":[{"check":"pii","actions":{"email":"redact","credit_card":"redact","phone":"redact"}}]}"#;

fn stream() -> Vec<Vec<u8>> {
    let delta = |number: usize| {
        format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"m\",\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" word{}\"}},\"finish_reason\":null}}]}}\n\n",
            "s".repeat(number % 5)
        )
    };
    (0..DELTAS).map(|number| delta(number).into_bytes()).collect()
}

fn guard_of_answers() -> Session {
    Session::new(Policy::compile(CHECKS, b"").unwrap(), "acme")
}

fn relayed(relay: &mut Relay, events: &[Vec<u8>]) {
    for event in events {
        black_box(relay.feed(event).unwrap());
    }
    black_box(relay.finish());
}

fn streams(bench: &mut Criterion) {
    let events = stream();
    let guard = guard_of_answers();
    let mut group = bench.benchmark_group("guardrails/stream");
    group.throughput(Throughput::Elements(DELTAS as u64));
    group.bench_function("relayed", |run| {
        run.iter(|| relayed(&mut Relay::new(Manner::default(), 1 << 20, 4 << 20), &events));
    });
    group.bench_function("screened", |run| {
        run.iter(|| {
            let session = Arc::new(Mutex::new(guard.fork()));
            let screen = Screen::new(Dialect::Chat, Box::new(session));
            let mut relay = Relay::new(Manner::default(), 1 << 20, 4 << 20).screened(screen);
            relayed(&mut relay, &events);
        });
    });
    group.finish();
}

fn answers(bench: &mut Criterion) {
    let said = "The aqueducts of Rome carried water over long distances by gravity alone. ".repeat(1 << 10);
    let body = format!("{{\"choices\":[{{\"message\":{{\"content\":\"{said}\"}}}}]}}");
    let mut guard = guard_of_answers();
    let mut group = bench.benchmark_group("guardrails/answer");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("prose", |run| {
        run.iter(|| black_box(guard.answer(body.as_bytes(), Operation::Chat).unwrap()));
    });
    group.finish();
}

criterion_group!(benches, requests, compiling, streams, answers);
criterion_main!(benches);
