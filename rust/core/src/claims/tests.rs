#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;

use proptest::prelude::*;

use super::*;
use crate::limits::{Host, Process, crash, words_for};

const NOON: u64 = 1_800_000_000_000;

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

    fn take(&self, seat: Seat, key: Key, now: u64, for_ms: u64) -> bool {
        self.table().claims().take(seat, key, now, for_ms)
    }
}

/// Keys of one group of places.
fn key(number: u8) -> Key {
    let mut digest = [0; 32];
    digest[0] = number;
    Key::of(digest)
}

#[test]
fn a_claim_is_one_worker_s_until_it_drops_it() {
    let host = Shared::new();
    let (one, other) = (host.seat(), host.seat());
    assert!(host.take(one, key(1), NOON, 1_000));
    assert!(!host.take(one, key(1), NOON, 1_000));
    assert!(!host.take(other, key(1), NOON + 999, 1_000));
    host.table().claims().drop(other, key(1));
    assert!(
        !host.take(other, key(1), NOON, 1_000),
        "another's claim is not to be dropped"
    );
    host.table().claims().drop(one, key(1));
    assert!(host.take(other, key(1), NOON, 1_000));
}

#[test]
fn a_claim_ends_at_its_time_and_is_never_longer_than_the_longest() {
    let host = Shared::new();
    let (one, other) = (host.seat(), host.seat());
    assert!(host.take(one, key(1), NOON, 1_000));
    assert!(host.take(other, key(1), NOON + 1_000, u64::MAX));
    assert!(!host.take(one, key(1), NOON + MOST_MS, 1));
    assert!(host.take(one, key(1), NOON + 1_000 + MOST_MS, 1_000));
    assert!(
        host.take(other, key(1), NOON - MOST_MS, 1_000),
        "the clock was set back"
    );
}

#[test]
fn a_claim_ends_with_its_worker() {
    let host = Shared::new();
    let (one, other) = (host.seat(), host.seat());
    assert!(host.take(one, key(1), NOON, 1_000));
    host.table().bury(one);
    let waiting = host.table().to_clean();
    host.table().free(waiting);
    let heir = host.seat();
    assert_eq!(heir.column, one.column);
    assert!(host.take(other, key(1), NOON, 1_000));
    assert!(!host.take(heir, key(1), NOON, 1_000));
}

#[test]
fn where_there_is_no_room_everybody_may() {
    let host = Shared::new();
    let seat = host.seat();
    for number in 1..=16 {
        assert!(host.take(seat, key(number), NOON, 1_000));
    }
    assert!(host.take(seat, key(17), NOON, 1_000) && host.take(seat, key(17), NOON, 1_000));
    assert!(!host.take(seat, key(16), NOON, 1_000));
    host.table().claims().drop(seat, key(3));
    assert!(host.take(seat, key(17), NOON, 1_000));
    assert!(!host.take(seat, key(17), NOON, 1_000));
}

#[test]
fn a_worker_killed_in_the_middle_leaves_a_claim_or_none() {
    for stores in 0.. {
        let host = Shared::new();
        let (one, other) = (host.seat(), host.seat());
        assert!(host.take(one, key(2), NOON, 1));
        crash::after(Some(stores));
        let outcome = catch_unwind(AssertUnwindSafe(|| host.take(one, key(1), NOON + 1, 1_000)));
        crash::after(None);
        assert_eq!(host.take(other, key(1), NOON + 1, 1_000), outcome.is_err());
        if outcome.is_ok() {
            break;
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Take(usize, u8, u64),
    Drop(usize, u8),
    Die(usize),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, 1..5_u8, 0..20_u64).prop_map(|(worker, key, for_ms)| Step::Take(worker, key, for_ms)),
        2 => (0..3_usize, 1..5_u8).prop_map(|(worker, key)| Step::Drop(worker, key)),
        1 => (0..3_usize).prop_map(Step::Die),
        2 => (1..15_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// As a map of keys to workers and deadlines.
    #[test]
    fn claims_are_what_a_map_says(steps in prop::collection::vec(steps(), 1..60)) {
        let host = Shared::new();
        let mut seats = [host.seat(), host.seat(), host.seat()];
        let (mut now, mut claims) = (NOON, HashMap::<u8, (Seat, u64)>::new());
        for step in steps {
            match step {
                Step::Take(worker, number, for_ms) => {
                    let is_free = claims.get(&number).is_none_or(|(_, until)| *until <= now);
                    prop_assert_eq!(host.take(seats[worker], key(number), now, for_ms), is_free);
                    if is_free {
                        claims.insert(number, (seats[worker], now + for_ms));
                    }
                }
                Step::Drop(worker, number) => {
                    host.table().claims().drop(seats[worker], key(number));
                    if claims.get(&number).is_some_and(|(owner, _)| *owner == seats[worker]) {
                        claims.remove(&number);
                    }
                }
                Step::Die(worker) => {
                    host.table().bury(seats[worker]);
                    claims.retain(|_, (owner, _)| *owner != seats[worker]);
                    let waiting = host.table().to_clean();
                    host.table().free(waiting);
                    seats[worker] = host.seat();
                }
                Step::Wait(ms) => now += ms,
            }
        }
    }
}

proptest! {
    #[test]
    fn damaged_memory_claims_or_does_not_but_never_panics(
        damage in prop::collection::vec((0..REGION_WORDS, any::<u64>()), 1..300), now in any::<u64>(), number in any::<u8>(),
    ) {
        let host = Shared::new();
        let seat = host.seat();
        assert!(host.take(seat, key(number), NOON, 1_000));
        let region = host.table().claims().base;
        for (at, value) in damage {
            host.0[region + at].store(value, std::sync::atomic::Ordering::Relaxed);
        }
        host.take(seat, key(number), now, now);
        host.table().claims().drop(seat, key(number));
    }
}
