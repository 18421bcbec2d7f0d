#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::crash;
use super::window::{BUCKETS, width_ms};
use super::*;

mod kinds;

const MINUTE: u64 = 60_000;
const NOON: u64 = 1_800_000_000_000;

fn memory(capacity: usize) -> Vec<AtomicU64> {
    let words: Vec<AtomicU64> = (0..words_for(capacity)).map(|_| AtomicU64::new(u64::MAX)).collect();
    Table::format(&words, Host::default());
    words
}

fn seat(words: &[AtomicU64]) -> Seat {
    Table::resume(words).join(Process { pid: 1, start_ticks: 1 }).unwrap()
}

fn rule(scope: &str, kind: Kind, limit: u64, window_ms: u64) -> Rule {
    Rule {
        scope: scope.into(),
        kind,
        limit,
        window_ms,
    }
}

fn set(rules: &[Rule]) -> Arc<LimitSet> {
    Arc::new(LimitSet::new(rules.to_vec()).unwrap())
}

fn four_rules(scope: &str) -> Arc<LimitSet> {
    set(&[
        rule(scope, Kind::Requests, 5, MINUTE),
        rule(scope, Kind::Tokens, 1_000, MINUTE),
        rule(scope, Kind::Concurrency, 3, 0),
        rule("key", Kind::Requests, 4, 1_000),
    ])
}

/// A call whose prompt has `tokens`.
fn call(tokens: u64) -> Demand {
    Demand {
        requests: 1,
        input_tokens: tokens,
        output_tokens: 0,
    }
}

/// A call whose prompt has some tokens, and whose answer may have others.
fn exchange(input_tokens: u64, output_tokens: u64) -> Demand {
    Demand {
        requests: 1,
        input_tokens,
        output_tokens,
    }
}

fn ask(words: &[AtomicU64], seat: Seat, limits: &Arc<LimitSet>, tokens: u64, now: u64) -> Result<Admission, Refusal> {
    demand(words, seat, limits, call(tokens), now)
}

fn demand(
    words: &[AtomicU64],
    seat: Seat,
    limits: &Arc<LimitSet>,
    demand: Demand,
    now: u64,
) -> Result<Admission, Refusal> {
    match Table::resume(words).admit(seat, limits, demand, now).unwrap() {
        Outcome::Admitted(admission) => Ok(admission),
        Outcome::Refused(refusal) => Err(refusal),
        Outcome::Short(_) => panic!("nothing is shared"),
    }
}

fn remaining(words: &[AtomicU64], limits: &LimitSet, now: u64) -> Vec<u64> {
    Table::resume(words)
        .status(limits, now)
        .iter()
        .map(|rule| rule.level.remaining)
        .collect()
}

#[test]
fn a_set_of_rules_is_checked_when_it_is_built() {
    let twice = [rule("a", Kind::Tokens, 1, 10), rule("a", Kind::Tokens, 2, 10)];
    assert!(matches!(LimitSet::new(twice.to_vec()), Err(RuleError::Twice { .. })));
    let windowed = rule("a", Kind::Concurrency, 1, 10);
    assert!(matches!(LimitSet::new(vec![windowed]), Err(RuleError::Window { .. })));
    let endless = rule("a", Kind::Requests, 1, 0);
    assert!(matches!(LimitSet::new(vec![endless]), Err(RuleError::Window { .. })));
    let many = (0..=MAX_RULES)
        .map(|index| rule(&index.to_string(), Kind::Tokens, 1, 10))
        .collect();
    assert_eq!(LimitSet::new(many), Err(RuleError::TooMany(MAX_RULES + 1)));
}

