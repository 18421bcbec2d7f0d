//! The protocol as a whole against the plainest model there is: all that was ever spent, added up anew each time.

use std::sync::Arc;

use proptest::prelude::*;

use super::redis::Redis;
use super::{Decided, MINUTE, Machine, NOON, rule, shared};
use crate::leases::{Answer, Question, Reign};
use crate::limits::{Admission, Kind, LimitSet};

const HOSTS: usize = 3;
/// More hosts than these, all cut off while Redis forgets, could each spend a share of their own.
const HOSTS_THAT_LOSE: usize = 2;
const REQUESTS: u64 = 12;
const TOKENS: u64 = 400;
const SLOTS: u64 = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    Call {
        host: usize,
        tokens: u64,
    },
    /// A question leaves the host. It arrives after so long, if at all; likewise its answer.
    Ask {
        host: usize,
        there_ms: Option<u64>,
        back_ms: Option<u64>,
        twice: bool,
    },
    Settle {
        which: usize,
        part: u64,
    },
    Cancel {
        which: usize,
    },
    Release {
        which: usize,
    },
    SetClock {
        host: usize,
        by_ms: u64,
        forward: bool,
    },
    Forget,
}

fn steps(forgets: bool) -> impl Strategy<Value = Vec<Step>> {
    let host = 0..if forgets { HOSTS_THAT_LOSE } else { HOSTS };
    let way = || prop_oneof![6 => (0..40_u64).prop_map(Some), 1 => (0..1_800_u64).prop_map(Some), 1 => Just(None)];
    let wait = prop_oneof![6 => 0..60_u64, 2 => 0..3_000_u64, 1 => 0..30_000_u64];
    let step = prop_oneof![
        8 => wait.prop_map(Step::Wait),
        12 => (host.clone(), prop_oneof![0..50_u64, 0..=TOKENS]).prop_map(|(host, tokens)| Step::Call { host, tokens }),
        12 => (host.clone(), way(), way(), prop::bool::weighted(0.1))
            .prop_map(|(host, there_ms, back_ms, twice)| Step::Ask { host, there_ms, back_ms, twice }),
        3 => (any::<usize>(), 0..=100_u64).prop_map(|(which, part)| Step::Settle { which, part }),
        2 => any::<usize>().prop_map(|which| Step::Cancel { which }),
        6 => any::<usize>().prop_map(|which| Step::Release { which }),
        1 => (host, 0..200_000_u64, any::<bool>())
            .prop_map(|(host, by_ms, forward)| Step::SetClock { host, by_ms, forward }),
        u32::from(forgets) => Just(Step::Forget),
    ];
    prop::collection::vec(step, 1..250)
}

/// One call that passed: when, on which host, and what it has spent.
struct Passed {
    at_ms: u64,
    host: usize,
    tokens: u64,
    requests: u64,
    admission: Admission,
}

enum Letter {
    Question(Question),
    Answer(Question, Result<Answer, String>),
}

struct World {
    redis: Redis,
    hosts: Vec<Machine>,
    limits: Arc<LimitSet>,
    now_ms: u64,
    passed: Vec<Passed>,
    /// When each arrives, at which host it began, whether it is answered, and after how long.
    under_way: Vec<(u64, usize, Letter, Option<u64>)>,
    forgot_ms: Option<u64>,
    times: u64,
}

impl World {
    fn new(times: u64) -> Self {
        let mut redis = Redis::new("memory");
        let count = if times == 1 { HOSTS } else { HOSTS_THAT_LOSE };
        let hosts: Vec<Machine> = (0..count).map(|name| Machine::new(name as u128 + 1, 1_000)).collect();
        for now in [1_000, 1_400, 4_100] {
            for host in &hosts {
                host.ask(&mut redis, now);
            }
        }
        let limits = shared(&[
            rule(Kind::Requests, REQUESTS, 3_200),
            rule(Kind::Tokens, TOKENS, MINUTE),
            rule(Kind::Concurrency, SLOTS, 0),
        ]);
        Self {
            redis,
            hosts,
            limits,
            now_ms: 4_200,
            passed: Vec::new(),
            under_way: Vec::new(),
            forgot_ms: None,
            times,
        }
    }

    fn wait(&mut self, for_ms: u64) {
        let until_ms = self.now_ms + for_ms;
        loop {
            let due = self.under_way.iter().enumerate().min_by_key(|(_, (at_ms, ..))| *at_ms);
            let Some((index, (at_ms, ..))) = due.filter(|(_, (at_ms, ..))| *at_ms <= until_ms) else {
                break;
            };
            self.now_ms = self.now_ms.max(*at_ms);
            let (_, host, letter, back_ms) = self.under_way.swap_remove(index);
            self.arrive(host, letter, back_ms);
        }
        self.now_ms = until_ms;
    }

    fn arrive(&mut self, host: usize, letter: Letter, back_ms: Option<u64>) {
        match letter {
            Letter::Question(question) => {
                let answer = self.redis.answer(&question, self.now_ms);
                if let Some(back_ms) = back_ms {
                    self.under_way
                        .push((self.now_ms + back_ms, host, Letter::Answer(question, answer), None));
                }
            }
            Letter::Answer(question, Ok(answer)) => {
                self.hosts[host].leases().answered(&question, &answer, self.now_ms);
            }
            Letter::Answer(question, Err(memory)) => {
                self.hosts[host].leases().unanswered(&question);
                self.hosts[host].leases().remember(memory.as_bytes());
            }
        }
    }

