#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod crashes;
mod model;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::*;
use crate::limits::{Host, Process, Seat, Table, words_for};

const NOW: u64 = 5_000_000;
const TTL: u64 = 10_000;

/// A host: the memory that its workers share.
struct Shared(Vec<AtomicU64>);

impl Shared {
    fn new() -> Self {
        let words: Vec<AtomicU64> = (0..words_for(16)).map(|_| AtomicU64::new(u64::MAX)).collect();
        Table::format(&words, Host::default());
        Self(words)
    }

    fn purses(&self) -> Purses<'_> {
        Table::resume(&self.0).purses()
    }

    fn seat(&self) -> Seat {
        Table::resume(&self.0).join(Process { pid: 1, start_ticks: 1 }).unwrap()
    }

    /// Has the bank grant so much in all, made known by a reservation that is too large.
    fn grant(&self, seat: Seat, name: &str, granted: u64) {
        let _ = self.reserve(seat, &set(&[name]), u64::MAX, NOW);
        let mut purses = self.purses();
        let turn = purses.take_turn(seat, NOW, NOW + 1).unwrap();
        assert!(purses.grant(turn, name, granted, NOW + TTL, 0));
        purses.end_turn(turn);
    }

    fn reserve(&self, seat: Seat, purses: &Arc<PurseSet>, amount: u64, now: u64) -> Result<Hold, Shortage> {
        match self.purses().reserve(seat, purses, amount, now).unwrap() {
            Outcome::Held(hold) => Ok(hold),
            Outcome::Short(shortage) => Err(shortage),
        }
    }

    fn standing(&self, name: &str) -> Standing {
        self.purses().standing(name, NOW).unwrap()
    }
}

fn set(names: &[&str]) -> Arc<PurseSet> {
    Arc::new(PurseSet::new(names.iter().map(|name| (*name).to_owned()).collect()).unwrap())
}

#[test]
fn sets_that_make_no_sense_are_refused() {
    let many = (0..=MAX_PURSES).map(|index| index.to_string()).collect();
    assert_eq!(PurseSet::new(many).unwrap_err(), PurseError::TooMany(MAX_PURSES + 1));
    let twice = vec!["a".to_owned(), "b".to_owned(), "a".to_owned()];
    assert_eq!(PurseSet::new(twice).unwrap_err(), PurseError::Twice("a".to_owned()));
}

#[test]
fn a_purse_that_nobody_has_filled_holds_nothing_and_remembers_what_was_wanted() {
    let host = Shared::new();
    let seat = host.seat();
    let shortage = host.reserve(seat, &set(&["a"]), 30, NOW).unwrap_err();
    assert_eq!(
        (shortage.name(), shortage.missing, shortage.is_exhausted),
        ("a", 30, false)
    );
    host.reserve(seat, &set(&["a"]), 12, NOW).unwrap_err();
    assert_eq!(host.standing("a").short, 42);
}

#[test]
fn what_is_granted_is_held_to_the_last_and_settled_at_what_it_cost() {
    let host = Shared::new();
    let seat = host.seat();
    host.grant(seat, "a", 100);
    let mut first = host.reserve(seat, &set(&["a"]), 60, NOW).unwrap();
    assert_eq!(host.reserve(seat, &set(&["a"]), 41, NOW).unwrap_err().missing, 1);
    let mut second = host.reserve(seat, &set(&["a"]), 40, NOW).unwrap();
    host.purses().settle(&mut first, 10);
    host.purses().settle(&mut second, 0);
    let standing = host.standing("a");
    assert_eq!((standing.granted, standing.spent, standing.held), (100, 10, 0));
    assert!(!first.is_open());
    host.reserve(seat, &set(&["a"]), 90, NOW).unwrap();
}

#[test]
fn a_settlement_told_again_is_corrected_and_one_above_what_was_held_counts_in_full() {
    let host = Shared::new();
    let seat = host.seat();
    host.grant(seat, "a", 100);
    let mut hold = host.reserve(seat, &set(&["a"]), 60, NOW).unwrap();
    for cost in [60, 25, 130, 130] {
        host.purses().settle(&mut hold, cost);
        assert_eq!((host.standing("a").spent, host.standing("a").held), (cost, 0));
    }
    assert_eq!(host.reserve(seat, &set(&["a"]), 1, NOW).unwrap_err().missing, 1);
}

#[test]
fn a_call_is_paid_from_all_of_its_purses_or_from_none() {
    let host = Shared::new();
    let seat = host.seat();
    host.grant(seat, "rich", 1_000);
    host.grant(seat, "poor", 10);
    let shortage = host.reserve(seat, &set(&["rich", "poor"]), 11, NOW).unwrap_err();
    assert_eq!((shortage.name(), shortage.missing), ("poor", 1));
    assert_eq!((host.standing("rich").held, host.standing("poor").held), (0, 0));
    let mut hold = host.reserve(seat, &set(&["rich", "poor"]), 10, NOW).unwrap();
    assert_eq!((host.standing("rich").held, host.standing("poor").held), (10, 10));
    host.purses().settle(&mut hold, 7);
    assert_eq!((host.standing("rich").spent, host.standing("poor").spent), (7, 7));
}