#[test]
fn what_is_charged_shows_in_the_levels_of_the_tightest_rules() {
    let words = memory(64);
    let seat = seat(&words);
    let limits = four_rules("tenant");
    let admission = ask(&words, seat, &limits, 100, NOON).unwrap();
    let requests = Level {
        limit: 4,
        remaining: 3,
        reset_ms: 33 * width_ms(1_000),
    };
    let tokens = Level {
        limit: 1_000,
        remaining: 900,
        reset_ms: 33 * 1_875,
    };
    assert_eq!(
        admission.levels().collect::<Vec<_>>(),
        [(Kind::Requests, requests), (Kind::Tokens, tokens)]
    );
    assert_eq!(remaining(&words, &limits, NOON), [4, 900, 2, 3]);
    assert_eq!(Table::resume(&words).in_flight(), 1);
}

#[test]
fn a_refusal_names_the_rule_that_holds_longest_and_consumes_nothing() {
    let words = memory(64);
    let seat = seat(&words);
    let limits = four_rules("tenant");
    let _held: Vec<_> = (0..3).map(|_| ask(&words, seat, &limits, 300, NOON).unwrap()).collect();
    let before = remaining(&words, &limits, NOON);
    let refusal = ask(&words, seat, &limits, 101, NOON + 5).unwrap_err();
    assert_eq!(
        (refusal.rule().kind, refusal.remaining, refusal.too_large),
        (Kind::Tokens, 100, false)
    );
    assert_eq!(refusal.retry_after_ms, 33 * 1_875 - 5);
    let refusal = ask(&words, seat, &limits, 1, NOON).unwrap_err();
    assert_eq!(
        (refusal.rule().kind, refusal.retry_after_ms),
        (Kind::Concurrency, CONCURRENCY_RETRY_MS)
    );
    let refusal = ask(&words, seat, &limits, 1_001, NOON).unwrap_err();
    assert_eq!(
        (refusal.rule().kind, refusal.retry_after_ms, refusal.too_large),
        (Kind::Tokens, 0, true)
    );
    assert_eq!(remaining(&words, &limits, NOON), before);
}

#[test]
fn settling_goes_up_and_down_and_the_last_word_holds() {
    let words = memory(64);
    let seat = seat(&words);
    let limits = set(&[rule("t", Kind::Tokens, 100, MINUTE)]);
    let mut admission = ask(&words, seat, &limits, 60, NOON).unwrap();
    for (tokens, left) in [(10, 90), (10, 90), (150, 0), (30, 70)] {
        Table::resume(&words).settle(&mut admission, tokens, 0, NOON + 1);
        assert_eq!(remaining(&words, &limits, NOON + 1), [left]);
    }
    Table::resume(&words).settle(&mut admission, 50, 100, NOON + 1);
    let refusal = ask(&words, seat, &limits, 0, NOON + 2).unwrap_err();
    assert_eq!((refusal.remaining, refusal.too_large), (0, false));
    // Its bucket is gone: what is said now is about another window.
    Table::resume(&words).settle(&mut admission, 99, 0, NOON + 2 * MINUTE);
    assert_eq!(remaining(&words, &limits, NOON + 2 * MINUTE), [100]);
}

#[test]
fn release_and_cancel_are_idempotent_and_cancel_returns_everything() {
    let words = memory(64);
    let seat = seat(&words);
    let limits = four_rules("tenant");
    let mut kept = ask(&words, seat, &limits, 10, NOON).unwrap();
    let mut cancelled = ask(&words, seat, &limits, 10, NOON).unwrap();
    for _ in 0..2 {
        Table::resume(&words).cancel(&mut cancelled, NOON);
        assert_eq!(remaining(&words, &limits, NOON), [4, 990, 2, 3]);
        Table::resume(&words).settle(&mut kept, 10, 0, NOON);
    }
    for _ in 0..2 {
        Table::resume(&words).release(&mut kept);
        assert_eq!(remaining(&words, &limits, NOON), [4, 990, 3, 3]);
        assert_eq!(Table::resume(&words).in_flight(), 0);
    }
}

