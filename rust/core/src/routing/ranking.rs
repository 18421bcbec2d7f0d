//! Looking at a pool's targets, under the lock, and what comes of it, after the lock was let go.

use super::board::Board;
use super::breaker::{Breaker, State as Own};
use super::entry::route;
use super::latency::{Kind, Latency};
use super::order::{self, Pace};
use super::pool::{Pool, Strategy};

/// A target that is no candidate for the strategy latency is asked all the same: for one call in so many of the route, when
/// nothing was heard of it for so long…
const EXPLORED_EVERY_CALLS: u64 = 1_000;
const EXPLORED_AFTER_MS: u64 = 5_000;
/// …or when nothing was heard of it for this long.
const FORGOTTEN_AFTER_MS: u64 = 300_000;

/// What is asked of a ranking.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Which targets come into question.
    pub mask: u64,
    /// Unix time.
    pub now_ms: u64,
    /// 64 random bits.
    pub chance: u64,
    /// Which latency matters.
    pub kind: Kind,
    /// A hash of what sticks to one target.
    pub sticky: u64,
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// Whether this host begins half-opens by itself; else a target whose cooldown is over waits for a grant.
    pub grants_itself: bool,
}

/// How a target stands, to whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It takes calls.
    Closed,
    /// It takes none.
    Open,
    /// It takes a few, which must succeed.
    HalfOpen,
    /// It asked to be left alone.
    Cooling,
}

impl State {
    /// The name used in errors and answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Cooling => "cooling",
        }
    }

    /// The state, and when it may end.
    pub(super) fn of(breaker: &Breaker, now_ms: u64, grants_itself: bool) -> (Self, u64) {
        match breaker.state {
            Own::Open if !breaker.takes_probe(now_ms, grants_itself) => (Self::Open, breaker.until_ms),
            _ if breaker.is_cooling(now_ms) => (Self::Cooling, breaker.cool_until_ms),
            Own::Open | Own::HalfOpen => (Self::HalfOpen, breaker.until_ms),
            Own::Closed => (Self::Closed, 0),
        }
    }
}

/// How one target of a ranking stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Which target of the pool.
    pub index: usize,
    /// Its breaker, or that it is cooling.
    pub state: State,
    /// When that may end; zero for a closed one.
    pub until_ms: u64,
    /// What it is measured by, the lower the better; none where chance or the turn decides.
    pub score: Option<f64>,
    /// Calls that live workers have open.
    pub in_flight: u64,
    /// The peak of the latencies of the kind asked for, which falls slowly.
    pub latency_us: Option<u64>,
    pub(super) may_be_asked: bool,
    pub(super) ramp: f64,
    pub(super) mean_us: u64,
    /// How long nothing was heard though somebody waits.
    pub(super) silent_us: u64,
    told_ms: u64,
    asked_again_ms: u64,
    is_limited: bool,
}

impl Standing {
    fn unknown(index: usize) -> Self {
        Self {
            index,
            state: State::Closed,
            until_ms: 0,
            score: None,
            in_flight: 0,
            latency_us: None,
            may_be_asked: true,
            ramp: 1.0,
            mean_us: 0,
            silent_us: 0,
            told_ms: 0,
            asked_again_ms: 0,
            is_limited: false,
        }
    }
}

/// Who may be asked, best first, and how all of the mask stand.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// Indices of those that may be asked now.
    pub order: Vec<u8>,
    /// When the first of the others may be; zero when nobody knows.
    pub retry_at_ms: u64,
    /// All others, and there are some, are cooling because of a rate limit.
    pub is_limited: bool,
    /// All of the mask, as they were seen.
    pub standings: Vec<Standing>,
}

/// What was seen under the lock.
#[derive(Debug)]
pub struct Sight {
    standings: Vec<Standing>,
    turn: u64,
    explored: Option<usize>,
}

impl Sight {
    /// Room for what will be seen of `pool`, so that none is sought under the lock.
    #[must_use]
    pub fn of(pool: &Pool) -> Self {
        Self {
            standings: Vec::with_capacity(pool.targets.len()),
            turn: 0,
            explored: None,
        }
    }

