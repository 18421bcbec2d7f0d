#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod redis;
mod whole;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use self::redis::Redis;
use super::{LOST_MS, Leases, Reign, STARTING_MS};
use crate::limits::{
    Admission, Demand, Host, Kind, LimitSet, Outcome, Process, Refusal, Rule, Seat, Table, crash, words_for,
};

const MINUTE: u64 = 60_000;
/// By the hosts' wall clocks, which need not agree, and by their steady ones.
const NOON: u64 = 1_800_000_000_000;

/// One host: its ledger, and a worker.
struct Machine {
    words: Vec<AtomicU64>,
    seat: Seat,
    name: u128,
    /// Its wall clock is off by so much.
    off_ms: u64,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "as of the outcome that it stands for")]
enum Decided {
    Admitted(Admission),
    Refused(Refusal),
    Short,
}

impl Machine {
    fn new(name: u128, now_ms: u64) -> Self {
        let words: Vec<AtomicU64> = (0..words_for(16)).map(|_| AtomicU64::new(0)).collect();
        Table::format(&words, Host::default());
        let seat = Table::resume(&words).join(Process { pid: 1, start_ticks: 1 }).unwrap();
        let machine = Self {
            words,
            seat,
            name,
            off_ms: NOON,
        };
        machine.leases().begin(name, now_ms);
        machine.leases().connect(seat.column, true);
        machine
    }

    fn table(&self, now_ms: u64) -> Table<'_> {
        let mut table = Table::resume(&self.words);
        table.set_steady(|| now_ms);
        table
    }

    fn leases(&self) -> Leases<'_> {
        Table::resume(&self.words).leases()
    }

    fn reign(&self, now_ms: u64) -> Reign {
        self.leases().reign(now_ms)
    }

    fn admit(&self, limits: &Arc<LimitSet>, tokens: u64, now_ms: u64) -> Decided {
        let demand = Demand {
            requests: 1,
            input_tokens: tokens,
            output_tokens: 0,
        };
        let wall_ms = now_ms + self.off_ms;
        match self.table(now_ms).admit(self.seat, limits, demand, wall_ms).unwrap() {
            Outcome::Admitted(admission) => Decided::Admitted(admission),
            Outcome::Refused(refusal) => Decided::Refused(refusal),
            Outcome::Short(_) => Decided::Short,
        }
    }

    /// One round trip, if there is something to ask; whether there was.
    fn ask(&self, redis: &mut Redis, now_ms: u64) -> bool {
        let Some(question) = self.leases().question(now_ms) else {
            return false;
        };
        match redis.answer(&question, now_ms) {
            Ok(answer) => self.leases().answered(&question, &answer, now_ms),
            Err(memory) => {
                self.leases().unanswered(&question);
                self.leases().remember(memory.as_bytes());
            }
        }
        true
    }

    /// As a call does: tries, asks when units are lacking, and tries again.
    fn call(&self, redis: &mut Redis, limits: &Arc<LimitSet>, tokens: u64, now_ms: u64) -> Decided {
        for _ in 0..8 {
            match self.admit(limits, tokens, now_ms) {
                Decided::Short => assert!(self.ask(redis, now_ms), "nothing is asked for a call that waits"),
                decided => return decided,
            }
        }
        panic!("a call was never decided");
    }
}

fn rule(kind: Kind, limit: u64, window_ms: u64) -> Rule {
    Rule {
        scope: "tenant:acme".into(),
        kind,
        limit,
        window_ms,
    }
}

fn shared(rules: &[Rule]) -> Arc<LimitSet> {
    Arc::new(LimitSet::new(rules.to_vec()).unwrap().shared())
}

/// Two hosts of a Redis that has long remembered.
fn two() -> (Redis, Machine, Machine, u64) {
    let mut redis = Redis::new("first");
    let (one, other) = (Machine::new(1, 1_000), Machine::new(2, 1_000));
    for now in [1_000, 1_300, 4_000, 7_100] {
        one.ask(&mut redis, now);
        other.ask(&mut redis, now);
    }
    (redis, one, other, 7_100)
}

fn admitted(decided: &Decided) -> bool {
    matches!(decided, Decided::Admitted(_))
}

#[test]
fn so_many_as_allowed_pass_over_two_hosts_by_turns() {
    let (mut redis, one, other, now) = two();
    let limits = shared(&[rule(Kind::Requests, 5, MINUTE)]);
    let mut passed = 0;
    for index in 0..20_u64 {
        let host = if index % 2 == 0 { &one } else { &other };
        passed += u64::from(admitted(&host.call(&mut redis, &limits, 0, now + index * 250)));
    }
    assert_eq!(passed, 5);
}

