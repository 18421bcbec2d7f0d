//! `tollway._native.keys`: making and checking API keys, and the table of known ones.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tollway_core::keys::{self as core, Digest, Forgotten, Found};

use crate::errors::NativeError;

const UNKNOWN: u8 = 0;
const REFUSED: u8 = 1;
const FRESH: u8 = 2;
const STALE: u8 = 3;
const EXPIRED: u8 = 4;

#[pyfunction]
fn generate(environment: &str) -> Result<String, NativeError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)?;
    Ok(core::generate(environment, &random)?)
}

#[pyfunction]
fn well_formed(secret: &[u8]) -> bool {
    core::well_formed(secret)
}

#[pyfunction]
fn prefix(secret: &str) -> &str {
    core::prefix(secret)
}

#[pyfunction]
fn digest<'py>(py: Python<'py>, secret: &[u8]) -> Bound<'py, PyBytes> {
    PyBytes::new(py, &core::digest(secret))
}

/// The values are Python objects, and letting go of one may run any code, this table's methods included. So every
/// method takes what left the table out of the lock before dropping it; nothing calls Python while holding it.
#[pyclass(frozen, generic, module = "tollway._native.keys")]
struct KeyTable(Mutex<core::KeyTable<Py<PyAny>>>);

impl KeyTable {
    fn lock(&self) -> MutexGuard<'_, core::KeyTable<Py<PyAny>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl KeyTable {
    #[new]
    fn new(capacity: usize, negative_capacity: usize) -> Self {
        Self(Mutex::new(core::KeyTable::new(capacity, negative_capacity)))
    }

    fn find(&self, py: Python<'_>, secret: &[u8], now_ms: u64) -> (u8, Option<Py<PyAny>>) {
        match self.lock().find(&core::digest(secret), now_ms) {
            Found::Unknown => (UNKNOWN, None),
            Found::Refused => (REFUSED, None),
            Found::Fresh(value) => (FRESH, Some(value.clone_ref(py))),
            Found::Stale(value) => (STALE, Some(value.clone_ref(py))),
            Found::Expired => (EXPIRED, None),
        }
    }

    #[pyo3(signature = (digest, value, group, fresh_until_ms, expires_ms))]
    fn insert(
        &self,
        digest: &[u8],
        value: Py<PyAny>,
        group: u64,
        fresh_until_ms: u64,
        expires_ms: Option<u64>,
    ) -> Result<(), NativeError> {
        let digest = of_length(digest)?;
        let displaced = self.lock().insert(digest, value, group, fresh_until_ms, expires_ms);
        drop(displaced);
        Ok(())
    }

    #[pyo3(signature = (digest, value, expires_ms))]
    fn pin(&self, digest: &[u8], value: Py<PyAny>, expires_ms: Option<u64>) -> Result<(), NativeError> {
        let digest = of_length(digest)?;
        let displaced = self.lock().pin(digest, value, expires_ms);
        drop(displaced);
        Ok(())
    }

    fn refuse(&self, digest: &[u8], until_ms: u64) -> Result<(), NativeError> {
        let digest = of_length(digest)?;
        let displaced = self.lock().refuse(digest, until_ms);
        drop(displaced);
        Ok(())
    }

    fn forget(&self, digest: &[u8]) -> Result<bool, NativeError> {
        let digest = of_length(digest)?;
        let forgotten = self.lock().forget(&digest);
        Ok(!matches!(forgotten, Forgotten::Nothing))
    }

    fn forget_group(&self, group: u64) -> usize {
        let forgotten = self.lock().forget_group(group);
        forgotten.len()
    }

    fn clear_unpinned(&self) {
        let forgotten = self.lock().clear_unpinned();
        drop(forgotten);
    }

    fn clear_pinned(&self) {
        let forgotten = self.lock().clear_pinned();
        drop(forgotten);
    }

    fn __len__(&self) -> usize {
        self.lock().len()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.lock().values().try_for_each(|value| visit.call(value))
    }

    fn __clear__(&self) {
        self.clear_unpinned();
        self.clear_pinned();
    }
}

fn of_length(digest: &[u8]) -> Result<Digest, NativeError> {
    digest
        .try_into()
        .map_err(|_| NativeError::Argument(format!("a digest has 32 bytes, not {}", digest.len())))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    for (name, state) in [
        ("UNKNOWN", UNKNOWN),
        ("REFUSED", REFUSED),
        ("FRESH", FRESH),
        ("STALE", STALE),
        ("EXPIRED", EXPIRED),
    ] {
        module.add(name, state)?;
    }
    module.add_function(wrap_pyfunction!(generate, module)?)?;
    module.add_function(wrap_pyfunction!(well_formed, module)?)?;
    module.add_function(wrap_pyfunction!(prefix, module)?)?;
    module.add_function(wrap_pyfunction!(digest, module)?)?;
    module.add_class::<KeyTable>()
}