#[test]
fn a_clock_set_back_a_little_counts_in_the_newest_bucket() {
    let words = memory(64);
    let seat = seat(&words);
    let limits = set(&[rule("t", Kind::Requests, 2, MINUTE)]);
    ask(&words, seat, &limits, 0, NOON).unwrap();
    ask(&words, seat, &limits, 0, NOON - 30_000).unwrap();
    let refusal = ask(&words, seat, &limits, 0, NOON - 30_000).unwrap_err();
    assert_eq!(refusal.retry_after_ms, 33 * 1_875 + 30_000);
    ask(&words, seat, &limits, 0, NOON - 30_000 + refusal.retry_after_ms).unwrap();
}

#[test]
fn a_clock_set_back_by_years_frees_the_counter_after_one_window() {
    let words = memory(64);
    let seat = seat(&words);
    let limits = set(&[rule("t", Kind::Requests, 2, MINUTE)]);
    let past = NOON - 100_000_000_000;
    for now in [NOON - MINUTE / 2, NOON] {
        ask(&words, seat, &limits, 0, now).unwrap();
    }
    let refusal = ask(&words, seat, &limits, 0, past).unwrap_err();
    assert!(refusal.retry_after_ms <= 33 * 1_875);
    assert_eq!(remaining(&words, &limits, past), [0]);
    // Being asked again does not put the end off.
    for now in [past + 20_000, past + 40_000] {
        assert_eq!(
            now + ask(&words, seat, &limits, 0, now).unwrap_err().retry_after_ms,
            past + refusal.retry_after_ms
        );
    }
    ask(&words, seat, &limits, 0, past + refusal.retry_after_ms).unwrap();
}

#[test]
fn what_was_counted_before_a_clock_was_set_back_is_still_charged_with() {
    let words = memory(64);
    let seat = seat(&words);
    let limits = set(&[rule("t", Kind::Requests, 2, MINUTE)]);
    let past = NOON - 100_000_000_000;
    for now in [NOON - MINUTE / 2, NOON] {
        ask(&words, seat, &limits, 0, now).unwrap();
    }
    let wider = set(&[rule("t", Kind::Requests, 3, MINUTE)]);
    ask(&words, seat, &wider, 0, past).unwrap();
    assert_eq!(remaining(&words, &wider, past + MINUTE), [0]);
    assert_eq!(remaining(&words, &wider, past + 33 * 1_875), [3]);
}

#[test]
fn a_full_table_refuses_until_a_counter_is_idle() {
    let words = memory(16);
    let seat = seat(&words);
    let limits = |scope: usize| set(&[rule(&scope.to_string(), Kind::Requests, 9, MINUTE)]);
    for scope in 0..16 {
        ask(&words, seat, &limits(scope), 0, NOON).unwrap();
    }
    let both = set(&[
        rule("0", Kind::Requests, 9, MINUTE),
        rule("new", Kind::Requests, 9, MINUTE),
    ]);
    let refused = Table::resume(&words).admit(seat, &both, call(0), NOON);
    assert!(matches!(refused, Err(NotAdmitted::Full)));
    assert_eq!(Table::resume(&words).full_refusals(), 1);
    assert_eq!(remaining(&words, &both, NOON), [8, 9]);
    ask(&words, seat, &both, 0, NOON + 33 * 1_875).unwrap();
    assert_eq!(remaining(&words, &both, NOON + 33 * 1_875), [8, 8]);
}

#[test]
fn a_counter_that_holds_a_slot_is_never_reclaimed() {
    let words = memory(16);
    let seat = seat(&words);
    let limits = |scope: usize| set(&[rule(&scope.to_string(), Kind::Concurrency, 1, 0)]);
    let mut held: Vec<_> = (0..16)
        .map(|scope| ask(&words, seat, &limits(scope), 0, NOON).unwrap())
        .collect();
    let later = NOON + 1_000 * MINUTE;
    assert!(Table::resume(&words).admit(seat, &limits(16), call(0), later).is_err());
    Table::resume(&words).release(&mut held[7]);
    ask(&words, seat, &limits(16), 0, later).unwrap();
    assert!(ask(&words, seat, &limits(6), 0, later).is_err());
}

