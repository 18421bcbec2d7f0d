//! The life of an admission in the mapped ledger: lock, four rules, settle, release; and a refusal.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use tollway_core::limits::{Demand, Kind, LimitSet, MAX_RULES, Outcome, Rule};
use tollway_ledger::{Ledger, LedgerError};

const NOON_MS: u64 = 1_800_000_000_000;
const MINUTE_MS: u64 = 60_000;
const TENANTS: usize = 10_000;

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

fn four_rules(tenant: usize, requests: u64) -> Option<Arc<LimitSet>> {
    let rule = |scope: &str, kind, limit, window_ms| Rule {
        scope: format!("{scope}:{tenant}"),
        kind,
        limit,
        window_ms,
    };
    let rules = vec![
        rule("tenant", Kind::Requests, requests, MINUTE_MS),
        rule("tenant", Kind::Tokens, 1 << 40, MINUTE_MS),
        rule("tenant", Kind::Concurrency, 50, 0),
        rule("key", Kind::Requests, 1 << 30, MINUTE_MS),
    ];
    LimitSet::new(rules).ok().map(Arc::new)
}

/// As many rules as a call can be under, of every kind.
fn most_rules() -> Option<Arc<LimitSet>> {
    let rules = (0..MAX_RULES)
        .zip(Kind::ALL.into_iter().cycle())
        .map(|(index, kind)| Rule {
            scope: format!("rule:{index}"),
            kind,
            limit: 1 << 40,
            window_ms: if kind == Kind::Concurrency { 0 } else { MINUTE_MS },
        });
    LimitSet::new(rules.collect()).ok().map(Arc::new)
}

/// An answer that asks for more twice on its way.
fn grow(ledger: &Ledger, limits: &Arc<LimitSet>, now_ms: u64) -> Result<bool, LedgerError> {
    let demand = Demand {
        requests: 1,
        input_tokens: 600,
        output_tokens: 256,
    };
    let Outcome::Admitted(mut admission) = ledger.admit(limits, demand, now_ms, None)? else {
        return Ok(false);
    };
    let grown = ledger.grow(&mut admission, 512, now_ms)? && ledger.grow(&mut admission, 768, now_ms)?;
    ledger.settle(&mut admission, 500, 700, now_ms)?;
    ledger.release(&mut admission)?;
    Ok(grown)
}

fn live(ledger: &Ledger, limits: &Arc<LimitSet>, now_ms: u64) -> Result<bool, LedgerError> {
    let Outcome::Admitted(mut admission) = ledger.admit(
        limits,
        Demand {
            requests: 1,
            input_tokens: 600,
            output_tokens: 300,
        },
        now_ms,
        None,
    )?
    else {
        return Ok(false);
    };
    ledger.settle(&mut admission, 500, 100, now_ms)?;
    ledger.release(&mut admission)?;
    Ok(true)
}

fn limits(criterion: &mut Criterion) {
    let Ok(scratch) = Scratch::new() else { return };
    let ledger = &scratch.ledger;
    let mut group = criterion.benchmark_group("limits");

    if let Some(one) = four_rules(0, 1 << 30) {
        group.bench_function("admit, settle and release by four rules", |bencher| {
            bencher.iter(|| live(ledger, black_box(&one), NOON_MS));
        });
    }

    if let Some(one) = four_rules(1, 1 << 30) {
        group.bench_function("the same, growing twice", |bencher| {
            bencher.iter(|| grow(ledger, black_box(&one), NOON_MS));
        });
    }

    if let Some(most) = most_rules() {
        group.bench_function("admit, settle and release by 32 rules", |bencher| {
            bencher.iter(|| live(ledger, black_box(&most), NOON_MS));
        });
    }

    let tenants: Vec<_> = (0..TENANTS).filter_map(|tenant| four_rules(tenant, 1 << 30)).collect();
    group.bench_function("the same, 10,000 tenants in turn, a millisecond apart", |bencher| {
        let mut turn = 0;
        bencher.iter(|| {
            turn += 1;
            live(ledger, &tenants[turn * 7919 % TENANTS], NOON_MS + turn as u64)
        });
    });

    if let Some(none) = four_rules(TENANTS, 0) {
        group.bench_function("refuse", |bencher| {
            bencher.iter(|| live(ledger, black_box(&none), NOON_MS));
        });
    }
    group.finish();
}

criterion_group!(benches, limits);
criterion_main!(benches);
