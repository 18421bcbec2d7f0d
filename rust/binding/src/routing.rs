//! `tollway._native.routing`: the host's board of targets, keys and routes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tollway_core::routing::{self as core, Ask, Kind, Name, Outcome, Policy, Strategy, Target};

use crate::errors::NativeError;
use crate::limits::Ledger;

/// When a target is left alone, and how it comes back.
#[pyclass(frozen, module = "tollway._native.routing")]
struct BreakerPolicy(Policy);

#[pymethods]
impl BreakerPolicy {
    #[new]
    #[pyo3(signature = (*, consecutive, failure_permille, minimum_calls, window_ms, cooldown_ms, max_cooldown_ms, probes,
                        slow_start_ms))]
    #[expect(clippy::too_many_arguments, reason = "each by its name")]
    fn new(
        consecutive: u64,
        failure_permille: u64,
        minimum_calls: u64,
        window_ms: u64,
        cooldown_ms: u64,
        max_cooldown_ms: u64,
        probes: u64,
        slow_start_ms: u64,
    ) -> Result<Self, NativeError> {
        let policy = Policy {
            consecutive,
            failure_permille,
            minimum_calls,
            window_ms,
            cooldown_ms,
            max_cooldown_ms,
            probes,
            slow_start_ms,
        };
        Ok(Self(policy.checked()?))
    }
}

/// A target as it is handed in: name, weight, tier, prices of a token in and out, breaker.
type Given<'py> = (String, u32, i64, Option<u64>, Option<u64>, Bound<'py, BreakerPolicy>);

/// A route's targets.
#[pyclass(frozen, module = "tollway._native.routing")]
struct Pool(Arc<core::Pool>);

#[pymethods]
impl Pool {
    #[new]
    #[pyo3(signature = (route, strategy, targets, /))]
    fn new(route: &str, strategy: &str, targets: Vec<Given<'_>>) -> Result<Self, NativeError> {
        let strategy = Strategy::from_name(strategy)
            .ok_or_else(|| NativeError::Argument(format!("unknown strategy {strategy:?}")))?;
        let targets = targets
            .into_iter()
            .map(|(name, weight, tier, input_price, output_price, policy)| Target {
                name: Name::of_target(&name),
                weight,
                tier,
                input_price,
                output_price,
                policy: policy.get().0,
            })
            .collect();
        Ok(Self(Arc::new(core::Pool::new(route, strategy, targets)?)))
    }

    #[getter]
    fn names(&self) -> Vec<&str> {
        self.0.targets().iter().map(|target| target.name.text()).collect()
    }
}

impl Pool {
    fn target(&self, index: usize) -> Result<&Target, NativeError> {
        let targets = self.0.targets();
        targets
            .get(index)
            .ok_or_else(|| NativeError::Argument(format!("no target {index} among {}", targets.len())))
    }
}

/// A compiled list of names.
#[pyclass(frozen, module = "tollway._native.routing")]
struct Names(Vec<Name>);

#[pymethods]
impl Names {
    #[new]
    #[pyo3(signature = (names, /))]
    fn new(names: Vec<String>) -> Self {
        Self(names.into_iter().map(|name| Name::of_target(&name)).collect())
    }
}

/// Who may be asked, best first.
#[pyclass(frozen, module = "tollway._native.routing")]
struct Ranking(core::Ranking);

/// What `Ranking.states` tells of one target.
type Stood = (usize, &'static str, Option<f64>, u64, Option<u64>, u64);

#[pymethods]
impl Ranking {
    #[getter]
    fn order<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.order)
    }

    #[getter]
    fn retry_at_ms(&self) -> u64 {
        self.0.retry_at_ms
    }

    #[getter]
    fn limited(&self) -> bool {
        self.0.is_limited
    }

    fn states(&self) -> Vec<Stood> {
        let standings = self.0.standings.iter();
        standings
            .map(|standing| {
                (
                    standing.index,
                    standing.state.name(),
                    standing.score,
                    standing.in_flight,
                    standing.latency_us,
                    standing.until_ms,
                )
            })
            .collect()
    }
}

