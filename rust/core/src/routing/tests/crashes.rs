//! kill -9 at every store, and damaged memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::{Strategy, *};
use crate::limits::crash;

/// How a target stands, as far as it must change in one step.
fn standing(host: &Shared, now: u64) -> (State, u64, u64, u64) {
    let status = host.status("provider/0", now);
    (status.state, status.until_ms, status.in_flight, status.failures)
}

/// What the victim does; a probe's needs a target that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Begin,
    BeginProbe,
    Hear,
    HearProbe,
    End(Outcome),
    EndProbe(Outcome),
    Cool,
    Open,
    Close,
    Grant,
}

const ACTS: [Act; 14] = [
    Act::Begin,
    Act::BeginProbe,
    Act::Hear,
    Act::HearProbe,
    Act::End(Outcome::Ok(Some((5, Kind::Whole)))),
    Act::End(Outcome::Failed),
    Act::End(Outcome::Neutral),
    Act::EndProbe(Outcome::Ok(None)),
    Act::EndProbe(Outcome::Failed),
    Act::EndProbe(Outcome::Neutral),
    Act::Cool,
    Act::Open,
    Act::Close,
    Act::Grant,
];

/// The world before an act.
struct Scene {
    host: Shared,
    victim: Seat,
    heir: Seat,
    pool: Arc<Pool>,
    lease: Option<Lease>,
    now: u64,
}

impl Scene {
    fn before(act: Act) -> Self {
        let host = Shared::new();
        let (victim, heir) = (host.seat(), host.seat());
        // One failure opens it, and one probe closes it.
        let policy = Policy {
            probes: 1,
            consecutive: 1,
            ..POLICY
        };
        let only = Target { policy, ..target(0, 1) };
        let pool = pool_of(Strategy::Weighted, vec![only]);
        let opened = matches!(
            act,
            Act::BeginProbe | Act::HearProbe | Act::EndProbe(_) | Act::Close | Act::Grant
        );
        let now = if opened {
            host.break_down(heir, &pool, 0, NOON);
            NOON + 500
        } else {
            NOON
        };
        let called = matches!(act, Act::Hear | Act::HearProbe | Act::End(_) | Act::EndProbe(_));
        let lease = called.then(|| host.begin(victim, &pool, 0, now).unwrap());
        Self {
            host,
            victim,
            heir,
            pool,
            lease,
            now,
        }
    }

    fn run(&mut self, act: Act) {
        let name = Name::of_target("provider/0");
        let (host, now) = (&self.host, self.now);
        match (act, &mut self.lease) {
            (Act::Hear | Act::HearProbe, Some(lease)) => drop(host.heard(lease, 1_000, now)),
            (Act::End(outcome) | Act::EndProbe(outcome), Some(lease)) => drop(host.end(lease, outcome, now)),
            (Act::Cool, _) => drop(host.table().board().cool(&name, now + 77, now, true)),
            (Act::Open, _) => drop(host.table().board().open(&name, now + 77, now)),
            (Act::Close, _) => drop(host.table().board().close(&name, now, 100)),
            (Act::Grant, _) => host.table().board().grant(&name, 1, now + 77, now),
            _ => drop(host.begin(self.victim, &self.pool, 0, now)),
        }
    }
}

/// Kills the act before its n-th store and checks what the next holder of the lock finds; whether it ended first.
fn survives_a_kill(act: Act, stores: u32) -> bool {
    let mut whole = Scene::before(act);
    whole.run(act);
    let after = standing(&whole.host, whole.now);

    let mut scene = Scene::before(act);
    let before = standing(&scene.host, scene.now);
    crash::after(Some(stores));
    let killed = catch_unwind(AssertUnwindSafe(|| scene.run(act))).is_err();
    crash::after(None);
    let Scene { host, pool, now, .. } = scene;
    let found = standing(&host, now);
    assert!(
        found == before || found == after,
        "{act:?} killed before store {stores}: {found:?}"
    );
    assert!(killed || found == after);
    host.table().bury(scene.victim);
    assert_eq!(host.status("provider/0", now).in_flight, 0);
    // In the end somebody may ask again, and there is never more than the one probe.
    let later = now + PROBE_VALID_MS;
    let mut heirs = host.begin(scene.heir, &pool, 0, later).unwrap();
    let another = host.begin(scene.heir, &pool, 0, later);
    assert_eq!(another.is_none(), heirs.is_probe());
    host.end(&mut heirs, Outcome::Ok(None), later);
    assert_eq!(host.status("provider/0", later).state, State::Closed);
    !killed
}

