//! The breaker against a slow model of it, with the calls of several workers interleaved, some of which are killed.

use proptest::prelude::{Strategy as _, *};

use super::{Strategy, *};

/// A call, and what is known of it.
#[derive(Clone, Copy, Debug)]
struct Call {
    worker: usize,
    openings_before: u64,
    is_probe: bool,
    is_heard: bool,
    is_over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Closed,
    Open,
    HalfOpen,
}

/// One target: every call kept, and what follows found anew each time.
struct Model {
    stand: Stand,
    until: u64,
    openings: u64,
    in_a_row: u32,
    calls: Vec<Call>,
    /// Of this half-open, those that did not end without saying anything.
    probing: Vec<usize>,
    passed: usize,
    /// Since the last closing: the call of a success, none for a failure.
    told: Vec<Option<usize>>,
    /// Since the last closing: when, calls, failures.
    rated: Vec<(u64, u64, u64)>,
}

impl Model {
    fn new() -> Self {
        Self {
            stand: Stand::Closed,
            until: 0,
            openings: 0,
            in_a_row: 0,
            calls: Vec::new(),
            probing: Vec::new(),
            passed: 0,
            told: Vec::new(),
            rated: Vec::new(),
        }
    }

    fn in_flight(&self) -> u64 {
        self.calls.iter().filter(|call| !call.is_over).count() as u64
    }

    fn failures(&self) -> u64 {
        self.told.iter().rev().take_while(|told| told.is_none()).count() as u64
    }

    fn begin(&mut self, worker: usize, now: u64) -> Option<usize> {
        if self.stand != Stand::Closed && self.until <= now {
            self.stand = Stand::HalfOpen;
            self.probing.clear();
            self.passed = 0;
        } else if self.stand == Stand::Open
            || self.stand == Stand::HalfOpen && self.probing.len() as u64 >= POLICY.probes
        {
            return None;
        }
        let is_probe = self.stand == Stand::HalfOpen;
        if is_probe {
            self.until = now + PROBE_VALID_MS;
            self.probing.push(self.calls.len());
        }
        self.calls.push(Call {
            worker,
            openings_before: self.openings,
            is_probe,
            is_heard: false,
            is_over: false,
        });
        Some(self.calls.len() - 1)
    }

    fn heard(&mut self, call: usize, now: u64) -> Option<Change> {
        if self.calls[call].is_heard {
            return None;
        }
        self.calls[call].is_heard = true;
        self.succeeded(call, now)
    }

    fn end(&mut self, call: usize, outcome: Outcome, now: u64) -> Option<Change> {
        self.calls[call].is_over = true;
        match outcome {
            Outcome::Failed => self.failed(call, now),
            _ if self.calls[call].is_heard => None,
            Outcome::Ok(_) => self.succeeded(call, now),
            Outcome::Neutral => {
                self.probing.retain(|probe| *probe != call);
                None
            }
        }
    }

    fn kill(&mut self, worker: usize) {
        for call in self.calls.iter_mut().filter(|call| call.worker == worker) {
            call.is_over = true;
        }
    }

    fn succeeded(&mut self, call: usize, now: u64) -> Option<Change> {
        if self.calls[call].openings_before < self.openings {
            return None;
        }
        self.told.push(Some(call));
        self.rated.push((now, 1, 0));
        if self.stand != Stand::HalfOpen || !self.calls[call].is_probe {
            return None;
        }
        self.passed += 1;
        (self.passed as u64 >= POLICY.probes).then(|| {
            self.stand = Stand::Closed;
            self.in_a_row = 0;
            self.told.clear();
            self.rated.clear();
            self.probing.clear();
            Change::Closed
        })
    }

    fn failed(&mut self, call: usize, now: u64) -> Option<Change> {
        if self.calls[call].openings_before < self.openings {
            return None;
        }
        let last = self.told.iter().rposition(Option::is_some);
        if let Some(last) = last.filter(|last| self.told[*last] == Some(call)) {
            self.told.remove(last);
        }
        self.told.push(None);
        let opens = if self.stand == Stand::HalfOpen {
            self.calls[call].is_probe
        } else {
            self.rated.push((now, u64::from(!self.calls[call].is_heard), 1));
            self.failures() >= POLICY.consecutive || self.fails_often(now)
        };
        opens.then(|| {
            let cooldown = POLICY.cooldown_ms * 2_u64.pow(self.in_a_row);
            self.until = now + cooldown.min(POLICY.max_cooldown_ms);
            self.stand = Stand::Open;
            self.openings += 1;
            self.in_a_row += 1;
            self.probing.clear();
            Change::Opened { until_ms: self.until }
        })
    }