    /// Puts what was seen in order.
    #[must_use]
    pub fn ranked(mut self, pool: &Pool, ask: &Ask) -> Ranking {
        let order = order::arranged(pool, ask, &mut self.standings, self.turn, self.explored);
        let others = || self.standings.iter().filter(|standing| !standing.may_be_asked);
        let times = others().map(|standing| standing.asked_again_ms);
        Ranking {
            order,
            retry_at_ms: times.filter(|ms| *ms > 0).min().unwrap_or(0),
            is_limited: others().count() > 0 && others().all(|standing| standing.is_limited),
            standings: self.standings,
        }
    }
}

impl Board<'_> {
    /// Looks at those of the mask, and takes a turn or the exploration of a slow one where the strategy does so.
    pub fn look(&mut self, pool: &Pool, ask: &Ask, sight: &mut Sight) {
        for (index, target) in pool.targets.iter().enumerate() {
            if ask.mask >> index & 1 == 0 {
                continue;
            }
            let standing = match self.find(&target.name) {
                None => Standing::unknown(index),
                Some(place) => {
                    self.touch(place, ask.now_ms);
                    let breaker = Breaker::read(self.words(), place);
                    let (state, until_ms) = State::of(&breaker, ask.now_ms, ask.grants_itself);
                    let latency = Latency::new(self.words(), place, ask.kind);
                    let in_flight = self.in_flight(place);
                    Standing {
                        index,
                        state,
                        until_ms,
                        score: None,
                        in_flight,
                        latency_us: latency.peak_us(),
                        may_be_asked: breaker.may_be_asked(ask.now_ms, ask.grants_itself),
                        ramp: match state {
                            State::Closed => breaker.ramp(ask.now_ms),
                            _ => 1.0,
                        },
                        mean_us: latency.mean_us(),
                        // The silence of one whom nobody calls any more (its caller was killed) says nothing.
                        silent_us: match in_flight {
                            0 => 0,
                            _ => latency.silent_ms(ask.now_ms).saturating_mul(1_000),
                        },
                        told_ms: latency.told_ms(),
                        asked_again_ms: breaker.asked_again_ms(ask.now_ms, ask.grants_itself),
                        is_limited: state == State::Cooling && breaker.cool_limited,
                    }
                }
            };
            sight.standings.push(standing);
        }
        match pool.strategy {
            Strategy::RoundRobin => sight.turn = self.take_turn(pool, ask.now_ms),
            Strategy::Latency => sight.explored = self.explore(pool, ask, &sight.standings),
            _ => {}
        }
    }

    fn take_turn(&mut self, pool: &Pool, now_ms: u64) -> u64 {
        let Some(place) = self.find_or_make(&pool.route, now_ms) else {
            // Without a place for the turn it is anybody's.
            return now_ms;
        };
        let at = place.base + route::TURN;
        let turn = self.words().get(at);
        self.words().set(at, turn.wrapping_add(1));
        turn
    }

    /// The slow target that is to be asked all the same, to hear whether it still is slow.
    fn explore(&mut self, pool: &Pool, ask: &Ask, standings: &[Standing]) -> Option<usize> {
        let weighed = |standing: &&Standing| standing.may_be_asked && pool.targets[standing.index].weight > 0;
        let fastest = Pace::of(pool, standings);
        let unheard_ms = |standing: &Standing| ask.now_ms.abs_diff(standing.told_ms);
        let slow = standings
            .iter()
            .filter(weighed)
            .filter(|standing| standing.in_flight == 0 && fastest.is_too_slow(standing))
            .max_by_key(|standing| unheard_ms(standing))
            .filter(|standing| unheard_ms(standing) >= EXPLORED_AFTER_MS)?;
        let place = self.find_or_make(&pool.route, ask.now_ms)?;
        let total = self.words().get(place.base + route::TOTAL);
        let calls = total.wrapping_sub(self.words().get(place.base + route::EXPLORED));
        let is_due = calls >= EXPLORED_EVERY_CALLS || unheard_ms(slow) >= FORGOTTEN_AFTER_MS;
        is_due.then(|| {
            self.words().set(place.base + route::EXPLORED, total);
            slow.index
        })
    }
}
