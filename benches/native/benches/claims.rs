//! What it costs a call to say that it asks for all others: a claim in the mapped ledger taken and dropped, and refused.

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{Criterion, criterion_group, criterion_main};
use tollway_core::claims::Key;
use tollway_ledger::{Ledger, LedgerError};

const NOON_MS: u64 = 1_800_000_000_000;

/// A ledger in memory, removed with its owner.
struct Scratch {
    ledger: Ledger,
    path: PathBuf,
}

impl Scratch {
    fn new() -> Result<Self, LedgerError> {
        let path = PathBuf::from(format!("/dev/shm/tollway-bench-claims-{}.ledger", std::process::id()));
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

fn claims(criterion: &mut Criterion) {
    let Ok(scratch) = Scratch::new() else { return };
    let ledger = &scratch.ledger;
    for byte in 0..12 {
        let mut digest = [byte; 32];
        digest[8..16].fill(0); // all in one group
        if ledger.take_claim(Key::of(digest), NOON_MS, 600_000).is_err() {
            return;
        }
    }
    let (mut free, mut taken) = ([0xAA; 32], [5; 32]);
    free[8..16].fill(0);
    taken[8..16].fill(0);
    let (free, taken) = (Key::of(free), Key::of(taken));
    criterion.bench_function("claims/take and drop", |bencher| {
        bencher.iter(|| {
            let is_mine = ledger.take_claim(black_box(free), NOON_MS, 30_000);
            is_mine.and_then(|is_mine| ledger.drop_claim(free).map(|()| is_mine))
        });
    });
    criterion.bench_function("claims/taken", |bencher| {
        bencher.iter(|| ledger.take_claim(black_box(taken), NOON_MS, 30_000));
    });
}

criterion_group!(benches, claims);
criterion_main!(benches);
