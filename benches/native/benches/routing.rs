//! What a request asks of the board: a ranking of few and of many targets, and the life of a call.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use tollway_core::routing::{Ask, Kind, Name, Outcome, Policy, Pool, Strategy, Target};
use tollway_ledger::{Ledger, LedgerError};

const NOON_MS: u64 = 1_800_000_000_000;

/// A ledger in memory, removed with its owner.
struct Scratch {
    ledger: Ledger,
    path: PathBuf,
}

impl Scratch {
    fn new() -> Result<Self, LedgerError> {
        let path = PathBuf::from(format!("/dev/shm/tollway-bench-{}.ledger", std::process::id()));
        Ok(Self {
            ledger: Ledger::open(&path, 65_536)?,
            path,
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(self.path.with_extension("ledger.lock"));
    }
}

fn pool(strategy: Strategy, count: u32) -> Option<Arc<Pool>> {
    let policy = Policy {
        consecutive: 5,
        failure_permille: 500,
        minimum_calls: 20,
        window_ms: 10_000,
        cooldown_ms: 5_000,
        max_cooldown_ms: 60_000,
        probes: 1,
        slow_start_ms: 10_000,
    };
    let targets = (0..count).map(|index| Target {
        name: Name::of_target(&format!("provider/{index}")),
        weight: index + 1,
        tier: i64::from(index % 3),
        input_price: Some(u64::from(index)),
        output_price: Some(4),
        policy,
    });
    Pool::new("chat", strategy, targets.collect()).ok().map(Arc::new)
}

fn ask(turn: u64) -> Ask {
    Ask {
        mask: u64::MAX,
        now_ms: NOON_MS + turn / 1_000,
        chance: turn.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        kind: Kind::Stream,
        sticky: turn,
        prompt_tokens: 900,
        output_tokens: 300,
        grants_itself: true,
    }
}

fn live(ledger: &Ledger, pool: &Arc<Pool>, index: usize, now_ms: u64) -> Result<bool, LedgerError> {
    let Some(mut lease) = ledger.begin(pool, index, Kind::Stream, now_ms, true, true)? else {
        return Ok(false);
    };
    ledger.heard(&mut lease, 20_000 + index as u64, Kind::Stream, now_ms)?;
    ledger.end(&mut lease, Outcome::Ok(None), now_ms)?;
    Ok(true)
}

fn routing(criterion: &mut Criterion) {
    let Ok(scratch) = Scratch::new() else { return };
    let ledger = &scratch.ledger;
    let mut group = criterion.benchmark_group("routing");
    for (name, strategy) in [
        ("rank by weight", Strategy::Weighted),
        ("rank by latency", Strategy::Latency),
        ("rank by stickiness", Strategy::Sticky),
    ] {
        for count in [3, 50] {
            let Some(pool) = pool(strategy, count) else { return };
            for index in 0..count as usize {
                let _ = live(ledger, &pool, index, NOON_MS);
            }
            let mut turn = 0;
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| {
                    turn += 1;
                    ledger
                        .rank(black_box(&pool), &ask(turn))
                        .map(|ranking| ranking.order.len())
                });
            });
        }
    }
    if let Some(pool) = pool(Strategy::Latency, 3) {
        let mut turn = 0;
        group.bench_function("begin, hear and end a call", |bencher| {
            bencher.iter(|| {
                turn += 1;
                live(ledger, black_box(&pool), turn % 3, NOON_MS + turn as u64 / 1_000)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, routing);
criterion_main!(benches);