/// A breaker has opened or closed.
#[pyclass(frozen, get_all, module = "tollway._native.routing")]
struct Change {
    state: &'static str,
    until_ms: u64,
    name: String,
}

impl Change {
    fn of(change: core::Change, name: &str) -> Self {
        let (state, until_ms) = match change {
            core::Change::Opened { until_ms } => ("open", until_ms),
            core::Change::Closed => ("closed", 0),
        };
        Self {
            state,
            until_ms,
            name: name.to_owned(),
        }
    }
}

/// One call of one target.
#[pyclass(module = "tollway._native.routing")]
struct Lease {
    ledger: Arc<tollway_ledger::Ledger>,
    lease: core::Lease,
}

#[pymethods]
impl Lease {
    #[getter]
    fn is_probe(&self) -> bool {
        self.lease.is_probe()
    }

    fn heard(&mut self, latency_us: u64, stream: bool, now_ms: u64) -> Result<Option<Change>, NativeError> {
        let change = self.ledger.heard(&mut self.lease, latency_us, kind(stream), now_ms)?;
        Ok(change.map(|change| Change::of(change, self.lease.name())))
    }

    #[pyo3(signature = (outcome, now_ms, latency_us=None, stream=false))]
    fn end(
        &mut self,
        outcome: &str,
        now_ms: u64,
        latency_us: Option<u64>,
        stream: bool,
    ) -> Result<Option<Change>, NativeError> {
        let outcome = match outcome {
            "ok" => Outcome::Ok(latency_us.map(|latency_us| (latency_us, kind(stream)))),
            "failed" => Outcome::Failed,
            "neutral" => Outcome::Neutral,
            _ => return Err(NativeError::Argument(format!("unknown outcome {outcome:?}"))),
        };
        let change = self.ledger.end(&mut self.lease, outcome, now_ms)?;
        Ok(change.map(|change| Change::of(change, self.lease.name())))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Nobody is left to tell of a lock that cannot be had; the call then counts until the process's end.
        let _ = self.ledger.end(&mut self.lease, Outcome::Neutral, 0);
    }
}

fn kind(stream: bool) -> Kind {
    if stream { Kind::Stream } else { Kind::Whole }
}

/// What `Board.status` tells of one name.
type Status<'a> = (&'a str, &'static str, u64, u64, Option<u64>, Option<u64>, u64, f64);

/// The host's board, in the ledger's file.
#[pyclass(frozen, module = "tollway._native.routing")]
struct Board {
    ledger: Arc<tollway_ledger::Ledger>,
    grants_itself: AtomicBool,
}

impl Board {
    fn grants(&self) -> bool {
        self.grants_itself.load(Ordering::Relaxed)
    }
}

#[pymethods]
impl Board {
    #[new]
    #[pyo3(signature = (ledger, /))]
    fn new(ledger: &Ledger) -> Self {
        Self {
            ledger: Arc::clone(&ledger.0),
            grants_itself: AtomicBool::new(true),
        }
    }

    #[getter]
    fn grants_itself(&self) -> bool {
        self.grants()
    }

    #[setter]
    fn set_grants_itself(&self, grants_itself: bool) {
        self.grants_itself.store(grants_itself, Ordering::Relaxed);
    }

    #[pyo3(signature = (pool, mask, now_ms, chance, *, stream=false, sticky=0, prompt_tokens=0, output_tokens=0))]
    #[expect(clippy::too_many_arguments, reason = "those of the strategies by their names")]
    fn rank(
        &self,
        pool: &Pool,
        mask: u64,
        now_ms: u64,
        chance: u64,
        stream: bool,
        sticky: u64,
        prompt_tokens: u64,
        output_tokens: u64,
    ) -> Result<Ranking, NativeError> {
        let ask = Ask {
            mask,
            now_ms,
            chance,
            kind: kind(stream),
            sticky,
            prompt_tokens,
            output_tokens,
            grants_itself: self.grants(),
        };
        Ok(Ranking(self.ledger.rank(&pool.0, &ask)?))
    }