#[test]
fn a_hold_grows_where_every_purse_lets_it_and_else_stays() {
    let host = Shared::new();
    let seat = host.seat();
    host.grant(seat, "rich", 1_000);
    host.grant(seat, "poor", 50);
    let mut hold = host.reserve(seat, &set(&["rich", "poor"]), 10, NOW).unwrap();
    assert!(host.purses().grow(&mut hold, 50, NOW));
    assert!(!host.purses().grow(&mut hold, 51, NOW));
    assert!(host.purses().grow(&mut hold, 20, NOW));
    assert_eq!((hold.held(), host.standing("rich").held), (50, 50));
    assert!(!host.purses().grow(&mut hold, 60, NOW + TTL));
    host.purses().settle(&mut hold, 9);
    assert!(host.purses().grow(&mut hold, 500, NOW));
    assert_eq!((host.standing("rich").held, host.standing("poor").spent), (0, 9));
}

#[test]
fn a_lease_that_has_lapsed_pays_for_nothing_until_it_is_renewed() {
    let host = Shared::new();
    let seat = host.seat();
    host.grant(seat, "a", 100);
    host.reserve(seat, &set(&["a"]), 1, NOW + TTL - 1).unwrap();
    assert_eq!(host.reserve(seat, &set(&["a"]), 30, NOW + TTL).unwrap_err().missing, 30);
}

#[test]
fn what_a_dead_worker_held_comes_back_and_what_it_spent_does_not() {
    let host = Shared::new();
    let (victim, heir) = (host.seat(), host.seat());
    host.grant(heir, "a", 100);
    let mut spent = host.reserve(victim, &set(&["a"]), 30, NOW).unwrap();
    host.purses().settle(&mut spent, 30);
    host.reserve(victim, &set(&["a"]), 50, NOW).unwrap();
    host.reserve(heir, &set(&["a"]), 15, NOW).unwrap();
    assert_eq!(host.standing("a").held, 65);
    Table::resume(&host.0).bury(victim);
    assert_eq!((host.standing("a").held, host.standing("a").spent), (15, 30));
    let mut table = Table::resume(&host.0);
    let (waiting, all) = (table.to_clean(), table.cleanable());
    table.clean(waiting, 0, all);
    table.free(waiting);
    let next = host.seat();
    assert_eq!(next.column, victim.column);
    assert_eq!(host.standing("a").held, 15);
}

#[test]
fn one_at_a_time_has_the_turn_and_a_dead_one_loses_it() {
    let host = Shared::new();
    let (victim, heir) = (host.seat(), host.seat());
    let turn = host.purses().take_turn(victim, NOW, NOW + 500).unwrap();
    assert_eq!(host.purses().take_turn(heir, NOW + 499, NOW + 900), None);
    host.purses().end_turn(turn);
    let turn = host.purses().take_turn(heir, NOW + 1, NOW + 500).unwrap();
    assert!(host.purses().take_turn(victim, NOW + 500, NOW + 900).unwrap() != turn);
    assert_eq!(host.purses().take_turn(heir, NOW + 501, NOW + 900), None);
    Table::resume(&host.0).bury(victim);
    host.purses().take_turn(heir, NOW + 501, NOW + 900).unwrap();
}

#[test]
fn the_answer_of_a_turn_that_is_over_changes_nothing() {
    let host = Shared::new();
    let seat = host.seat();
    host.grant(seat, "a", 100);
    let late = host.purses().take_turn(seat, NOW, NOW + 1).unwrap();
    let next = host.purses().take_turn(seat, NOW + 1, NOW + 2).unwrap();
    assert!(!host.purses().grant(late, "a", 1_000, NOW + TTL, 0));
    assert_eq!(host.purses().trim(late, "a", 0, NOW), None);
    host.purses().end_turn(late);
    assert_eq!(host.purses().take_turn(seat, NOW + 1, NOW + 2), None);
    assert!(host.purses().grant(next, "a", 200, NOW + TTL, 0));
    assert_eq!(host.standing("a").granted, 200);
}

#[test]
fn what_is_given_back_leaves_what_is_spent_held_and_kept() {
    let host = Shared::new();
    let seat = host.seat();
    host.grant(seat, "a", 100);
    let mut spent = host.reserve(seat, &set(&["a"]), 30, NOW).unwrap();
    host.purses().settle(&mut spent, 20);
    host.reserve(seat, &set(&["a"]), 10, NOW).unwrap();
    let turn = host.purses().take_turn(seat, NOW, NOW + 1).unwrap();
    assert_eq!(host.purses().trim(turn, "a", 5, NOW).unwrap().granted, 35);
    assert_eq!(host.purses().trim(turn, "a", 500, NOW).unwrap().granted, 35);
    host.reserve(seat, &set(&["a"]), 6, NOW).unwrap_err();
    host.reserve(seat, &set(&["a"]), 5, NOW).unwrap();
}

