//! `tollway._native.injection`: how much a text looks like an attack on a model's instructions.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tollway_core::injection as core;

use crate::errors::NativeError;

/// Texts from this size on are judged without the interpreter: below, it takes less than a millisecond.
const DETACH_FROM_BYTES: usize = 16 * 1024;

#[pyclass(frozen, module = "tollway._native.injection")]
struct Classifier {
    inner: core::Classifier,
}

#[pymethods]
impl Classifier {
    #[new]
    #[pyo3(signature = (weights=None))]
    fn new(weights: Option<Vec<u8>>) -> Result<Self, NativeError> {
        let inner = match weights {
            None => core::Classifier::new(),
            Some(weights) => core::Classifier::trained(weights)
                .ok_or_else(|| NativeError::Argument("weights are not in the form of weights.bin".to_owned()))?,
        };
        Ok(Self { inner })
    }

    /// Offsets leave in code points, as Python counts.
    fn score(&self, py: Python<'_>, text: &str) -> (f32, &'static str, usize, usize) {
        let found = if text.len() < DETACH_FROM_BYTES {
            self.inner.score(text)
        } else {
            py.detach(|| self.inner.score(text))
        };
        let start = text[..found.start].chars().count();
        let end = start + text[found.start..found.end].chars().count();
        (found.score, found.why, start, end)
    }

    /// Little-endian 32-bit numbers, for `numpy.frombuffer`.
    fn features<'py>(&self, py: Python<'py>, text: &str) -> Vec<Bound<'py, PyBytes>> {
        let windows = py.detach(|| self.inner.features(text));
        windows
            .iter()
            .map(|window| {
                let bytes: Vec<u8> = window
                    .iter()
                    .flat_map(|feature| u32::try_from(*feature).unwrap_or(u32::MAX).to_le_bytes())
                    .collect();
                PyBytes::new(py, &bytes)
            })
            .collect()
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("FEATURES", core::FEATURES)?;
    module.add_class::<Classifier>()
}
