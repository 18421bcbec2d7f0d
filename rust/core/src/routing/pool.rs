//! A route's targets as a ranking needs them: hashed and checked once, when the route is compiled.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::memory::Identity;

/// The most targets one pool may hold: one bit each of a mask.
pub const MAX_TARGETS: usize = 64;

/// By what the targets of a route are put in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Shares by weight.
    Weighted,
    /// One after the other, on the whole host.
    RoundRobin,
    /// Fewest calls in flight per weight.
    LeastBusy,
    /// The faster and less busy of two random ones.
    Latency,
    /// What the request will cost.
    Cost,
    /// By tier; within one by weight.
    Priority,
    /// The same one for the same hash.
    Sticky,
}

impl Strategy {
    /// The strategy of that name in the settings.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "weighted" => Self::Weighted,
            "round_robin" => Self::RoundRobin,
            "least_busy" => Self::LeastBusy,
            "latency" => Self::Latency,
            "cost" => Self::Cost,
            "priority" => Self::Priority,
            "sticky" => Self::Sticky,
            _ => return None,
        })
    }
}

/// When a target is left alone, and how it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Failures in a row that open it.
    pub consecutive: u64,
    /// Failures per thousand calls that open it.
    pub failure_permille: u64,
    /// Calls below which the rate says nothing.
    pub minimum_calls: u64,
    /// About how long a call counts in the rate.
    pub window_ms: u64,
    /// How long it is left alone the first time; doubled at each opening in a row.
    pub cooldown_ms: u64,
    /// The longest that it is left alone.
    pub max_cooldown_ms: u64,
    /// Calls that may try it thereafter, and must succeed.
    pub probes: u64,
    /// How long it takes to get its full share again.
    pub slow_start_ms: u64,
}

/// What is wrong with a pool or a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// More than [`MAX_TARGETS`].
    #[error("a pool holds at most {MAX_TARGETS} targets, not {0}")]
    TooMany(usize),
    /// A number that would make a breaker that is never closed, or none.
    #[error("{name} of a breaker must be {wanted}, not {value}")]
    Policy {
        /// Which number.
        name: &'static str,
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        value: u64,
    },
}

impl Policy {
    /// The policy, if it makes sense.
    pub fn checked(self) -> Result<Self, PoolError> {
        let at_least_one = [
            ("consecutive", self.consecutive),
            ("failure_permille", self.failure_permille),
            ("minimum_calls", self.minimum_calls),
            ("window_ms", self.window_ms),
            ("cooldown_ms", self.cooldown_ms),
            ("probes", self.probes),
        ];
        let refused = |name, wanted, value| Err(PoolError::Policy { name, wanted, value });
        if let Some((name, value)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return refused(name, "at least 1", value);
        }
        if self.failure_permille > 1_000 {
            return refused("failure_permille", "at most 1000", self.failure_permille);
        }
        if self.max_cooldown_ms < self.cooldown_ms {
            return refused("max_cooldown_ms", "at least the cooldown", self.max_cooldown_ms);
        }
        Ok(self)
    }
}

/// Something the board may have an entry for, hashed once; where the entry was last found is remembered.
#[derive(Debug)]
pub struct Name {
    text: String,
    identity: Identity,
    hint: AtomicUsize,
}

impl Name {
    /// A target's (`provider/model`) or a key's (`provider#key`) name.
    #[must_use]
    pub fn of_target(name: &str) -> Self {
        Self::of("target", name)
    }

    /// A route's.
    #[must_use]
    pub fn of_route(alias: &str) -> Self {
        Self::of("route", alias)
    }

    fn of(kind: &str, name: &str) -> Self {
        Self {
            text: name.to_owned(),
            identity: Identity::named(kind, name),
            hint: AtomicUsize::new(usize::MAX),
        }
    }

    /// The name itself.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// 64 bits that are the same on every host.
    pub(super) fn hash(&self) -> u64 {
        self.identity.rest
    }

    pub(super) fn hint(&self) -> usize {
        self.hint.load(Ordering::Relaxed)
    }

    pub(super) fn remember(&self, index: usize) {
        self.hint.store(index, Ordering::Relaxed);
    }
}

/// One target of a pool.
#[derive(Debug)]
pub struct Target {
    /// Whose entry of the board is its own, in whatever pool it stands.
    pub name: Name,
    /// Its share; with zero it comes after all others.
    pub weight: u32,
    /// The lowest comes first, where the strategy is priority.
    pub tier: i64,
    /// What a token of the prompt costs, in picodollars.
    pub input_price: Option<u64>,
    /// What a token of the answer costs, in picodollars.
    pub output_price: Option<u64>,
    /// Its breaker.
    pub policy: Policy,
}

/// The targets of one route. Immutable; shared by every request of the route.
#[derive(Debug)]
pub struct Pool {
    pub(super) route: Name,
    pub(super) strategy: Strategy,
    pub(super) targets: Vec<Target>,
}

impl Pool {
    /// The pool of `route`, unless there are too many targets.
    pub fn new(route: &str, strategy: Strategy, targets: Vec<Target>) -> Result<Self, PoolError> {
        if targets.len() > MAX_TARGETS {
            return Err(PoolError::TooMany(targets.len()));
        }
        Ok(Self {
            route: Name::of_route(route),
            strategy,
            targets,
        })
    }

    /// The targets, in the order given.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }
}