#[test]
fn the_table_takes_counters_until_it_is_nearly_full() {
    let words = memory(4_096);
    let seat = seat(&words);
    let full = (0..4_096)
        .position(|scope: usize| {
            let limits = set(&[rule(&scope.to_string(), Kind::Requests, 9, MINUTE)]);
            Table::resume(&words).admit(seat, &limits, call(0), NOON).is_err()
        })
        .unwrap_or(4_096);
    assert!(full > 4_096 * 90 / 100, "full at {full}");
}

#[test]
fn a_buried_worker_gives_its_slots_back_and_its_column_is_cleaned_before_it_is_reused() {
    let words = memory(64);
    let (first, second) = (seat(&words), seat(&words));
    let limits = set(&[rule("t", Kind::Concurrency, 2, 0)]);
    let mut lost = ask(&words, first, &limits, 0, NOON).unwrap();
    let _also_lost = ask(&words, first, &limits, 0, NOON).unwrap();
    assert!(ask(&words, second, &limits, 0, NOON).is_err());
    let mut table = Table::resume(&words);
    assert!(table.bury(first));
    assert!(!table.bury(first));
    assert_eq!((table.in_flight(), table.to_clean()), (0, 1 << first.column));
    assert_eq!(table.join(Process { pid: 2, start_ticks: 2 }).unwrap().column, 2);
    table.clean(1 << first.column, 0, table.cleanable());
    table.free(1 << first.column);
    let heir = table.join(Process { pid: 3, start_ticks: 3 }).unwrap();
    assert_eq!(heir.column, first.column);
    let _held = ask(&words, heir, &limits, 0, NOON).unwrap();
    // The dead worker's admission cannot give back what its heir holds.
    Table::resume(&words).release(&mut lost);
    assert_eq!(remaining(&words, &limits, NOON), [1]);
    assert!(matches!(
        Table::resume(&words).admit(first, &limits, call(0), NOON),
        Err(NotAdmitted::NotSeated)
    ));
}

#[test]
fn a_vacated_ledger_keeps_its_windows_and_frees_its_slots() {
    let words = memory(64);
    let limits = four_rules("tenant");
    let worker = seat(&words);
    let _lost = ask(&words, worker, &limits, 10, NOON).unwrap();
    let host = Host {
        boot_id: 7 << 100 | 5,
        pid_namespace: 9,
    };
    let mut table = Table::resume(&words);
    table.vacate(host);
    assert_eq!((table.host(), table.seats().count(), table.to_clean()), (host, 0, 0));
    assert_eq!(remaining(&words, &limits, NOON), [4, 990, 3, 3]);
}

#[test]
fn sixty_four_workers_find_a_seat_and_the_next_does_not() {
    let words = memory(64);
    let mut table = Table::resume(&words);
    let process = Process { pid: 1, start_ticks: 1 };
    let seats: Vec<Seat> = (0..COLUMNS).map(|_| table.join(process).unwrap()).collect();
    assert_eq!(table.join(process), None);
    let limits = set(&[rule("t", Kind::Concurrency, 64, 0)]);
    for seat in seats {
        ask(&words, seat, &limits, 0, NOON).unwrap();
    }
    assert_eq!(remaining(&words, &limits, NOON), [0]);
}

#[test]
fn memory_that_is_not_this_ledger_is_told_apart() {
    let words = memory(64);
    let check = |capacity| Table::check(&words[..16], capacity, true);
    assert_eq!(
        (check(64), check(60), check(65)),
        (Ok(()), Ok(()), Err(Fault::Capacity(64)))
    );
    assert_eq!(Table::check(&words, 64, false), Err(Fault::Unfinished));
    assert_eq!(Table::check(&words[..15], 64, true), Err(Fault::Unfinished));
    assert_eq!(Table::check(&[], 64, true), Err(Fault::Unfinished));
    words[1].store(99, Ordering::Relaxed);
    assert_eq!(check(64), Err(Fault::Version(99)));
    words[0].store(99, Ordering::Relaxed);
    assert_eq!(check(64), Err(Fault::Foreign));
    words[0].store(0, Ordering::Relaxed);
    assert_eq!(check(64), Err(Fault::Unfinished));
}