    fn fails_often(&self, now: u64) -> bool {
        let width = POLICY.window_ms / 10;
        let late = self.rated.iter().filter(|(at, ..)| now / width - at / width <= 10);
        let (calls, failures) = late.fold((0, 0), |sum, (_, calls, failures)| (sum.0 + calls, sum.1 + failures));
        calls >= POLICY.minimum_calls && failures * 1_000 >= calls * POLICY.failure_permille
    }
}

#[derive(Clone, Debug)]
enum Step {
    Begin { worker: usize },
    Heard { which: usize },
    End { which: usize, outcome: Outcome },
    Kill { worker: usize },
    Wait { ms: u64 },
}

const WORKERS: usize = 3;

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Failed),
        2 => Just(Outcome::Ok(Some((9_000, Kind::Whole)))),
        1 => Just(Outcome::Neutral),
    ];
    let step = prop_oneof![
        8 => (0..WORKERS).prop_map(|worker| Step::Begin { worker }),
        3 => any::<usize>().prop_map(|which| Step::Heard { which }),
        8 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::End { which, outcome }),
        1 => (0..WORKERS).prop_map(|worker| Step::Kill { worker }),
        3 => prop_oneof![6 => 0..700_u64, 1 => Just(PROBE_VALID_MS)].prop_map(|ms| Step::Wait { ms }),
    ];
    prop::collection::vec(step, 1..200)
}

/// Buries a worker as a sweep does, and seats another.
fn replaced(host: &Shared, dead: Seat) -> Seat {
    let mut table = host.table();
    table.bury(dead);
    let waiting = table.to_clean();
    table.clean(waiting, 0, table.cleanable());
    table.free(waiting);
    host.seat()
}

proptest! {
    #[test]
    fn the_breaker_agrees_with_the_model_whoever_calls(steps in steps()) {
        let host = Shared::new();
        let pool = pool(Strategy::Weighted, &[1]);
        let mut seats: Vec<Seat> = (0..WORKERS).map(|_| host.seat()).collect();
        let mut model = Model::new();
        let mut open: Vec<(Lease, usize)> = Vec::new();
        let mut now = NOON;
        for step in steps {
            let count = open.len();
            match step {
                Step::Wait { ms } => now += ms,
                Step::Begin { worker } => {
                    let may = host.ranking(&pool, &ask(0, now)).order == [0];
                    let (lease, call) = (host.begin(seats[worker], &pool, 0, now), model.begin(worker, now));
                    prop_assert_eq!((lease.is_some(), may), (call.is_some(), call.is_some()));
                    if let Some((lease, call)) = lease.zip(call) {
                        prop_assert_eq!(lease.is_probe(), model.calls[call].is_probe);
                        open.push((lease, call));
                    }
                }
                Step::Kill { worker } => {
                    seats[worker] = replaced(&host, seats[worker]);
                    open.retain(|(_, call)| model.calls[*call].worker != worker);
                    model.kill(worker);
                }
                _ if open.is_empty() => {}
                Step::Heard { which } => {
                    let (lease, call) = &mut open[which % count];
                    prop_assert_eq!(host.heard(lease, 1_000, now), model.heard(*call, now));
                }
                Step::End { which, outcome } => {
                    let (mut lease, call) = open.swap_remove(which % count);
                    prop_assert_eq!(host.end(&mut lease, outcome, now), model.end(call, outcome, now));
                    prop_assert_eq!(host.end(&mut lease, Outcome::Failed, now), None);
                }
            }
            let status = host.status("provider/0", now);
            prop_assert_eq!(status.in_flight, model.in_flight());
            prop_assert!(model.probing.len() as u64 <= POLICY.probes);
            match model.stand {
                Stand::Closed => prop_assert_eq!((status.state, status.failures), (State::Closed, model.failures())),
                Stand::Open => prop_assert_eq!(status.state == State::Open, model.until > now),
                Stand::HalfOpen => prop_assert_eq!((status.state, status.until_ms), (State::HalfOpen, model.until)),
            }
        }
        for (mut lease, _) in open {
            host.end(&mut lease, Outcome::Neutral, 0);
        }
        prop_assert_eq!(host.status("provider/0", now).in_flight, 0);
    }
}