#[test]
fn a_worker_killed_at_any_store_leaves_all_or_nothing() {
    for act in ACTS {
        let mut stores = 0;
        while !survives_a_kill(act, stores) {
            stores += 1;
        }
        assert!(stores > 3, "{act:?} was never killed");
    }
}

#[test]
fn a_worker_killed_while_spending_leaves_a_budget_that_holds() {
    let pool = pool(Strategy::RoundRobin, &[1, 1]);
    for stores in 0..60 {
        let host = Shared::new();
        let (victim, heir) = (host.seat(), host.seat());
        for _ in 0..50 {
            host.call(heir, &pool, 0, 1_000, NOON);
        }
        let retry = || host.table().board().retry(&pool, 100, 0, NOON + 1_000);
        let mut taken = 0;
        crash::after(Some(stores));
        let _ = catch_unwind(AssertUnwindSafe(|| {
            taken += usize::from(retry());
            host.ranking(&pool, &ask(0, NOON + 1_000));
            drop(host.begin(victim, &pool, 1, NOON + 1_000));
        }));
        crash::after(None);
        taken += (0..50).filter(|_| retry()).count();
        assert!((3..=4).contains(&taken), "{taken} after {stores} stores");
    }
}

proptest! {
    #[test]
    fn damaged_memory_is_ranked_somehow_but_never_panics(
        damage in prop::collection::vec((0..64 * (1 + entry::WORDS), any::<u64>()), 1..400),
        strategy in 0..7_usize,
        now in prop_oneof![Just(NOON), any::<u64>()],
    ) {
        let host = Shared::new();
        let seat = host.seat();
        let pool = pool(ALL[strategy], &[1, 0, 7]);
        for index in 0..3 {
            host.call(seat, &pool, index, 1_000, NOON);
        }
        let board = host.0.len() - crate::purses::REGION_WORDS - crate::leases::REGION_WORDS - 64 * (1 + entry::WORDS);
        // Half of it where something lies.
        let used: Vec<usize> = (board..board + 64 * (1 + entry::WORDS)).filter(|at| host.0[*at].load(Ordering::Relaxed) != 0).collect();
        for (turn, (at, value)) in damage.into_iter().enumerate() {
            let at = if turn % 2 == 0 { board + at } else { used[at % used.len()] };
            host.0[at].store(value, Ordering::Relaxed);
        }
        for chance in 0..4 {
            let ranking = host.ranking(&pool, &ask(chance, now));
            prop_assert!(ranking.order.iter().all(|index| *index < 3));
            for target in pool.targets() {
                use_all(&host, seat, &pool, target, chance, now);
            }
        }
        host.table().vacate(Host::default());
    }
}

fn use_all(host: &Shared, seat: Seat, pool: &Arc<Pool>, target: &Target, latency_us: u64, now: u64) {
    let index = pool
        .targets()
        .iter()
        .position(|other| std::ptr::eq(other, target))
        .unwrap();
    if let Some(mut lease) = host.begin(seat, pool, index, now) {
        host.heard(&mut lease, latency_us, now);
        host.end(&mut lease, Outcome::Failed, now);
    }
    let mut table = host.table();
    let mut board = table.board();
    let _ = board.status(&target.name, now, false);
    let _ = board.p95_us(target, Kind::Stream);
    let _ = board.retry(pool, 100, 1, now);
    board.cool(&target.name, now.saturating_add(1), now, true);
    board.probed(&target.name, &POLICY, false, now);
    board.close(&target.name, now, 10);
}
