//! A target's breaker, as numbers: closed, open, half open; and beside it, whether the target asked to be left alone.
//!
//! Read out of its entry, moved on without touching memory, written back as one step. An *era* begins with each opening,
//! each half-open and each closing. A call remembers the era in which it began: one from before the last opening says nothing about
//! the target as it is now, and a place among the probes is given back only to the half-open it was taken from.

use super::board::Place;
use super::entry::{BREAKER, BREAKER_WORDS};
use super::pool::Policy;
use crate::limits::memory::{Words, Writes};

/// How long a probe's place is kept for it to report: then another half-open begins.
pub const PROBE_VALID_MS: u64 = 30_000;

/// What lasts until then lasts until somebody ends it.
pub const FOR_GOOD_MS: u64 = (1 << 53) - 1;

/// The smallest part of its share that a target has after a closing.
const FIRST_SHARE: f64 = 0.1;

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    #[default]
    Closed,
    Open,
    HalfOpen,
}

/// A breaker has opened or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is left alone until then.
    Opened {
        /// The end of the cooldown.
        until_ms: u64,
    },
    /// It takes calls again.
    Closed,
}

/// How a call got through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    pub era: u64,
    pub is_probe: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Breaker {
    pub state: State,
    /// Open: the end of the cooldown. Half open: when another half-open may begin.
    pub until_ms: u64,
    /// Failures in a row.
    pub failures: u64,
    /// Not asked before then, though closed.
    pub cool_until_ms: u64,
    pub cool_limited: bool,
    /// When it was closed, and how long it starts slowly from there.
    pub ramp_from_ms: u64,
    pub ramp_ms: u64,
    /// Of this half-open: probes allowed, under way or done, and done well.
    pub places: u64,
    pub taken: u64,
    pub passed: u64,
    pub era: u64,
    /// The era that the last opening began.
    pub opened_era: u64,
    /// Openings since it was last closed.
    pub openings: u64,
    /// Successes that stand: whether there was one since.
    pub well: u64,
}

impl Breaker {
    /// Eras are stored less one, so that an entry of zeros is in its first.
    fn words(&self) -> [u64; BREAKER_WORDS] {
        [
            self.state as u64,
            self.until_ms,
            self.failures,
            self.cool_until_ms,
            u64::from(self.cool_limited),
            self.ramp_from_ms,
            self.ramp_ms,
            self.places,
            self.taken,
            self.passed,
            self.era.wrapping_sub(1),
            self.opened_era,
            self.openings,
            self.well,
        ]
    }

    #[inline]
    pub fn read(words: Words<'_>, place: Place) -> Self {
        let word = |at| words.get(place.base + BREAKER + at);
        Self {
            state: match word(0) {
                1 => State::Open,
                2 => State::HalfOpen,
                _ => State::Closed,
            },
            until_ms: word(1),
            failures: word(2),
            cool_until_ms: word(3),
            cool_limited: word(4) != 0,
            ramp_from_ms: word(5),
            ramp_ms: word(6),
            places: word(7),
            taken: word(8),
            passed: word(9),
            era: word(10).wrapping_add(1),
            opened_era: word(11),
            openings: word(12),
            well: word(13),
        }
    }

    /// The writes that turn this breaker into `after`.
    pub fn push_changes(&self, after: &Self, place: Place, writes: &mut Writes) {
        for (at, (old, new)) in self.words().into_iter().zip(after.words()).enumerate() {
            if old != new {
                writes.push(place.base + BREAKER + at, new);
            }
        }
    }

    pub fn is_cooling(&self, now_ms: u64) -> bool {
        self.cool_until_ms > now_ms
    }

    /// Whether a new half-open may begin: the cooldown is over, or the probes have not reported in time.
    pub fn is_due(&self, now_ms: u64) -> bool {
        self.state != State::Closed && self.until_ms <= now_ms
    }

    /// Whether a call now would be a probe: of this half-open, or of one that this host may begin.
    pub fn takes_probe(&self, now_ms: u64, grants_itself: bool) -> bool {
        match self.state {
            State::Closed => false,
            State::HalfOpen if self.until_ms > now_ms => self.taken < self.places,
            State::Open | State::HalfOpen => grants_itself && self.is_due(now_ms),
        }
    }

    /// Whether it may be asked.
    #[inline]
    pub fn may_be_asked(&self, now_ms: u64, grants_itself: bool) -> bool {
        !self.is_cooling(now_ms) && (self.state == State::Closed || self.takes_probe(now_ms, grants_itself))
    }

