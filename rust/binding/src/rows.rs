//! `tollway._native.rows`: usage rows for `COPY`.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tollway_core::rows as core;

use crate::errors::NativeError;

#[pyclass(module = "tollway._native.rows")]
struct Batch {
    inner: core::Batch,
}

#[pymethods]
impl Batch {
    #[new]
    const fn new() -> Self {
        Self {
            inner: core::Batch::new(),
        }
    }

    fn add(&mut self, payload: &[u8]) -> Result<(), NativeError> {
        Ok(self.inner.add(payload)?)
    }

    fn copy<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inner.copy())
    }

    fn copy_of<'py>(&self, py: Python<'py>, index: usize) -> Result<Bound<'py, PyBytes>, NativeError> {
        let copied = self.inner.copy_of(index);
        let bytes = copied.ok_or_else(|| NativeError::Argument("the batch has not so many rows".to_owned()))?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn __len__(&self) -> usize {
        self.inner.len()
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("COLUMNS", core::COLUMNS)?;
    module.add_class::<Batch>()
}
