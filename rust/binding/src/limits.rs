//! `tollway._native.limits`: the host's ledger of requests, tokens and concurrency.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use tollway_core::leases::Ticket;
use tollway_core::limits::{self as core, Demand, Kind, Level, Outcome, Rule};

use crate::errors::NativeError;

create_exception!(
    tollway._native.limits,
    LedgerError,
    PyException,
    "The ledger cannot be opened or used."
);
create_exception!(
    tollway._native.limits,
    LedgerFull,
    LedgerError,
    "No counter is free for a rule; nothing was charged."
);

/// The rules of one principal.
#[pyclass(frozen, module = "tollway._native.limits")]
struct LimitSet(Arc<core::LimitSet>);

#[pymethods]
impl LimitSet {
    #[new]
    #[pyo3(signature = (rules, /, *, shared=false))]
    fn new(rules: Vec<(String, String, i64, i64)>, shared: bool) -> Result<Self, NativeError> {
        let rules = rules.into_iter().map(rule).collect::<Result<_, _>>()?;
        let limits = core::LimitSet::new(rules)?;
        Ok(Self(Arc::new(if shared { limits.shared() } else { limits })))
    }
}

fn rule((scope, kind, limit, window_ms): (String, String, i64, i64)) -> Result<Rule, NativeError> {
    let kind = Kind::from_name(&kind).ok_or_else(|| {
        NativeError::Argument(format!(
            "unknown kind {kind:?}: use one of {}",
            Kind::ALL.map(Kind::name).join(", ")
        ))
    })?;
    let count = |name: &str, value: i64| {
        u64::try_from(value).map_err(|_| NativeError::Argument(format!("{name} of {scope} is negative: {value}")))
    };
    let (limit, window_ms) = (count("limit", limit)?, count("window_ms", window_ms)?);
    Ok(Rule {
        scope,
        kind,
        limit,
        window_ms,
    })
}

/// The host's ledger, shared through a file.
#[pyclass(frozen, module = "tollway._native.limits")]
pub(crate) struct Ledger(pub(crate) Arc<tollway_ledger::Ledger>);

/// A kind and how a rule of it stands: limit, remaining, milliseconds until all is restored.
type Told = (&'static str, u64, u64, u64);

fn told(kind: Kind, level: Level) -> Told {
    (kind.name(), level.limit, level.remaining, level.reset_ms)
}

/// What `Ledger.admit` answers.
#[derive(IntoPyObject)]
#[allow(clippy::large_enum_variant, reason = "it moves into a Python object at once")]
enum Decision {
    Admitted(Admission),
    Refused(Refusal),
    Short(Short),
}

#[pymethods]
impl Ledger {
    #[new]
    #[pyo3(signature = (path, capacity = 65536))]
    fn new(py: Python<'_>, path: PathBuf, capacity: usize) -> Result<Self, NativeError> {
        let ledger = py.detach(move || tollway_ledger::Ledger::open(&path, capacity))?;
        Ok(Self(Arc::new(ledger)))
    }

    fn join(&self, py: Python<'_>) -> Result<usize, NativeError> {
        Ok(py.detach(|| self.0.join())?)
    }

    #[pyo3(signature = (limits, input_tokens, output_tokens, now_ms, *, steady_ms=None))]
    fn admit(
        &self,
        limits: &LimitSet,
        input_tokens: u64,
        output_tokens: u64,
        now_ms: u64,
        steady_ms: Option<u64>,
    ) -> Result<Decision, NativeError> {
        let demand = Demand {
            requests: 1,
            input_tokens,
            output_tokens,
        };
        Ok(match self.0.admit(&limits.0, demand, now_ms, steady_ms)? {
            Outcome::Admitted(admission) => Decision::Admitted(Admission {
                ledger: Arc::clone(&self.0),
                admission,
            }),
            Outcome::Refused(refusal) => Decision::Refused(Refusal(refusal)),
            Outcome::Short(ticket) => Decision::Short(Short(ticket)),
        })
    }

    fn status(&self, limits: &LimitSet, now_ms: u64) -> Result<Vec<Told>, NativeError> {
        let rules = self.0.status(&limits.0, now_ms)?;
        Ok(rules.into_iter().map(|rule| told(rule.kind, rule.level)).collect())
    }

    fn sweep(&self, py: Python<'_>) -> Result<usize, NativeError> {
        Ok(py.detach(|| self.0.sweep())?)
    }

    fn in_flight(&self) -> Result<u64, NativeError> {
        Ok(self.0.in_flight()?)
    }

    fn full_refusals(&self) -> Result<u64, NativeError> {
        Ok(self.0.full_refusals()?)
    }

    fn close(&self, py: Python<'_>) -> Result<(), NativeError> {
        Ok(py.detach(|| self.0.close())?)
    }
}

/// A request that may pass.
#[pyclass(module = "tollway._native.limits")]
struct Admission {
    ledger: Arc<tollway_ledger::Ledger>,
    admission: core::Admission,
}

#[pymethods]
impl Admission {
    fn levels(&self) -> Vec<Told> {
        self.admission.levels().map(|(kind, level)| told(kind, level)).collect()
    }

    fn settle(&mut self, input_tokens: u64, output_tokens: u64, now_ms: u64) -> Result<(), NativeError> {
        Ok(self
            .ledger
            .settle(&mut self.admission, input_tokens, output_tokens, now_ms)?)
    }

    fn grow(&mut self, output_tokens: u64, now_ms: u64) -> Result<bool, NativeError> {
        Ok(self.ledger.grow(&mut self.admission, output_tokens, now_ms)?)
    }

    fn release(&mut self) -> Result<(), NativeError> {
        Ok(self.ledger.release(&mut self.admission)?)
    }

    fn cancel(&mut self, now_ms: u64) -> Result<(), NativeError> {
        Ok(self.ledger.cancel(&mut self.admission, now_ms)?)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        // Nobody is left to tell of a lock that cannot be had; the slot then comes back with the process's end.
        let _ = self.ledger.release(&mut self.admission);
    }
}

/// A request that may not pass.
#[pyclass(frozen, module = "tollway._native.limits")]
struct Refusal(core::Refusal);

#[pymethods]
impl Refusal {
    #[getter]
    fn scope(&self) -> &str {
        &self.0.rule().scope
    }

    #[getter]
    fn kind(&self) -> &'static str {
        self.0.rule().kind.name()
    }

    #[getter]
    fn limit(&self) -> u64 {
        self.0.rule().limit
    }

    #[getter]
    fn window_ms(&self) -> u64 {
        self.0.rule().window_ms
    }

    #[getter]
    fn remaining(&self) -> u64 {
        self.0.remaining
    }

    #[getter]
    fn retry_after_ms(&self) -> u64 {
        self.0.retry_after_ms
    }

    #[getter]
    fn too_large(&self) -> bool {
        self.0.too_large
    }
}

/// A request that waits for a lease.
#[pyclass(frozen, module = "tollway._native.limits")]
pub(crate) struct Short(pub(crate) Ticket);

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LimitSet>()?;
    module.add_class::<Ledger>()?;
    module.add_class::<Admission>()?;
    module.add_class::<Refusal>()?;
    module.add_class::<Short>()?;
    module.add("LedgerError", module.py().get_type::<LedgerError>())?;
    module.add("LedgerFull", module.py().get_type::<LedgerFull>())
}