    /// The host's steady clock is the simulation's: none of those is ever set.
    fn call(&mut self, host: usize, tokens: u64) {
        // Beyond its patience a host goes by its share, which is the other promise.
        if self.times == 1 && self.hosts[host].reign(self.now_ms) != Reign::Leased {
            return;
        }
        if let Decided::Admitted(admission) = self.hosts[host].admit(&self.limits, tokens, self.now_ms) {
            self.passed.push(Passed {
                at_ms: self.now_ms,
                host,
                tokens,
                requests: 1,
                admission,
            });
        }
    }

    fn step(&mut self, step: Step) {
        let now_ms = self.now_ms;
        match step {
            Step::Wait(for_ms) => self.wait(for_ms),
            Step::Call { host, tokens } => self.call(host, tokens),
            Step::Ask {
                host,
                there_ms,
                back_ms,
                twice,
            } => {
                let question = self.hosts[host].leases().question(now_ms);
                if let (Some(question), Some(there_ms)) = (question, there_ms) {
                    for again in 0..=u64::from(twice) {
                        let letter = Letter::Question(question.clone());
                        self.under_way
                            .push((now_ms + there_ms * (again + 1), host, letter, back_ms));
                    }
                }
            }
            Step::SetClock { host, by_ms, forward } => {
                let off_ms = &mut self.hosts[host].off_ms;
                *off_ms = if forward {
                    *off_ms + by_ms
                } else {
                    (*off_ms - by_ms).max(NOON / 2)
                };
            }
            Step::Forget if self.forgot_ms.is_none_or(|at_ms| now_ms - at_ms > 3 * MINUTE) => {
                self.forgot_ms = Some(now_ms);
                self.redis = Redis::new(&format!("memory {now_ms}"));
            }
            Step::Forget => {}
            Step::Settle { which, .. } | Step::Cancel { which } | Step::Release { which } => {
                if !self.passed.is_empty() {
                    let index = which % self.passed.len();
                    self.end(index, &step);
                }
            }
        }
    }

    fn end(&mut self, index: usize, step: &Step) {
        let passed = &mut self.passed[index];
        let host = &self.hosts[passed.host];
        let (mut table, wall_ms) = (host.table(self.now_ms), self.now_ms + host.off_ms);
        match step {
            Step::Settle { part, .. } => {
                passed.tokens = passed.tokens.min(passed.admission.charged().input_tokens) * part / 100;
                table.settle(&mut passed.admission, passed.tokens, 0, wall_ms);
            }
            Step::Cancel { .. } => {
                (passed.tokens, passed.requests) = (0, 0);
                table.cancel(&mut passed.admission, wall_ms);
            }
            _ => table.release(&mut passed.admission),
        }
    }

    fn check(&self) {
        for (amount, limit, window_ms) in [
            ((|passed| passed.requests) as fn(&Passed) -> u64, REQUESTS, 3_200),
            (|passed| passed.tokens, TOKENS, MINUTE),
        ] {
            let latest = self.passed.iter().map(|passed| passed.at_ms).max().unwrap_or(0);
            let within = self.passed.iter().filter(|passed| latest - passed.at_ms < window_ms);
            let spent: u64 = within.map(amount).sum();
            assert!(spent <= self.times * limit, "{spent} of {limit} in {window_ms} ms");
        }
    }

    fn open(&self) -> u64 {
        self.passed.iter().filter(|passed| passed.admission.is_open()).count() as u64
    }

    /// All is over, every message arrives: after the windows have passed all of every limit can be had again.
    fn check_nothing_leaked(&mut self) {
        for passed in &mut self.passed {
            let host = &self.hosts[passed.host];
            host.table(self.now_ms).release(&mut passed.admission);
        }
        for _ in 0..1_600 {
            self.wait(50);
            for host in &self.hosts {
                host.ask(&mut self.redis, self.now_ms);
            }
        }
        // Wall clocks may have been set; what this host itself counts is not what is looked at here.
        self.hosts[0].off_ms += 1_000 * MINUTE;
        let now_ms = self.now_ms;
        let mut held = Vec::new();
        for tokens in [TOKENS - 3, 1, 1, 1] {
            match self.hosts[0].call(&mut self.redis, &self.limits, tokens, now_ms) {
                Decided::Admitted(admission) => held.push(admission),
                decided => panic!("leaked: {decided:?}"),
            }
        }
        assert_eq!(held.len() as u64, SLOTS);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn never_more_than_the_limit_over_all_hosts_while_redis_remembers(steps in steps(false)) {
        let mut world = World::new(1);
        for step in steps {
            world.step(step);
            world.check();
        }
        world.check_nothing_leaked();
    }

    #[test]
    fn never_more_than_twice_the_limit_when_redis_forgets(steps in steps(true)) {
        let mut world = World::new(2);
        for step in steps {
            world.step(step);
            world.check();
            prop_assert!(world.open() <= 2 * SLOTS);
        }
        world.check_nothing_leaked();
    }
}