#[test]
fn a_worker_killed_at_any_store_leaves_all_or_nothing() {
    for operation in ["admit", "move on", "settle", "grow", "release", "cancel"] {
        let mut stores = 0;
        while !survives_a_kill(operation, stores) {
            stores += 1;
        }
        assert!(stores > 3, "{operation} was never killed");
    }
}

/// Kills the operation before its n-th store and checks what the next holder of the lock finds; whether it ended first.
fn survives_a_kill(operation: &str, stores: u32) -> bool {
    let words = memory(64);
    let (victim, heir) = (seat(&words), seat(&words));
    let limits = four_rules("tenant");
    let mut admission = ask(&words, victim, &limits, 100, NOON).unwrap();
    let now = if operation == "move on" { NOON + 500 } else { NOON };
    let before = remaining(&words, &limits, now);
    let run = |admission: &mut Admission| {
        let mut table = Table::resume(&words);
        match operation {
            "settle" => table.settle(admission, 30, 20, now),
            "grow" => drop(table.grow(admission, 100, now)),
            "release" => table.release(admission),
            "cancel" => table.cancel(admission, now),
            _ => drop(table.admit(victim, &limits, call(10), now)),
        }
    };
    crash::after(Some(stores));
    let killed = catch_unwind(AssertUnwindSafe(|| run(&mut admission))).is_err();
    crash::after(None);
    let found = remaining(&words, &limits, now);
    let after = match operation {
        "settle" => [4, 950, 2, 3],
        "grow" => [4, 800, 2, 3],
        "release" => [4, 900, 3, 3],
        "cancel" => [5, 1_000, 3, 4],
        _ => [3, 890, 1, 2],
    };
    assert!(
        found == before || found == after,
        "{operation} killed before store {stores}: {found:?}"
    );
    assert!(killed || found == after);
    Table::resume(&words).bury(victim);
    assert_eq!(remaining(&words, &limits, now)[2], 3);
    ask(&words, heir, &limits, 0, now).unwrap();
    !killed
}

#[test]
fn a_worker_killed_while_following_a_clock_back_never_leaves_less() {
    for stores in 0..50 {
        let words = memory(16);
        let seat = seat(&words);
        let limits = set(&[rule("t", Kind::Requests, 9, MINUTE)]);
        for now in [NOON - MINUTE / 2, NOON] {
            ask(&words, seat, &limits, 0, now).unwrap();
        }
        crash::after(Some(stores));
        let _ = catch_unwind(AssertUnwindSafe(|| {
            ask(&words, seat, &limits, 0, NOON - 10 * MINUTE).map(drop)
        }));
        crash::after(None);
        assert!(remaining(&words, &limits, NOON - 10 * MINUTE)[0] <= 7);
        let _ = ask(&words, seat, &limits, 0, NOON - 10 * MINUTE);
        assert_eq!(remaining(&words, &limits, NOON - 8 * MINUTE), [9]);
    }
}

#[test]
fn a_worker_killed_while_claiming_a_counter_leaves_an_empty_way() {
    for stores in 0..200 {
        let words = memory(16);
        let seat = seat(&words);
        let limits = set(&[rule("t", Kind::Requests, 1, MINUTE)]);
        crash::after(Some(stores));
        let _ = catch_unwind(AssertUnwindSafe(|| ask(&words, seat, &limits, 0, NOON).map(drop)));
        crash::after(None);
        let left = remaining(&words, &limits, NOON)[0];
        assert_eq!(ask(&words, seat, &limits, 0, NOON).is_ok(), left == 1);
    }
}