/// A host, a worker, and a pool of one target that has opened so many times in a row and whose cooldown is over.
fn due(openings: usize) -> (Shared, Seat, Arc<Pool>, u64) {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Weighted, &[1]);
    let mut now = NOON;
    for _ in 0..openings {
        host.break_down(seat, &pool, 0, now);
        now = host.status("provider/0", now).until_ms;
    }
    (host, seat, pool, now)
}

#[test]
fn failures_in_a_row_open_it_for_the_cooldown() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Weighted, &[1, 1]);
    assert_eq!(host.fail(seat, &pool, 0, NOON), None);
    assert_eq!(host.fail(seat, &pool, 0, NOON), None);
    host.call(seat, &pool, 0, 1_000, NOON);
    host.break_down(seat, &pool, 0, NOON + 5);
    let status = host.status("provider/0", NOON + 5);
    let opened = (State::Open, NOON + 505, 3);
    assert_eq!((status.state, status.until_ms, status.failures), opened);
    assert!(host.begin(seat, &pool, 0, NOON + 504).is_none());
    let ranking = host.ranking(&pool, &ask(0, NOON + 5));
    assert_eq!((ranking.order, ranking.retry_at_ms), (vec![1], NOON + 505));
    assert!(!ranking.is_limited);
}

#[test]
fn half_of_the_calls_of_a_window_open_it_though_never_in_a_row() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Weighted, &[1]);
    for turn in 0..3 {
        host.call(seat, &pool, 0, 1_000, NOON + turn);
        assert_eq!(host.fail(seat, &pool, 0, NOON + turn), None);
    }
    host.call(seat, &pool, 0, 1_000, NOON + 3);
    assert!(host.fail(seat, &pool, 0, NOON + 3).is_some());
}

#[test]
fn failures_that_left_the_window_count_no_more() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Weighted, &[1]);
    for turn in 0..20 {
        host.call(seat, &pool, 0, 1_000, NOON + 400 * turn);
        assert_eq!(host.fail(seat, &pool, 0, NOON + 400 * turn), None);
    }
}

#[test]
fn the_cooldown_doubles_with_each_opening_in_a_row_up_to_its_bound_and_a_closing_begins_anew() {
    let cooldowns = [500, 1_000, 1_700, 1_700];
    for openings in 1..=4 {
        assert_eq!(due(openings).3 - NOON, cooldowns[..openings].iter().sum::<u64>());
    }
    let (host, seat, pool, now) = due(3);
    for _ in 0..2 {
        host.call(seat, &pool, 0, 1_000, now);
    }
    host.break_down(seat, &pool, 0, now);
    assert_eq!(host.status("provider/0", now).until_ms, now + 500);
}

#[test]
fn so_many_probes_and_no_more_try_it_and_all_must_succeed() {
    let (host, seat, pool, now) = due(1);
    let [mut first, mut second] = [(), ()].map(|()| host.begin(seat, &pool, 0, now).unwrap());
    assert!(first.is_probe() && second.is_probe());
    assert!(host.begin(seat, &pool, 0, now).is_none());
    assert_eq!(host.heard(&mut first, 1_000, now), None);
    assert!(host.begin(seat, &pool, 0, now).is_none());
    let closed = host.end(&mut second, Outcome::Ok(None), now);
    assert_eq!(closed, Some(Change::Closed));
    assert!(!host.begin(seat, &pool, 0, now).unwrap().is_probe());
}

#[test]
fn one_probe_that_fails_opens_it_again_and_the_other_one_changes_nothing() {
    let (host, seat, pool, now) = due(1);
    let [mut first, mut second] = [(), ()].map(|()| host.begin(seat, &pool, 0, now).unwrap());
    let until_ms = now + 1_000;
    let opened = host.end(&mut first, Outcome::Failed, now);
    assert_eq!(opened, Some(Change::Opened { until_ms }));
    assert_eq!(host.end(&mut second, Outcome::Ok(None), now + 1), None);
    assert_eq!(host.status("provider/0", now + 1).state, State::Open);
}