    #[pyo3(signature = (pool, index, now_ms, *, first=true, stream=false))]
    fn begin(
        &self,
        pool: &Pool,
        index: usize,
        now_ms: u64,
        first: bool,
        stream: bool,
    ) -> Result<Option<Lease>, NativeError> {
        pool.target(index)?;
        let lease = self
            .ledger
            .begin(&pool.0, index, kind(stream), now_ms, first, self.grants())?;
        Ok(lease.map(|lease| Lease {
            ledger: Arc::clone(&self.ledger),
            lease,
        }))
    }

    fn retry(&self, pool: &Pool, permille: u64, reserve: u64, now_ms: u64) -> Result<bool, NativeError> {
        Ok(self.ledger.retry(&pool.0, permille, reserve, now_ms)?)
    }

    fn hedge(&self, pool: &Pool, permille: u64, now_ms: u64) -> Result<bool, NativeError> {
        Ok(self.ledger.hedge(&pool.0, permille, now_ms)?)
    }

    fn p95_us(&self, pool: &Pool, index: usize, stream: bool) -> Result<Option<u64>, NativeError> {
        Ok(self.ledger.p95_us(pool.target(index)?, kind(stream))?)
    }

    #[pyo3(signature = (name, until_ms, now_ms, *, limited))]
    fn cool(&self, name: &str, until_ms: u64, now_ms: u64, limited: bool) -> Result<bool, NativeError> {
        Ok(self.ledger.cool(&Name::of_target(name), until_ms, now_ms, limited)?)
    }

    fn open(&self, name: &str, until_ms: u64, now_ms: u64) -> Result<bool, NativeError> {
        Ok(self.ledger.open_breaker(&Name::of_target(name), until_ms, now_ms)?)
    }

    fn close(&self, name: &str, now_ms: u64, slow_start_ms: u64) -> Result<bool, NativeError> {
        Ok(self
            .ledger
            .close_breaker(&Name::of_target(name), now_ms, slow_start_ms)?)
    }

    fn due<'a>(&self, names: &'a Names, now_ms: u64) -> Result<Vec<&'a str>, NativeError> {
        let due = self.ledger.due(&names.0, now_ms)?;
        Ok(due.into_iter().map(Name::text).collect())
    }

    fn grant(&self, name: &str, probes: u64, until_ms: u64, now_ms: u64) -> Result<(), NativeError> {
        Ok(self.ledger.grant(&Name::of_target(name), probes, until_ms, now_ms)?)
    }

    fn probed(&self, name: &str, policy: &BreakerPolicy, ok: bool, now_ms: u64) -> Result<Option<Change>, NativeError> {
        let change = self.ledger.probed(&Name::of_target(name), &policy.0, ok, now_ms)?;
        Ok(change.map(|change| Change::of(change, name)))
    }

    fn claim(&self, name: &str, every_ms: u64, now_ms: u64) -> Result<bool, NativeError> {
        Ok(self.ledger.claim(&Name::of_target(name), every_ms, now_ms)?)
    }

    fn status<'a>(&self, names: &'a Names, now_ms: u64) -> Result<Vec<Status<'a>>, NativeError> {
        let statuses = self.ledger.board_status(&names.0, now_ms, self.grants())?;
        let told = names.0.iter().zip(statuses);
        Ok(told
            .map(|(name, status)| {
                (
                    name.text(),
                    status.state.name(),
                    status.until_ms,
                    status.in_flight,
                    status.stream_us,
                    status.whole_us,
                    status.failures,
                    status.ramp,
                )
            })
            .collect())
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<BreakerPolicy>()?;
    module.add_class::<Pool>()?;
    module.add_class::<Names>()?;
    module.add_class::<Ranking>()?;
    module.add_class::<Change>()?;
    module.add_class::<Lease>()?;
    module.add_class::<Board>()
}