/// The naive ledger: every charge with its bucket, summed anew for every question.
#[derive(Default)]
struct Log(Vec<(u64, Demand)>);

/// What a demand takes of requests, of all tokens, of prompts' and of answers'.
fn amounts(demand: Demand) -> [u64; 4] {
    let Demand {
        requests,
        input_tokens,
        output_tokens,
    } = demand;
    [requests, input_tokens + output_tokens, input_tokens, output_tokens]
}

impl Log {
    fn used(&self, bucket: u64) -> [u64; 4] {
        let counted = self.0.iter().filter(|(at, _)| *at + BUCKETS >= bucket);
        counted.fold([0; 4], |sum, (_, demand)| {
            let more = amounts(*demand);
            std::array::from_fn(|kind| sum[kind] + more[kind])
        })
    }

    fn counts(&self, index: usize, bucket: u64) -> bool {
        self.0[index].0 + BUCKETS >= bucket
    }

    fn change(&mut self, index: usize, bucket: u64, demand: Demand) {
        if self.counts(index, bucket) {
            self.0[index].1 = demand;
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Admit { input: u64, output: u64, wait_ms: u64 },
    Settle { which: usize, input: u64, output: u64 },
    Grow { which: usize, output: u64 },
    Cancel { which: usize },
    Release { which: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wait_ms = prop_oneof![4 => 0..200_u64, 1 => 0..5_000_u64];
    let step = prop_oneof![
        6 => (0..60_u64, 0..60_u64, wait_ms).prop_map(|(input, output, wait_ms)| Step::Admit { input, output, wait_ms }),
        2 => (any::<usize>(), 0..100_u64, 0..100_u64)
            .prop_map(|(which, input, output)| Step::Settle { which, input, output }),
        2 => (any::<usize>(), 0..200_u64).prop_map(|(which, output)| Step::Grow { which, output }),
        1 => any::<usize>().prop_map(|which| Step::Cancel { which }),
        2 => any::<usize>().prop_map(|which| Step::Release { which }),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn the_ledger_agrees_with_the_naive_log(
        steps in steps(),
        window_ms in prop_oneof![Just(1_000_u64), Just(3_200), 1..5_000_u64],
        start in 0..u64::from(u32::MAX),
    ) {
        // Requests, all tokens, those of prompts, those of answers.
        let most = [8, 300, 200, 180];
        let slots = 5;
        let mut rules: Vec<_> = Kind::ALL.into_iter().zip(most).map(|(kind, most)| rule("t", kind, most, window_ms)).collect();
        rules.push(rule("t", Kind::Concurrency, slots, 0));
        let limits = set(&rules);
        let words = memory(16);
        let seat = seat(&words);
        let width = width_ms(window_ms);
        let mut now = start;
        let mut log = Log::default();
        let mut held: Vec<(Admission, usize)> = Vec::new();
        for step in steps {
            let bucket = now / width;
            let fits = |log: &Log, bucket, more: Demand| {
                log.used(bucket).into_iter().zip(amounts(more)).zip(most).all(|((used, more), most)| used + more <= most)
            };
            match step {
                Step::Admit { input, output, wait_ms } => {
                    now += wait_ms;
                    let bucket = now / width;
                    let open = held.iter().filter(|(admission, _)| admission.is_open()).count() as u64;
                    let asked = exchange(input, output);
                    match demand(&words, seat, &limits, asked, now) {
                        Ok(admission) => {
                            prop_assert!(fits(&log, bucket, asked) && open < slots);
                            held.push((admission, log.0.len()));
                            log.0.push((bucket, asked));
                            let left: Vec<_> = held.last().unwrap().0.levels().map(|(_, level)| level.remaining).collect();
                            let expected: Vec<_> = most.iter().zip(log.used(bucket)).map(|(most, used)| most - used).collect();
                            prop_assert_eq!(left, expected);
                        }
                        Err(refusal) if refusal.rule().kind == Kind::Concurrency => prop_assert_eq!(open, slots),
                        Err(refusal) => {
                            prop_assert!(!refusal.too_large);
                            prop_assert!(fits(&log, (now + refusal.retry_after_ms) / width, asked));
                            prop_assert!(!fits(&log, (now + refusal.retry_after_ms - 1) / width, asked));
                        }
                    }
                }
                _ if held.is_empty() => {}
                Step::Settle { which, input, output } => {
                    let length = held.len();
                    let (admission, index) = &mut held[which % length];
                    Table::resume(&words).settle(admission, input, output, now);
                    log.change(*index, bucket, Demand { input_tokens: input, output_tokens: output, ..log.0[*index].1 });
                }
                Step::Grow { which, output } => {
                    let length = held.len();
                    let (admission, index) = &mut held[which % length];
                    let (is_open, charged) = (admission.is_open(), admission.charged());
                    let grown = Table::resume(&words).grow(admission, output, now);
                    let more = output.saturating_sub(charged.output_tokens);
                    let is_idle = !is_open || more == 0 || !log.counts(*index, bucket);
                    // Of a rule that is above its limit already, no more is had; that of requests and of prompts is not asked.
                    let used = log.used(bucket);
                    prop_assert_eq!(grown, is_idle || (used[1] + more <= most[1] && used[3] + more <= most[3]));
                    if grown && !is_idle {
                        log.0[*index].1.output_tokens = output;
                    }
                }
                Step::Cancel { which } => {
                    let length = held.len();
                    let (mut admission, index) = held.swap_remove(which % length);
                    Table::resume(&words).cancel(&mut admission, now);
                    log.change(index, bucket, Demand::default());
                }
                Step::Release { which } => {
                    let length = held.len();
                    Table::resume(&words).release(&mut held[which % length].0);
                }
            }
        }
    }

    #[test]
    fn never_more_than_the_limit_within_any_window(
        waits in prop::collection::vec(0..90_u64, 1..200),
        window_ms in 1..2_000_u64,
        limit in 1..12_u64,
        slew in prop::collection::vec(0..40_u64, 200),
    ) {
        let limits = set(&[rule("t", Kind::Requests, limit, window_ms)]);
        let words = memory(16);
        let seat = seat(&words);
        let (mut now, mut admitted) = (NOON, Vec::new());
        for (wait, slew) in waits.into_iter().zip(slew) {
            now += wait;
            // Another worker read its clock a moment earlier than it got the lock.
            if ask(&words, seat, &limits, 0, now - slew.min(window_ms)).is_ok() {
                admitted.push(now);
            }
        }
        for (index, first) in admitted.iter().enumerate() {
            let within = admitted[index..].iter().take_while(|at| *at - first < window_ms.saturating_sub(40)).count();
            prop_assert!(within as u64 <= limit);
        }
    }

    #[test]
    fn damaged_memory_is_refused_or_counted_but_never_panics(
        damage in prop::collection::vec((2..words_for(16), any::<u64>()), 1..40),
        now in any::<u64>(),
    ) {
        let words = memory(16);
        let worker = seat(&words);
        let limits = four_rules("tenant");
        drop(ask(&words, worker, &limits, 1, NOON));
        for (at, value) in damage {
            words[at].store(value, Ordering::Relaxed);
        }
        let mut table = Table::resume(&words);
        let _ = table.status(&limits, now);
        if let Ok(Outcome::Admitted(mut admission)) = table.admit(worker, &limits, call(5), now) {
            table.settle(&mut admission, 3, 2, now);
            let _ = table.grow(&mut admission, 7, now);
            table.release(&mut admission);
            table.cancel(&mut admission, now);
        }
        let _ = table.in_flight();
        table.vacate(Host::default());
    }
}