    /// When it may be asked, if it may not be now; zero when nobody knows.
    pub fn asked_again_ms(&self, now_ms: u64, grants_itself: bool) -> u64 {
        let tried_ms = match self.state {
            State::Open if self.until_ms > now_ms => self.until_ms,
            State::Open | State::HalfOpen if !self.takes_probe(now_ms, grants_itself) => return 0,
            _ => 0,
        };
        let asked_ms = tried_ms.max(self.cool_until_ms);
        if asked_ms < FOR_GOOD_MS { asked_ms } else { 0 }
    }

    /// Lets a call through, if one may pass.
    pub fn admit(&mut self, probes: u64, now_ms: u64, grants_itself: bool) -> Option<Pass> {
        if !self.may_be_asked(now_ms, grants_itself) {
            return None;
        }
        let is_probe = self.state != State::Closed;
        if is_probe {
            if self.is_due(now_ms) {
                self.half_open(probes, now_ms.saturating_add(PROBE_VALID_MS));
            } else if grants_itself {
                self.until_ms = now_ms.saturating_add(PROBE_VALID_MS);
            }
            self.taken = self.taken.saturating_add(1);
        }
        Some(Pass {
            era: self.era,
            is_probe,
        })
    }

    pub fn half_open(&mut self, places: u64, until_ms: u64) {
        self.state = State::HalfOpen;
        self.until_ms = until_ms;
        self.places = places;
        self.taken = 0;
        self.passed = 0;
        self.era = self.era.wrapping_add(1);
    }

    /// Whether what a call tells is about the target as it is since its last opening.
    pub fn concerns(&self, pass: Pass) -> bool {
        pass.era > self.opened_era
    }

    /// Counts a call that went well; whether that closed the breaker.
    pub fn succeed(&mut self, pass: Pass, slow_start_ms: u64, now_ms: u64) -> Option<Change> {
        if !self.concerns(pass) {
            return None;
        }
        self.end_row();
        if self.state != State::HalfOpen || !pass.is_probe {
            return None;
        }
        self.passed = self.passed.saturating_add(1);
        (self.passed >= self.places).then(|| self.close(slow_start_ms, now_ms))
    }

    /// No failure up to now is in a row with those that come.
    pub fn end_row(&mut self) {
        self.failures = 0;
        self.well = self.well.wrapping_add(1);
    }

    /// Counts a call that failed; `is_often` says that the rate is too high. Whether that opened the breaker.
    pub fn fail(&mut self, pass: Pass, policy: &Policy, is_often: bool, now_ms: u64) -> Option<Change> {
        if !self.concerns(pass) {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        let opens = match self.state {
            State::Closed => is_often || self.failures >= policy.consecutive,
            State::HalfOpen => pass.is_probe,
            State::Open => false,
        };
        opens.then(|| self.trip(policy, now_ms))
    }

    /// Gives the place of a probe that told nothing to another.
    pub fn forgive(&mut self, pass: Pass) {
        if self.state == State::HalfOpen && pass.is_probe && pass.era == self.era {
            self.taken = self.taken.saturating_sub(1);
        }
    }

    pub fn trip(&mut self, policy: &Policy, now_ms: u64) -> Change {
        let doubled = 1_u64.checked_shl(self.openings.min(63) as u32).unwrap_or(u64::MAX);
        let cooldown_ms = policy.cooldown_ms.saturating_mul(doubled).min(policy.max_cooldown_ms);
        self.open(now_ms.saturating_add(cooldown_ms))
    }

    pub fn open(&mut self, until_ms: u64) -> Change {
        self.state = State::Open;
        self.until_ms = until_ms;
        self.openings = self.openings.saturating_add(1);
        self.opened_era = self.era.wrapping_add(1);
        self.era = self.opened_era;
        Change::Opened { until_ms }
    }

    pub fn close(&mut self, slow_start_ms: u64, now_ms: u64) -> Change {
        self.state = State::Closed;
        self.until_ms = 0;
        self.end_row();
        self.openings = 0;
        self.era = self.era.wrapping_add(1);
        self.ramp_from_ms = now_ms;
        self.ramp_ms = slow_start_ms;
        Change::Closed
    }

    /// The part of its share that it gets.
    pub fn ramp(&self, now_ms: u64) -> f64 {
        // The distance either way: a clock set back must not keep it low.
        let since_ms = now_ms.abs_diff(self.ramp_from_ms);
        if since_ms >= self.ramp_ms {
            return 1.0;
        }
        FIRST_SHARE + (1.0 - FIRST_SHARE) * since_ms as f64 / self.ramp_ms as f64
    }
}
