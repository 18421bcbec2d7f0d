//! Retries and hedges as a share of the calls of late.

use proptest::prelude::{Strategy as _, *};

use super::{Strategy, *};

#[derive(Clone, Copy, Debug)]
enum Step {
    Call,
    Retry,
    Hedge,
    Wait(u64),
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Call),
        4 => Just(Step::Retry),
        2 => Just(Step::Hedge),
        2 => (0..4_000_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..300)
}

/// What is left at `now` of events at these times.
fn decayed(events: &[u64], now: u64) -> f64 {
    events.iter().map(|at| (-((now - at) as f64) / 10_000.0).exp()).sum()
}

proptest! {
    #[test]
    fn what_is_spent_is_a_share_of_the_calls_of_late(steps in steps(), permille in 0..1_000_u64, reserve in 0..4_u64) {
        let host = Shared::new();
        let workers = [host.seat(), host.seat()];
        let pool = pool(Strategy::Weighted, &[1]);
        let (mut calls, mut retries, mut hedges) = (Vec::new(), Vec::new(), Vec::new());
        let mut now = NOON;
        for (turn, step) in steps.into_iter().enumerate() {
            let allowed = |spent: &[u64], reserve| {
                let room = permille as f64 / 1_000.0 * decayed(&calls, now) + reserve as f64 - decayed(spent, now) - 1.0;
                // Otherwise it is too close to tell.
                (room.abs() > 1e-6).then_some(room > 0.0)
            };
            match step {
                Step::Wait(ms) => now += ms,
                Step::Call => {
                    let mut lease = host.begin(workers[turn % 2], &pool, 0, now).unwrap();
                    host.end(&mut lease, Outcome::Neutral, now);
                    calls.push(now);
                }
                Step::Retry => {
                    let expected = allowed(&retries, reserve);
                    let granted = host.table().board().retry(&pool, permille, reserve, now);
                    prop_assert!(expected.is_none_or(|expected| expected == granted));
                    if granted {
                        retries.push(now);
                    }
                }
                Step::Hedge => {
                    let expected = allowed(&hedges, 1);
                    let granted = host.table().board().hedge(&pool, permille, now);
                    prop_assert!(expected.is_none_or(|expected| expected == granted));
                    if granted {
                        hedges.push(now);
                    }
                }
            }
        }
    }
}

#[test]
fn in_an_outage_the_retries_are_the_share_and_the_reserve() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Weighted, &[1]);
    let mut granted = 0;
    for now in (NOON..).take(1_000) {
        let mut lease = host.begin(seat, &pool, 0, now).unwrap();
        host.end(&mut lease, Outcome::Neutral, now);
        for _ in 0..3 {
            granted += u64::from(host.table().board().retry(&pool, 200, 5, now));
        }
    }
    assert!((195..=206).contains(&granted), "{granted}");
}

#[test]
fn what_is_not_a_first_attempt_adds_nothing_to_the_budget() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Weighted, &[1]);
    for _ in 0..100 {
        assert!(
            host.table()
                .board()
                .begin(seat, &pool, 0, Kind::Stream, NOON, false, true)
                .is_some()
        );
    }
    assert!(!host.table().board().retry(&pool, 1_000, 0, NOON));
}

#[test]
fn a_clock_set_back_by_years_keeps_the_budget_going() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Weighted, &[1]);
    let past = NOON - 100_000_000_000;
    host.call(seat, &pool, 0, 1, NOON);
    for _ in 0..100 {
        host.call(seat, &pool, 0, 1, past);
    }
    let granted = (0..100)
        .filter(|_| host.table().board().retry(&pool, 100, 0, past))
        .count();
    assert_eq!(granted, 10);
    assert!(!host.table().board().retry(&pool, 0, 2, past));
    assert!(host.table().board().retry(&pool, 0, 2, past + 60_000));
}