#[test]
fn a_refusal_of_redis_is_remembered_and_tells_when_units_come_free() {
    let (mut redis, one, other, now) = two();
    let limits = shared(&[rule(Kind::Requests, 2, MINUTE)]);
    for _ in 0..2 {
        assert!(admitted(&one.call(&mut redis, &limits, 0, now)));
    }
    let Decided::Refused(refusal) = other.call(&mut redis, &limits, 0, now) else {
        panic!("a third was admitted");
    };
    assert_eq!(
        (refusal.rule().limit, refusal.remaining, refusal.too_large),
        (2, 0, false)
    );
    assert!(
        (MINUTE..MINUTE * 11 / 10).contains(&refusal.retry_after_ms),
        "{}",
        refusal.retry_after_ms
    );
    let asked = redis.questions;
    assert!(!admitted(&other.call(&mut redis, &limits, 0, now + 10)));
    assert_eq!(redis.questions, asked);
    assert!(admitted(&other.call(
        &mut redis,
        &limits,
        0,
        now + refusal.retry_after_ms
    )));
}

#[test]
fn a_cancelled_call_gives_its_units_to_the_other_host() {
    let (mut redis, one, other, now) = two();
    let limits = shared(&[rule(Kind::Tokens, 100, MINUTE)]);
    let Decided::Admitted(mut admission) = one.call(&mut redis, &limits, 100, now) else {
        panic!("not admitted");
    };
    assert!(!admitted(&other.call(&mut redis, &limits, 60, now)));
    one.table(now).settle(&mut admission, 40, 0, now + one.off_ms);
    assert!(one.ask(&mut redis, now + 260), "what is scarce goes back before long");
    assert!(admitted(&other.call(&mut redis, &limits, 60, now + 300)));
    assert!(!admitted(&one.call(&mut redis, &limits, 1, now + 300)));
}

#[test]
fn slots_of_both_hosts_are_one_number_and_a_dead_hosts_come_back() {
    let (mut redis, one, other, now) = two();
    let limits = shared(&[rule(Kind::Concurrency, 2, 0)]);
    let Decided::Admitted(mut first) = one.call(&mut redis, &limits, 0, now) else {
        panic!("not admitted");
    };
    let Decided::Admitted(_kept) = one.call(&mut redis, &limits, 0, now) else {
        panic!("not admitted");
    };
    assert!(!admitted(&other.call(&mut redis, &limits, 0, now)));
    one.table(now).release(&mut first);
    one.ask(&mut redis, now + 260);
    assert!(admitted(&other.call(&mut redis, &limits, 0, now + 300)));
    // The one is never heard of again: the slot that it held comes back.
    for at in (now..now + 12_000).step_by(500) {
        other.ask(&mut redis, at);
    }
    assert!(admitted(&other.call(&mut redis, &limits, 0, now + 12_000)));
    assert!(!admitted(&other.call(&mut redis, &limits, 0, now + 12_000)));
}

#[test]
fn slots_wait_for_the_calls_that_they_were_granted_for() {
    let (mut redis, one, _, now) = two();
    let limits = shared(&[rule(Kind::Concurrency, 1_000, 0)]);
    assert!(!admitted(&one.admit(&limits, 0, now)));
    let question = one.leases().question(now).unwrap();
    assert!(
        !admitted(&one.admit(&limits, 0, now)),
        "another comes while Redis is asked"
    );
    let answer = redis.answer(&question, now).unwrap();
    one.leases().answered(&question, &answer, now);
    let next = one
        .leases()
        .question(now)
        .expect("the other one's, before the first has looked again");
    assert!(admitted(&one.admit(&limits, 0, now)));
    let answer = redis.answer(&next, now).unwrap();
    one.leases().answered(&next, &answer, now);
    assert!(admitted(&one.admit(&limits, 0, now)));
}

#[test]
fn few_questions_do_while_the_limit_is_far_away() {
    let (mut redis, one, other, now) = two();
    let limits = shared(&[
        rule(Kind::Requests, 10_000_000, MINUTE),
        rule(Kind::Tokens, 1_000_000_000, MINUTE),
        rule(Kind::Concurrency, 5_000, 0),
    ]);
    let (mut before, mut questions) = (0, 0);
    for at in now..now + 10_000 {
        if at == now + 4_000 {
            before = redis.questions;
        }
        for host in [&one, &other] {
            match host.call(&mut redis, &limits, 100, at) {
                Decided::Admitted(mut admission) => host.table(at).release(&mut admission),
                decided => panic!("{decided:?}"),
            }
            if at % 50 == 0 {
                host.ask(&mut redis, at);
            }
        }
        questions = redis.questions - before;
    }
    assert!(questions < 12_000 / 200, "{questions} questions for 12,000 calls");
}

