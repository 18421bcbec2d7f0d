//! `tollway._native.pii`: finding and redacting personal data.

use std::collections::BTreeMap;

use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyTuple};
use tollway_core::detector::Points;
use tollway_core::pii::{self as core, Entities, Entity, Finding};

use crate::errors::NativeError;

/// Texts from this size on are scanned without the interpreter: below, the scan of prose takes less than 0.5 ms, and waiting to
/// get the interpreter back could take longer.
const DETACH_FROM_BYTES: usize = 64 * 1024;

/// Also used by `chat`, which scans the texts of a request where they lie.
#[pyclass(frozen, module = "tollway._native.pii")]
pub(crate) struct Scanner {
    pub(crate) inner: core::Scanner,
}

#[pymethods]
impl Scanner {
    #[new]
    fn new(entities: Vec<String>) -> Result<Self, NativeError> {
        let entities = entities
            .into_iter()
            .map(|name| named(&name))
            .collect::<Result<Entities, _>>()?;
        Ok(Self {
            inner: core::Scanner::new(entities),
        })
    }

    /// Offsets leave in code points, as Python counts.
    fn scan(&self, py: Python<'_>, text: &str) -> Vec<(&'static str, usize, usize)> {
        let mut points = Points::of(text);
        let findings = self.findings(py, text);
        findings
            .iter()
            .map(|found| {
                (
                    found.entity.name(),
                    points.before(found.start),
                    points.before(found.end),
                )
            })
            .collect()
    }

    fn redact(&self, py: Python<'_>, text: &str) -> (String, BTreeMap<&'static str, usize>) {
        let findings = self.findings(py, text);
        let mut counts = BTreeMap::new();
        for found in &findings {
            *counts.entry(found.entity.name()).or_insert(0) += 1;
        }
        (core::redact(text, &findings), counts)
    }
}

impl Scanner {
    fn findings(&self, py: Python<'_>, text: &str) -> Vec<Finding> {
        if text.len() < DETACH_FROM_BYTES {
            self.inner.scan(text)
        } else {
            py.detach(|| self.inner.scan(text))
        }
    }
}

fn named(name: &str) -> Result<Entity, NativeError> {
    Entity::named(name).ok_or_else(|| {
        let known = Entity::ALL.map(Entity::name).join(", ");
        NativeError::Argument(format!("unknown entity {name:?}: use {known}"))
    })
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("ENTITIES", PyTuple::new(module.py(), Entity::ALL.map(Entity::name))?)?;
    let meanings: Vec<_> = Entity::ALL.map(|entity| (entity.name(), entity.meaning())).into();
    module.add("MEANINGS", meanings.into_py_dict(module.py())?)?;
    module.add_class::<Scanner>()
}
