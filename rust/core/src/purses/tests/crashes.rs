//! kill -9 at every store, and damaged memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::*;
use crate::limits::crash;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Reserve,
    ReserveNew,
    Settle,
    SettleAgain,
    Cancel,
    Grow,
    Grant,
    Trim,
    TakeTurn,
}

const ACTS: [Act; 9] = [
    Act::Reserve,
    Act::ReserveNew,
    Act::Settle,
    Act::SettleAgain,
    Act::Cancel,
    Act::Grow,
    Act::Grant,
    Act::Trim,
    Act::TakeTurn,
];

/// The world before an act: two purses of 100, of which the victim holds 30 and the heir 5.
struct Scene {
    host: Shared,
    victim: Seat,
    heir: Seat,
    both: Arc<PurseSet>,
    hold: Hold,
    turn: u64,
}

impl Scene {
    fn before(act: Act) -> Self {
        let host = Shared::new();
        let (victim, heir) = (host.seat(), host.seat());
        host.grant(heir, "a", 100);
        host.grant(heir, "b", 100);
        let both = set(&["a", "b"]);
        let mut hold = host.reserve(victim, &both, 30, NOW).unwrap();
        host.reserve(heir, &both, 5, NOW).unwrap();
        if act == Act::SettleAgain {
            host.purses().settle(&mut hold, 11);
        }
        let is_asking = matches!(act, Act::Grant | Act::Trim);
        let turn = if is_asking {
            host.purses().take_turn(victim, NOW, NOW + 500).unwrap()
        } else {
            0
        };
        Self {
            host,
            victim,
            heir,
            both,
            hold,
            turn,
        }
    }

    fn run(&mut self, act: Act) {
        let host = &self.host;
        match act {
            Act::Reserve => drop(host.reserve(self.victim, &self.both, 20, NOW)),
            Act::ReserveNew => drop(host.reserve(self.victim, &set(&["a", "new", "newer"]), 20, NOW)),
            Act::Settle => host.purses().settle(&mut self.hold, 42),
            Act::SettleAgain => host.purses().settle(&mut self.hold, 7),
            Act::Cancel => host.purses().settle(&mut self.hold, 0),
            Act::Grow => drop(host.purses().grow(&mut self.hold, 55, NOW)),
            Act::Grant => drop(host.purses().grant(self.turn, "a", 300, NOW + 2 * TTL, NOW + 7)),
            Act::Trim => drop(host.purses().trim(self.turn, "a", 3, NOW)),
            Act::TakeTurn => drop(host.purses().take_turn(self.victim, NOW, NOW + 500)),
        }
    }

    /// Both purses, as far as they must change together.
    fn standing(&self) -> Vec<(u64, u64, u64, u64, u64)> {
        ["a", "b"]
            .map(|name| self.host.standing(name))
            .map(|it| (it.granted, it.spent, it.held, it.until_ms, it.exhausted_until_ms))
            .to_vec()
    }
}

/// Kills the act before its n-th store and checks what the next holder of the lock finds; whether it ended first.
fn survives_a_kill(act: Act, stores: u32) -> bool {
    let mut whole = Scene::before(act);
    whole.run(act);
    let after = whole.standing();

    let mut scene = Scene::before(act);
    let before = scene.standing();
    crash::after(Some(stores));
    let killed = catch_unwind(AssertUnwindSafe(|| scene.run(act))).is_err();
    crash::after(None);
    let found = scene.standing();
    assert!(
        found == before || found == after,
        "{act:?} killed before store {stores}: {found:?}"
    );
    assert!(killed || found == after);
    let Scene {
        host,
        victim,
        heir,
        both,
        ..
    } = scene;
    Table::resume(&host.0).bury(victim);
    let standing = host.standing("a");
    assert_eq!(standing.held, 5);
    // Nobody who is dead keeps the turn, and the heir can spend to the last.
    host.purses().take_turn(heir, NOW, NOW + 1).unwrap();
    let left = ["a", "b"]
        .map(|name| host.standing(name))
        .map(|it| it.granted - it.spent - it.held);
    host.reserve(heir, &both, left[0].min(left[1]) + 1, NOW).unwrap_err();
    host.reserve(heir, &both, left[0].min(left[1]), NOW).unwrap();
    !killed
}

#[test]
fn a_worker_killed_at_any_store_leaves_all_or_nothing() {
    for act in ACTS {
        let mut stores = 0;
        while !survives_a_kill(act, stores) {
            stores += 1;
        }
        assert!(stores > 0, "{act:?} was never killed");
    }
}

#[test]
fn a_worker_killed_while_making_a_purse_leaves_an_empty_way() {
    for stores in 0..200 {
        let host = Shared::new();
        let seat = host.seat();
        crash::after(Some(stores));
        let _ = catch_unwind(AssertUnwindSafe(|| host.reserve(seat, &set(&["a"]), 9, NOW).map(drop)));
        crash::after(None);
        host.grant(seat, "a", 20);
        host.reserve(seat, &set(&["a"]), 20, NOW).unwrap();
    }
}

proptest! {
    #[test]
    fn damaged_memory_pays_or_does_not_but_never_panics(
        damage in prop::collection::vec((0..REGION_WORDS, any::<u64>()), 1..300),
        now in prop_oneof![Just(NOW), any::<u64>()],
        amount in prop_oneof![Just(1_u64), any::<u64>()],
    ) {
        let host = Shared::new();
        let seat = host.seat();
        host.grant(seat, "a", 100);
        let mut early = host.reserve(seat, &set(&["a"]), 3, NOW).unwrap();
        let region = host.0.len() - REGION_WORDS;
        let used: Vec<usize> = (region..host.0.len()).filter(|at| host.0[*at].load(Ordering::Relaxed) != 0).collect();
        for (step, (at, value)) in damage.into_iter().enumerate() {
            let at = if step % 2 == 0 { region + at } else { used[at % used.len()] };
            host.0[at].store(value, Ordering::Relaxed);
        }
        let mut purses = host.purses();
        if let Ok(Outcome::Held(mut hold)) = purses.reserve(seat, &set(&["a", "b"]), amount, now) {
            purses.grow(&mut hold, u64::MAX, now);
            purses.settle(&mut hold, amount);
        }
        purses.grow(&mut early, amount, now);
        purses.settle(&mut early, amount);
        if let Some(turn) = purses.take_turn(seat, now, now.saturating_add(1)) {
            purses.trim(turn, "a", amount, now);
            purses.grant(turn, "a", amount, now, now);
            purses.end_turn(turn);
        }
        let _ = (purses.host_id(1), purses.forget("a"));
        Table::resume(&host.0).vacate(Host { boot_id: 1, pid_namespace: 1 });
    }
}