#[test]
fn without_redis_each_host_keeps_to_its_share_after_a_moment() {
    let (mut redis, one, other, now) = two();
    let limits = shared(&[rule(Kind::Requests, 10, MINUTE)]);
    assert!(admitted(&one.call(&mut redis, &limits, 0, now)));
    let mut passed = 0;
    for at in (now + 100..now + 5_000).step_by(20) {
        for host in [&one, &other] {
            passed += u64::from(admitted(&host.admit(&limits, 0, at)));
        }
    }
    assert_eq!(one.reign(now + 5_000), Reign::Shared);
    assert_eq!(passed, 4 + 5);
    assert_eq!(one.reign(now + 99 + LOST_MS), Reign::Leased);
    assert_eq!(one.reign(now + 100 + LOST_MS), Reign::Shared);
}

#[test]
fn a_redis_that_has_forgotten_is_told_what_was_spent_before_it_grants() {
    let (mut redis, one, other, now) = two();
    let limits = shared(&[rule(Kind::Requests, 10, MINUTE)]);
    for _ in 0..6 {
        assert!(admitted(&one.call(&mut redis, &limits, 0, now)));
    }
    let mut again = Redis::new("second");
    for host in [&one, &other] {
        host.leases().remember(b"second"); // as the connection's pulse tells
    }
    for at in (now + 100..now + 3_000).step_by(50) {
        one.ask(&mut again, at);
        other.ask(&mut again, at);
    }
    let after = now + 3_000;
    let passed = (0..10)
        .filter(|_| admitted(&other.call(&mut again, &limits, 0, after)))
        .count();
    assert_eq!(passed, 4);
}

#[test]
fn a_host_that_starts_waits_for_redis_before_it_keeps_to_a_share() {
    let machine = Machine::new(3, 1_000);
    let limits = shared(&[rule(Kind::Requests, 4, MINUTE)]);
    assert!(matches!(machine.admit(&limits, 0, 1_100), Decided::Short));
    assert!(matches!(machine.admit(&limits, 0, 999 + STARTING_MS), Decided::Short));
    assert!(admitted(&machine.admit(&limits, 0, 1_000 + STARTING_MS)));
}

#[test]
fn a_file_that_nobody_used_is_another_host_with_nothing_leased() {
    let (mut redis, one, _, now) = two();
    let limits = shared(&[rule(Kind::Requests, 4, MINUTE)]);
    assert!(admitted(&one.call(&mut redis, &limits, 0, now)));
    Table::resume(&one.words).vacate(Host::default());
    assert_eq!(one.reign(now), Reign::Alone);
    assert_eq!((one.leases().begin(9, 5), one.leases().begin(10, 6)), (9, 9));
    assert_eq!(one.name, 1);
}

#[test]
fn a_worker_killed_at_any_store_leaves_no_more_than_redis_knows_of() {
    for step in ["admit", "question", "answer", "settle"] {
        let mut stores = 0;
        while !survives_a_kill(step, stores) {
            stores += 1;
        }
        assert!(stores > 3, "{step} was never killed");
    }
}

/// Kills the step before its n-th store; whether it ended first. What both hosts spend after it stays within the limit.
fn survives_a_kill(step: &str, stores: u32) -> bool {
    let (mut redis, one, other, now) = two();
    let limits = shared(&[rule(Kind::Tokens, 1_000, MINUTE)]);
    let Decided::Admitted(mut admission) = one.call(&mut redis, &limits, 100, now) else {
        panic!("not admitted");
    };
    let mut spent = 100;
    let at = now + 100;
    let question = if step == "answer" {
        assert!(matches!(one.admit(&limits, 300, at), Decided::Short));
        one.leases().question(at)
    } else {
        None
    };
    if step == "admit" || step == "question" {
        assert!(matches!(one.admit(&limits, 300, at), Decided::Short));
        if step == "admit" {
            one.ask(&mut redis, at);
        }
    }
    let answer = question.as_ref().map(|question| redis.answer(question, at).unwrap());
    crash::after(Some(stores));
    let killed = catch_unwind(AssertUnwindSafe(|| match step {
        "admit" => drop(one.admit(&limits, 300, at)),
        "settle" => one.table(at).settle(&mut admission, 50, 0, at + one.off_ms),
        "question" => drop(one.leases().question(at)),
        _ => one.leases().answered(&question.unwrap(), &answer.unwrap(), at),
    }))
    .is_err();
    crash::after(None);
    if step == "admit" && !killed {
        spent += 300;
    }
    if step == "settle" && !killed {
        spent = 50;
    }
    // Far enough on that what was asked and never answered counts as lost.
    let later = at + 1_100;
    for _ in 0..60 {
        for host in [&one, &other] {
            host.ask(&mut redis, later);
            spent += 20 * u64::from(admitted(&host.call(&mut redis, &limits, 20, later)));
        }
    }
    assert!(spent <= 1_000, "{step} killed before store {stores}: {spent} spent");
    !killed
}
