//! What is heard of a target or a key beside its calls: it asks to be left alone, another host or a person opens or closes
//! it, an active probe looks after it.

use super::board::{Board, Place};
use super::breaker::{Breaker, Change, FOR_GOOD_MS, Pass, State as Own};
use super::entry::CLAIMED_MS;
use super::latency::{Kind, Latency};
use super::pool::{Name, Policy};
use super::ranking::State;
use super::rate::Rate;

/// How a target stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Status {
    /// Its breaker, or that it is cooling.
    pub state: State,
    /// When that may end; zero for a closed one.
    pub until_ms: u64,
    /// Calls that live workers have open.
    pub in_flight: u64,
    /// The peak of streams' first bytes, which falls slowly.
    pub stream_us: Option<u64>,
    /// The peak of whole answers, which falls slowly.
    pub whole_us: Option<u64>,
    /// In a row.
    pub failures: u64,
    /// The part of its share that it gets.
    pub ramp: f64,
}

impl Board<'_> {
    /// Reads the breaker of `name`, lets `change` move it on, and writes it; what `change` says, or the default without
    /// room for an entry.
    fn alter<T: Default>(&mut self, name: &Name, now_ms: u64, change: impl FnOnce(&mut Breaker) -> T) -> T {
        let Some(place) = self.find_or_make(name, now_ms) else {
            return T::default();
        };
        let before = Breaker::read(self.words(), place);
        let mut after = before;
        let said = change(&mut after);
        if before.state != Own::Closed && after.state == Own::Closed {
            Rate::new(self.words(), place).clear();
        }
        self.store(place, &before, &after, None);
        said
    }

    /// Leaves it alone until then, though it has not failed; whether that is later than what was known.
    pub fn cool(&mut self, name: &Name, until_ms: u64, now_ms: u64, is_limited: bool) -> bool {
        until_ms > now_ms
            && self.alter(name, now_ms, |breaker| {
                let is_later = until_ms > breaker.cool_until_ms;
                if is_later {
                    breaker.cool_until_ms = until_ms;
                    breaker.cool_limited = is_limited;
                }
                is_later
            })
    }

    /// Opens it until then; whether it was not open so long already.
    pub fn open(&mut self, name: &Name, until_ms: u64, now_ms: u64) -> bool {
        until_ms > now_ms
            && self.alter(name, now_ms, |breaker| {
                let is_later = breaker.state != Own::Open || until_ms > breaker.until_ms;
                match breaker.state {
                    _ if !is_later => {}
                    Own::Open => breaker.until_ms = until_ms,
                    Own::Closed | Own::HalfOpen => {
                        breaker.open(until_ms);
                    }
                }
                is_later
            })
    }

    /// Closes it, forgets that it is cooling, and begins its slow start if it was open; whether anything was to be done.
    pub fn close(&mut self, name: &Name, now_ms: u64, slow_start_ms: u64) -> bool {
        self.find(name).is_some()
            && self.alter(name, now_ms, |breaker| {
                let (was_closed, was_cooling) = (breaker.state == Own::Closed, breaker.is_cooling(now_ms));
                breaker.cool_until_ms = 0;
                breaker.end_row();
                if !was_closed {
                    breaker.close(slow_start_ms, now_ms);
                }
                !was_closed || was_cooling
            })
    }

    /// Whether its cooldown is over, and nobody tries it.
    #[must_use]
    pub fn is_due(&self, name: &Name, now_ms: u64) -> bool {
        self.find(name)
            .is_some_and(|place| Breaker::read(self.words(), place).is_due(now_ms))
    }

    /// Lets so many calls try it until then, if its cooldown is over.
    pub fn grant(&mut self, name: &Name, probes: u64, until_ms: u64, now_ms: u64) {
        if probes > 0 && until_ms > now_ms && self.is_due(name, now_ms) {
            self.alter(name, now_ms, |breaker| breaker.half_open(probes, until_ms));
        }
    }

    /// Counts an active probe: a failure as one of a call, a success as the end of a cooldown that is over. A success does
    /// not make up for calls that fail: a server may list its models and still answer nobody.
    pub fn probed(&mut self, name: &Name, policy: &Policy, is_ok: bool, now_ms: u64) -> Option<Change> {
        self.alter(name, now_ms, |breaker| {
            let tries = breaker.state == Own::HalfOpen || breaker.is_due(now_ms);
            match (is_ok, tries) {
                (true, true) => Some(breaker.close(policy.slow_start_ms, now_ms)),
                (true, false) => None,
                (false, true) => Some(breaker.trip(policy, now_ms)),
                (false, false) => {
                    let pass = Pass {
                        era: breaker.era,
                        is_probe: true,
                    };
                    breaker.fail(pass, policy, false, now_ms)
                }
            }
        })
    }

    /// Whether nobody of the host took this upon himself in the last `every_ms`; then it is the caller's.
    pub fn claim(&mut self, name: &Name, every_ms: u64, now_ms: u64) -> bool {
        let Some(place) = self.find_or_make(name, now_ms) else {
            return false;
        };
        let at = place.base + CLAIMED_MS;
        let is_due = now_ms.abs_diff(self.words().get(at)) >= every_ms;
        if is_due {
            self.words().set(at, now_ms);
        }
        is_due
    }

    /// How it stands. Changes nothing.
    #[must_use]
    pub fn status(&self, name: &Name, now_ms: u64, grants_itself: bool) -> Status {
        match self.find(name) {
            Some(place) => self.status_at(place, now_ms, grants_itself),
            None => Status {
                state: State::Closed,
                until_ms: 0,
                in_flight: 0,
                stream_us: None,
                whole_us: None,
                failures: 0,
                ramp: 1.0,
            },
        }
    }

    fn status_at(&self, place: Place, now_ms: u64, grants_itself: bool) -> Status {
        let breaker = Breaker::read(self.words(), place);
        let (state, until_ms) = State::of(&breaker, now_ms, grants_itself);
        Status {
            state,
            until_ms: until_ms.min(FOR_GOOD_MS),
            in_flight: self.in_flight(place),
            stream_us: Latency::new(self.words(), place, Kind::Stream).peak_us(),
            whole_us: Latency::new(self.words(), place, Kind::Whole).peak_us(),
            failures: breaker.failures,
            ramp: breaker.ramp(now_ms),
        }
    }
}
