//! `tollway._native.purses`: what the calls of this host may still spend.

use std::sync::Arc;

use pyo3::prelude::*;
use tollway_core::purses::{self as core, Outcome, Standing};

use crate::errors::NativeError;
use crate::limits::Ledger;

/// Amounts are 63 bits wide wherever they are written down.
fn amount(picousd: i64) -> Result<u64, NativeError> {
    u64::try_from(picousd).map_err(|_| NativeError::Argument(format!("an amount is negative: {picousd}")))
}

/// Sums of damaged memory are cut rather than wrapped.
fn told(picousd: u64) -> i64 {
    i64::try_from(picousd).unwrap_or(i64::MAX)
}

/// The purses that one call is paid from.
#[pyclass(frozen, module = "tollway._native.purses")]
struct PurseSet(Arc<core::PurseSet>);

#[pymethods]
impl PurseSet {
    #[new]
    #[pyo3(signature = (names, /))]
    fn new(names: Vec<String>) -> Result<Self, NativeError> {
        Ok(Self(Arc::new(core::PurseSet::new(names)?)))
    }

    #[getter]
    fn names(&self) -> Vec<&str> {
        self.0.names().iter().map(String::as_str).collect()
    }
}

/// The host's purses, in its ledger.
#[pyclass(frozen, module = "tollway._native.purses")]
struct Purses(Arc<tollway_ledger::Ledger>);

/// What `Purses.reserve` answers.
#[derive(IntoPyObject)]
enum Reserved {
    Held(Hold),
    Short(Shortage),
}

type Row = (i64, i64, i64, i64, i64, u64, u64, u64, i64);

fn row(standing: Standing) -> Row {
    (
        told(standing.granted),
        told(standing.spent),
        told(standing.held),
        told(standing.recent),
        told(standing.short),
        standing.until_ms,
        standing.exhausted_until_ms,
        standing.touched_ms,
        told(standing.told),
    )
}

#[pymethods]
impl Purses {
    #[new]
    #[pyo3(signature = (ledger, /))]
    fn new(ledger: &Ledger) -> Self {
        Self(Arc::clone(&ledger.0))
    }

    #[getter]
    fn host_id(&self) -> Result<String, NativeError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let fresh = u128::from_le_bytes(bytes) | 1;
        Ok(format!("{:032x}", self.0.host_id(fresh)?))
    }

    fn reserve(&self, purses: &PurseSet, picousd: i64, now_ms: u64, unix_ms: u64) -> Result<Reserved, NativeError> {
        Ok(match self.0.hold(&purses.0, amount(picousd)?, now_ms, unix_ms)? {
            Outcome::Held(hold) => Reserved::Held(Hold {
                ledger: Arc::clone(&self.0),
                hold,
            }),
            Outcome::Short(shortage) => Reserved::Short(Shortage(shortage)),
        })
    }

    fn turn(&self, now_ms: u64, for_ms: u64) -> Result<Option<u64>, NativeError> {
        Ok(self.0.take_turn(now_ms, now_ms.saturating_add(for_ms))?)
    }

    fn end_turn(&self, turn: u64) -> Result<(), NativeError> {
        Ok(self.0.end_turn(turn)?)
    }

    fn trim(&self, turn: u64, name: &str, keep_picousd: i64, now_ms: u64) -> Result<Option<Row>, NativeError> {
        Ok(self.0.trim(turn, name, amount(keep_picousd)?, now_ms)?.map(row))
    }

    fn grant(
        &self,
        turn: u64,
        name: &str,
        granted_picousd: i64,
        until_ms: u64,
        exhausted_until_ms: u64,
    ) -> Result<bool, NativeError> {
        let granted = amount(granted_picousd)?;
        Ok(self.0.grant_purse(turn, name, granted, until_ms, exhausted_until_ms)?)
    }

    #[pyo3(signature = (names, now_ms, /))]
    #[expect(clippy::needless_pass_by_value, reason = "Python's list becomes it")]
    fn standings(&self, names: Vec<String>, now_ms: u64) -> Result<Vec<Option<Row>>, NativeError> {
        let standings = self.0.standings(&names, now_ms)?;
        Ok(standings.into_iter().map(|standing| standing.map(row)).collect())
    }

    fn forget(&self, name: &str) -> Result<bool, NativeError> {
        Ok(self.0.forget_purse(name)?)
    }
}

/// What one call holds.
#[pyclass(module = "tollway._native.purses")]
struct Hold {
    ledger: Arc<tollway_ledger::Ledger>,
    hold: core::Hold,
}

#[pymethods]
impl Hold {
    #[getter]
    fn held_picousd(&self) -> i64 {
        told(self.hold.held())
    }

    fn settle(&mut self, picousd: i64) -> Result<(), NativeError> {
        Ok(self.ledger.settle_hold(&mut self.hold, amount(picousd)?)?)
    }

    fn cancel(&mut self) -> Result<(), NativeError> {
        Ok(self.ledger.settle_hold(&mut self.hold, 0)?)
    }

    fn grow(&mut self, picousd: i64, now_ms: u64) -> Result<bool, NativeError> {
        Ok(self.ledger.grow_hold(&mut self.hold, amount(picousd)?, now_ms)?)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.hold.is_open() {
            // Nobody is left to tell of a lock that cannot be had; it then comes back with the process's end.
            let _ = self.ledger.settle_hold(&mut self.hold, 0);
        }
    }
}

/// A purse that has too little.
#[pyclass(frozen, module = "tollway._native.purses")]
struct Shortage(core::Shortage);

#[pymethods]
impl Shortage {
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    #[getter]
    fn missing_picousd(&self) -> i64 {
        told(self.0.missing)
    }

    #[getter]
    fn is_exhausted(&self) -> bool {
        self.0.is_exhausted
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<PurseSet>()?;
    module.add_class::<Purses>()?;
    module.add_class::<Hold>()?;
    module.add_class::<Shortage>()
}
