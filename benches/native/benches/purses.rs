//! What a call under a budget costs natively: hold in the mapped ledger, and settle; and a shortage.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use tollway_core::purses::{Outcome, PurseSet};
use tollway_ledger::{Ledger, LedgerError};

const NOW_MS: u64 = 5_000_000;
const NOON_MS: u64 = 1_800_000_000_000;
const LEASE_MS: u64 = 1 << 40;

/// A ledger in memory, removed with its owner.
struct Scratch {
    ledger: Ledger,
    path: PathBuf,
}

impl Scratch {
    fn new() -> Result<Self, LedgerError> {
        let path = PathBuf::from(format!("/dev/shm/tollway-bench-purses-{}.ledger", std::process::id()));
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

/// So many purses with much in them.
fn filled(ledger: &Ledger, count: usize) -> Option<Arc<PurseSet>> {
    let names: Vec<String> = (0..count).map(|index| format!("budget|0|{count}-{index}")).collect();
    let purses = Arc::new(PurseSet::new(names.clone()).ok()?);
    ledger.hold(&purses, 1, NOW_MS, NOON_MS).ok()?;
    let turn = ledger.take_turn(NOW_MS, NOW_MS + 1).ok()??;
    for name in &names {
        ledger.grant_purse(turn, name, 1 << 60, NOW_MS + LEASE_MS, 0).ok()?;
    }
    ledger.end_turn(turn).ok()?;
    Some(purses)
}

fn live(ledger: &Ledger, purses: &Arc<PurseSet>, amount: u64) -> Result<bool, LedgerError> {
    let Outcome::Held(mut hold) = ledger.hold(purses, amount, NOW_MS, NOON_MS)? else {
        return Ok(false);
    };
    ledger.settle_hold(&mut hold, 1)?;
    Ok(true)
}

fn purses(criterion: &mut Criterion) {
    let Ok(scratch) = Scratch::new() else { return };
    let ledger = &scratch.ledger;
    let mut group = criterion.benchmark_group("purses");
    for count in [1, 4, 16] {
        let Some(set) = filled(ledger, count) else { return };
        group.bench_function(format!("hold in {count} and settle"), |bencher| {
            bencher.iter(|| live(ledger, black_box(&set), 900));
        });
        group.bench_function(format!("too little in {count}"), |bencher| {
            bencher.iter(|| live(ledger, black_box(&set), 1 << 61));
        });
    }
    group.finish();
}

criterion_group!(benches, purses);
criterion_main!(benches);