#[test]
fn a_bank_that_has_nothing_is_not_waited_for_until_it_may_have_something() {
    let host = Shared::new();
    let seat = host.seat();
    host.grant(seat, "a", 100);
    let turn = host.purses().take_turn(seat, NOW, NOW + 1).unwrap();
    host.purses().grant(turn, "a", 100, NOW + TTL, NOW + 1_000);
    assert!(
        host.reserve(seat, &set(&["new", "a"]), 101, NOW + 999)
            .unwrap_err()
            .is_exhausted
    );
    assert!(
        !host
            .reserve(seat, &set(&["a"]), 101, NOW + 1_000)
            .unwrap_err()
            .is_exhausted
    );
    host.reserve(seat, &set(&["a"]), 100, NOW).unwrap();
}

#[test]
fn demand_fades_and_a_grant_forgets_what_was_missing() {
    let host = Shared::new();
    let seat = host.seat();
    host.grant(seat, "a", 10_000);
    assert_eq!(host.standing("a").short, 0);
    for _ in 0..3 {
        let mut hold = host.reserve(seat, &set(&["a"]), 1_000, NOW).unwrap();
        host.purses().settle(&mut hold, 1);
    }
    assert_eq!(host.standing("a").recent, 3_000);
    let later = host.purses().standing("a", NOW + 5_000).unwrap();
    assert!((1_100..1_110).contains(&later.recent));
}

#[test]
fn a_host_keeps_the_name_it_was_given_first() {
    let host = Shared::new();
    assert_eq!(host.purses().host_id(7 << 64 | 5), 7 << 64 | 5);
    assert_eq!(host.purses().host_id(9), 7 << 64 | 5);
}

#[test]
fn purses_that_come_and_go_find_room_and_those_with_something_to_remember_stay() {
    let host = Shared::new();
    let seat = host.seat();
    host.grant(seat, "kept", 100);
    let _held = host.reserve(seat, &set(&["kept"]), 10, NOW).unwrap();
    for index in 0..500 {
        host.reserve(seat, &set(&[&format!("new {index}")]), 1, NOW + 1 + index)
            .unwrap_err();
    }
    assert_eq!(host.standing("kept").held, 10);
    let granted: Vec<String> = (0..200).map(|index| format!("granted {index}")).collect();
    let mut full = 0;
    for name in &granted {
        if let Err(error) = host.purses().reserve(seat, &set(&[name]), 1, NOW + 600) {
            assert_eq!(error, NotReserved::Full);
            full += 1;
        } else {
            let mut purses = host.purses();
            let turn = purses.take_turn(seat, NOW + 600, NOW + 601).unwrap();
            purses.grant(turn, name, 1, NOW + TTL, 0);
            purses.end_turn(turn);
        }
    }
    assert!(full > 100);
    host.reserve(seat, &set(&["granted 199"]), 1, NOW + 2 * 3_600_000)
        .unwrap_err();
    assert_eq!(host.standing("kept").held, 10);
}

#[test]
fn a_purse_is_forgotten_once_nothing_is_held_of_it() {
    let host = Shared::new();
    let seat = host.seat();
    host.grant(seat, "a", 100);
    let mut hold = host.reserve(seat, &set(&["a"]), 10, NOW).unwrap();
    assert!(!host.purses().forget("a"));
    host.purses().settle(&mut hold, 10);
    assert!(host.purses().forget("a"));
    assert_eq!(host.purses().standing("a", NOW), None);
    host.purses().settle(&mut hold, 20);
    assert!(!host.purses().forget("a"));
}

#[test]
fn another_boot_ends_every_lease_and_the_same_one_none() {
    let host = Shared::new();
    let seat = host.seat();
    host.grant(seat, "a", 100);
    Table::resume(&host.0).vacate(Host::default());
    let seat = host.seat();
    host.reserve(seat, &set(&["a"]), 100, NOW).unwrap();
    let another = Host {
        boot_id: 8,
        pid_namespace: 0,
    };
    Table::resume(&host.0).vacate(another);
    let standing = host.standing("a");
    assert_eq!((standing.granted, standing.held, standing.until_ms), (100, 0, 0));
}

#[test]
fn who_has_no_seat_holds_nothing() {
    let host = Shared::new();
    let seat = host.seat();
    host.grant(seat, "a", 100);
    Table::resume(&host.0).bury(seat);
    let outcome = host.purses().reserve(seat, &set(&["a"]), 1, NOW);
    assert_eq!(outcome.unwrap_err(), NotReserved::NotSeated);
}
