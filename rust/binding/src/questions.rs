//! `tollway._native.questions`: questions as the semantic cache compares them.

use std::sync::{LockResult, Mutex, PoisonError, RwLock};

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

/// A graph, which one thread changes and another searches.
#[pyclass(frozen, module = "tollway._native.questions")]
struct Graph {
    nodes: RwLock<core::Graph>,
    /// Held for all of an insertion: one at a time.
    inserting: Mutex<core::Scratch>,
    searching: Mutex<core::Scratch>,
}

/// Nothing panics while it holds a lock; if something had, the data is whole all the same: it is changed in one step.
fn whole<T>(locked: LockResult<T>) -> T {
    locked.unwrap_or_else(PoisonError::into_inner)
}

#[pymethods]
impl Graph {
    #[new]
    fn new() -> Self {
        Self {
            nodes: RwLock::new(core::Graph::new()),
            inserting: Mutex::new(core::Scratch::new()),
            searching: Mutex::new(core::Scratch::new()),
        }
    }

    fn __len__(&self) -> usize {
        whole(self.nodes.read()).len()
    }

    /// Without the interpreter, so that it never waits for a lock that somebody holds who waits for the interpreter.
    fn insert(&self, py: Python<'_>, vector: &[u8]) -> Result<usize, NativeError> {
        let vector = vector_of(vector)?;
        let number = py.detach(|| {
            let mut scratch = whole(self.inserting.lock());
            let plan = whole(self.nodes.read()).plan(&vector, &mut scratch);
            whole(self.nodes.write()).commit(plan)
        });
        number.ok_or_else(|| NativeError::Argument("the graph is full".to_owned()))
    }

    fn forget(&self, py: Python<'_>, number: usize) -> PyResult<()> {
        if py.detach(|| whole(self.nodes.write()).forget(number)) {
            return Ok(());
        }
        Err(PyIndexError::new_err("the graph has no such vector"))
    }

    fn nearest(&self, vector: &[u8], most: usize, breadth: usize) -> Result<Vec<(usize, f32)>, NativeError> {
        let vector = vector_of(vector)?;
        let (graph, mut scratch) = (whole(self.nodes.read()), whole(self.searching.lock()));
        let (most, breadth) = (most.min(graph.len()), breadth.min(graph.len()));
        Ok(graph.nearest(&vector, most, breadth, &mut scratch))
    }

    /// Empties it without the interpreter: to give back much memory takes time.
    fn clear(&self, py: Python<'_>) {
        py.detach(|| {
            let gone = std::mem::take(&mut *whole(self.nodes.write()));
            drop(gone);
        });
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("DIMENSIONS", core::DIMENSIONS)?;
    module.add("MOST_BYTES", core::MOST_BYTES)?;
    module.add_class::<Question>()?;
    module.add_class::<Graph>()?;
    module.add_class::<Block>()
}
