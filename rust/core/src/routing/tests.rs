#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod budget;
mod crashes;
mod health;
mod model;
mod strategies;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::*;
use crate::limits::{Host, Process, Seat, Table, words_for};

const NOON: u64 = 1_800_000_000_000;

const POLICY: Policy = Policy {
    consecutive: 3,
    failure_permille: 500,
    minimum_calls: 8,
    window_ms: 1_000,
    cooldown_ms: 500,
    max_cooldown_ms: 1_700,
    probes: 2,
    slow_start_ms: 1_000,
};

/// A host: the memory that its workers share.
struct Shared(Vec<AtomicU64>);

impl Shared {
    fn new() -> Self {
        let words: Vec<AtomicU64> = (0..words_for(16)).map(|_| AtomicU64::new(u64::MAX)).collect();
        Table::format(&words, Host::default());
        Self(words)
    }

    fn table(&self) -> Table<'_> {
        Table::resume(&self.0)
    }

    fn seat(&self) -> Seat {
        self.table().join(Process { pid: 1, start_ticks: 1 }).unwrap()
    }

    fn begin(&self, seat: Seat, pool: &Arc<Pool>, index: usize, now: u64) -> Option<Lease> {
        self.table()
            .board()
            .begin(seat, pool, index, Kind::Stream, now, true, true)
    }

    fn heard(&self, lease: &mut Lease, latency_us: u64, now: u64) -> Option<Change> {
        self.table().board().heard(lease, latency_us, Kind::Stream, now)
    }

    fn end(&self, lease: &mut Lease, outcome: Outcome, now: u64) -> Option<Change> {
        self.table().board().end(lease, outcome, now)
    }

    fn ranking(&self, pool: &Pool, ask: &Ask) -> Ranking {
        let mut sight = Sight::of(pool);
        self.table().board().look(pool, ask, &mut sight);
        sight.ranked(pool, ask)
    }

    fn status(&self, name: &str, now: u64) -> Status {
        self.table().board().status(&Name::of_target(name), now, true)
    }

    /// One whole call, whose first byte came after `latency_us`.
    fn call(&self, seat: Seat, pool: &Arc<Pool>, index: usize, latency_us: u64, now: u64) {
        let mut lease = self.begin(seat, pool, index, now).unwrap();
        self.heard(&mut lease, latency_us, now);
        self.end(&mut lease, Outcome::Ok(None), now);
    }

    fn fail(&self, seat: Seat, pool: &Arc<Pool>, index: usize, now: u64) -> Option<Change> {
        let mut lease = self.begin(seat, pool, index, now).unwrap();
        self.end(&mut lease, Outcome::Failed, now)
    }

    /// Opens the breaker of a target by failures in a row.
    fn break_down(&self, seat: Seat, pool: &Arc<Pool>, index: usize, now: u64) {
        let change = (0..20).find_map(|_| self.fail(seat, pool, index, now));
        assert!(matches!(change, Some(Change::Opened { .. })));
    }
}

fn target(index: usize, weight: u32) -> Target {
    Target {
        name: Name::of_target(&format!("provider/{index}")),
        weight,
        tier: 0,
        input_price: None,
        output_price: None,
        policy: POLICY,
    }
}

fn pool_of(strategy: Strategy, targets: Vec<Target>) -> Arc<Pool> {
    Arc::new(Pool::new("chat", strategy, targets).unwrap())
}

fn pool(strategy: Strategy, weights: &[u32]) -> Arc<Pool> {
    let targets = weights.iter().enumerate();
    pool_of(
        strategy,
        targets.map(|(index, weight)| target(index, *weight)).collect(),
    )
}

fn ask(chance: u64, now_ms: u64) -> Ask {
    Ask {
        mask: u64::MAX,
        now_ms,
        // Spread, as random bits are.
        chance: chance.wrapping_mul(0xD134_2543_DE82_EF95),
        kind: Kind::Stream,
        sticky: chance,
        prompt_tokens: 100,
        output_tokens: 10,
        grants_itself: true,
    }
}

const ALL: [Strategy; 7] = [
    Strategy::Weighted,
    Strategy::RoundRobin,
    Strategy::LeastBusy,
    Strategy::Latency,
    Strategy::Cost,
    Strategy::Priority,
    Strategy::Sticky,
];