#[test]
fn the_place_of_a_probe_that_told_nothing_is_free_again() {
    let (host, seat, pool, now) = due(1);
    let [mut first, _second] = [(), ()].map(|()| host.begin(seat, &pool, 0, now).unwrap());
    host.end(&mut first, Outcome::Neutral, now);
    assert!(host.begin(seat, &pool, 0, now).unwrap().is_probe());
    assert!(host.begin(seat, &pool, 0, now).is_none());
}

#[test]
fn probes_that_never_report_make_room_for_others_in_the_end() {
    let (host, seat, pool, now) = due(1);
    let [mut silent, mut late] = [(), ()].map(|()| host.begin(seat, &pool, 0, now).unwrap());
    assert!(host.begin(seat, &pool, 0, now + PROBE_VALID_MS - 1).is_none());
    let again = now + PROBE_VALID_MS;
    let _probes = [(), ()].map(|()| host.begin(seat, &pool, 0, again).unwrap());
    // The place that is given back is of another half-open.
    host.end(&mut silent, Outcome::Neutral, again);
    assert!(host.begin(seat, &pool, 0, again).is_none());
    // But what the other hears is of the target as it is.
    assert!(host.end(&mut late, Outcome::Failed, again).is_some());
}

#[test]
fn a_call_from_before_the_opening_says_nothing_about_the_target_thereafter() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Weighted, &[1]);
    let mut hung: Vec<Lease> = (0..9).map(|_| host.begin(seat, &pool, 0, NOON).unwrap()).collect();
    host.break_down(seat, &pool, 0, NOON);
    let now = NOON + 500;
    for _ in 0..2 {
        host.call(seat, &pool, 0, 1_000, now);
    }
    for lease in &mut hung {
        assert_eq!(host.end(lease, Outcome::Failed, now), None);
    }
    let status = host.status("provider/0", now);
    assert_eq!((status.state, status.failures, status.in_flight), (State::Closed, 0, 0));
}

#[test]
fn streams_that_begin_well_and_die_one_after_the_other_are_failures_in_a_row() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Weighted, &[1]);
    let changes = [(), (), ()].map(|()| {
        let mut lease = host.begin(seat, &pool, 0, NOON).unwrap();
        assert_eq!(host.heard(&mut lease, 1_000, NOON), None);
        host.end(&mut lease, Outcome::Failed, NOON).is_some()
    });
    assert_eq!(changes, [false, false, true]);
}

#[test]
fn a_stream_that_dies_joins_the_failures_before_it_and_after_it() {
    let host = Shared::new();
    let seat = host.seat();
    let pool = pool(Strategy::Weighted, &[1]);
    host.fail(seat, &pool, 0, NOON);
    let [mut first, mut second] = [(), ()].map(|()| host.begin(seat, &pool, 0, NOON).unwrap());
    for stream in [&mut first, &mut second] {
        host.heard(stream, 1_000, NOON);
    }
    assert_eq!(host.end(&mut second, Outcome::Failed, NOON), None);
    assert!(host.end(&mut first, Outcome::Failed, NOON).is_some());
}

#[test]
fn where_others_grant_it_stays_open_until_they_do() {
    let (host, seat, pool, now) = due(1);
    let name = Name::of_target("provider/0");
    let begin = |now| {
        host.table()
            .board()
            .begin(seat, &pool, 0, Kind::Stream, now, true, false)
    };
    let is_due = |now| host.table().board().is_due(&name, now);
    let granted = |probes, now| host.table().board().grant(&name, probes, now + 50, now);
    assert!(begin(now).is_none());
    let unasked = Ask {
        grants_itself: false,
        ..ask(0, now)
    };
    assert_eq!(host.ranking(&pool, &unasked).retry_at_ms, 0);
    assert!(is_due(now) && !is_due(now - 1));
    granted(1, now);
    granted(9, now);
    assert!(!is_due(now));
    let mut probe = begin(now).unwrap();
    assert!(begin(now).is_none());
    // The grant is over, and the next is due, though the probe is under way.
    assert!(begin(now + 50).is_none());
    assert!(is_due(now + 50));
    let closed = host.end(&mut probe, Outcome::Ok(None), now + 60);
    assert_eq!(closed, Some(Change::Closed));
    granted(1, now + 60);
    assert_eq!(host.status("provider/0", now + 60).state, State::Closed);
}
