//! `tollway._native.questions`: questions as the semantic cache compares them.

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tollway_core::questions as core;

use crate::errors::NativeError;

fn vector_of(bytes: &[u8]) -> Result<[i8; core::DIMENSIONS], NativeError> {
    let bytes: &[u8; core::DIMENSIONS] = bytes
        .try_into()
        .map_err(|_| NativeError::Argument(format!("a vector has {} bytes", core::DIMENSIONS)))?;
    Ok(bytes.map(|byte| i8::from_ne_bytes([byte])))
}

#[pyclass(frozen, module = "tollway._native.questions")]
struct Question {
    inner: core::Question,
}

#[pymethods]
impl Question {
    #[new]
    fn new(text: &str) -> Result<Self, NativeError> {
        let inner = core::Question::new(text).map_err(|error| NativeError::Argument(error.to_string()))?;
        Ok(Self { inner })
    }

    #[getter]
    fn text(&self) -> &str {
        self.inner.text()
    }

    #[getter]
    fn vector<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inner.vector().map(|value| value.to_ne_bytes()[0]))
    }

    fn similarity(&self, other: &Self) -> f32 {
        self.inner.similarity(&other.inner)
    }

    fn agrees(&self, other: &Self) -> bool {
        self.inner.agrees(&other.inner)
    }

    fn signs(&self, other: &Self) -> Vec<f32> {
        self.inner.signs(&other.inner).to_vec()
    }

    #[pyo3(signature = (other, second=None))]
    fn confidence(&self, other: &Self, second: Option<f32>) -> f32 {
        self.inner.confidence(&other.inner, second)
    }
}

#[pyclass(module = "tollway._native.questions")]
struct Block {
    inner: core::Block,
}

#[pymethods]
impl Block {
    #[new]
    const fn new() -> Self {
        Self {
            inner: core::Block::new(),
        }
    }

    fn __len__(&self) -> usize {
        self.inner.len()
    }

    fn append(&mut self, vector: &[u8]) -> Result<usize, NativeError> {
        Ok(self.inner.append(&vector_of(vector)?))
    }

    fn swap_remove(&mut self, slot: usize) -> PyResult<()> {
        if self.inner.swap_remove(slot) {
            return Ok(());
        }
        Err(PyIndexError::new_err("the block has no such slot"))
    }

    fn nearest(&self, vector: &[u8], most: usize) -> Result<Vec<(usize, f32)>, NativeError> {
        Ok(self.inner.nearest(&vector_of(vector)?, most.min(self.inner.len())))
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("DIMENSIONS", core::DIMENSIONS)?;
    module.add("MOST_BYTES", core::MOST_BYTES)?;
    module.add_class::<Question>()?;
    module.add_class::<Block>()
}
