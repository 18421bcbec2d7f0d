//! `tollway._native.claims`: which of this host's workers asks what several want to know.

use std::sync::Arc;

use pyo3::prelude::*;
use tollway_core::claims::Key;

use crate::errors::NativeError;
use crate::limits::Ledger;

fn digest(key: &[u8]) -> Result<Key, NativeError> {
    let digest = key.try_into();
    digest
        .map(Key::of)
        .map_err(|_| NativeError::Argument("a key to be claimed has 32 bytes".to_owned()))
}

/// The host's claims, in its ledger.
#[pyclass(frozen, module = "tollway._native.claims")]
struct Claims(Arc<tollway_ledger::Ledger>);

#[pymethods]
impl Claims {
    #[new]
    #[pyo3(signature = (ledger, /))]
    fn new(ledger: &Ledger) -> Self {
        Self(Arc::clone(&ledger.0))
    }

    fn take(&self, key: &[u8], now_ms: u64, for_ms: u64) -> Result<bool, NativeError> {
        Ok(self.0.take_claim(digest(key)?, now_ms, for_ms)?)
    }

    fn drop(&self, key: &[u8]) -> Result<(), NativeError> {
        Ok(self.0.drop_claim(digest(key)?)?)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Claims>()
}
