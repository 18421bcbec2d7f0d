//! `tollway._native.content`: what texts may not say, their language, and schemas of answers.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tollway_core::content as core;
use tollway_core::detector::{Detector, Finding, Points};

use crate::errors::NativeError;

/// Texts from this size on are scanned without the interpreter: below, a scan of prose takes less than 0.5 ms.
const DETACH_FROM_BYTES: usize = 32 * 1024;

#[pyclass(frozen, module = "tollway._native.content")]
struct Matcher {
    inner: core::Matcher,
}

#[pymethods]
impl Matcher {
    #[new]
    #[pyo3(signature = (deny=Vec::new(), patterns=Vec::new(), topics=Vec::new(), allow=Vec::new()))]
    fn new(
        py: Python<'_>,
        deny: Vec<String>,
        patterns: Vec<String>,
        topics: Vec<String>,
        allow: Vec<String>,
    ) -> Result<Self, NativeError> {
        py.detach(move || core::Matcher::new(&deny, &patterns, &topics, &allow))
            .map(|inner| Self { inner })
            .map_err(|error| NativeError::Argument(error.to_string()))
    }

    /// Offsets leave in code points, as Python counts.
    fn scan(&self, py: Python<'_>, text: &str) -> Vec<(&str, usize, usize)> {
        let mut points = Points::of(text);
        let findings: Vec<Finding> = if text.len() < DETACH_FROM_BYTES {
            self.inner.find(text)
        } else {
            py.detach(|| self.inner.find(text))
        };
        findings
            .iter()
            .map(|found| {
                (
                    self.inner.name(found.label),
                    points.before(found.start),
                    points.before(found.end),
                )
            })
            .collect()
    }
}

#[pyclass(frozen, module = "tollway._native.content")]
struct Schema {
    inner: core::Schema,
}

#[pymethods]
impl Schema {
    #[new]
    fn new(py: Python<'_>, schema: &str) -> Result<Self, NativeError> {
        py.detach(|| core::Schema::new(schema))
            .map(|inner| Self { inner })
            .map_err(|error| NativeError::Argument(error.to_string()))
    }

    fn unheld(&self, py: Python<'_>, answer: &str) -> Option<String> {
        match py.detach(|| self.inner.hold(answer)) {
            Ok(()) => None,
            Err(core::Unheld::Json) => Some("json".to_owned()),
            Err(core::Unheld::Schema(place)) => Some(place),
        }
    }
}

#[pyfunction]
fn language(text: &str) -> Option<(&'static str, f64)> {
    core::language(text).map(|found| (found.code, found.confidence))
}

#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // Python's list becomes it
fn speaks(text: &str, languages: Vec<String>) -> bool {
    core::speaks(text, &languages)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("TOPICS", PyTuple::new(module.py(), core::topics())?)?;
    module.add("LANGUAGES", PyTuple::new(module.py(), core::languages())?)?;
    module.add_class::<Matcher>()?;
    module.add_class::<Schema>()?;
    module.add_function(wrap_pyfunction!(language, module)?)?;
    module.add_function(wrap_pyfunction!(speaks, module)?)
}
