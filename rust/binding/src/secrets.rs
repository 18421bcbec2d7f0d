//! `tollway._native.secrets`: finding and redacting secrets.

use std::collections::BTreeMap;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use tollway_core::detector::{Detector as _, Finding, Points};
use tollway_core::secrets::{self as core, Kind};

/// Texts from this size on are scanned without the interpreter: below, the scan of prose takes less than 0.2 ms, and waiting to
/// get the interpreter back could take longer.
const DETACH_FROM_BYTES: usize = 64 * 1024;

#[pyclass(frozen, module = "tollway._native.secrets")]
struct Scanner {
    inner: core::Scanner,
}

#[pymethods]
impl Scanner {
    #[new]
    fn new() -> Self {
        Self {
            inner: core::Scanner::new(),
        }
    }

    /// Offsets leave in code points, as Python counts; the confidence from 0 to 1.
    fn scan(&self, py: Python<'_>, text: &str) -> Vec<(&'static str, usize, usize, f64)> {
        let mut points = Points::of(text);
        let findings = self.findings(py, text);
        findings
            .iter()
            .map(|found| {
                let (start, end) = (points.before(found.start), points.before(found.end));
                (name(found), start, end, f64::from(found.confidence) / 100.0)
            })
            .collect()
    }

    fn redact(&self, py: Python<'_>, text: &str) -> (String, BTreeMap<&'static str, usize>) {
        let mut counts = BTreeMap::new();
        let mut redacted = String::with_capacity(text.len());
        let mut from = 0;
        for found in self.findings(py, text) {
            *counts.entry(name(&found)).or_insert(0) += 1;
            redacted.push_str(&text[from..found.start]);
            redacted.push('[');
            redacted.push_str(&name(&found).to_ascii_uppercase());
            redacted.push(']');
            from = found.end;
        }
        redacted.push_str(&text[from..]);
        (redacted, counts)
    }
}

impl Scanner {
    fn findings(&self, py: Python<'_>, text: &str) -> Vec<Finding> {
        let scan = || {
            let mut findings = Vec::new();
            self.inner.scan(text, 0, true, &mut findings);
            findings
        };
        if text.len() < DETACH_FROM_BYTES {
            scan()
        } else {
            py.detach(scan)
        }
    }
}

fn name(finding: &Finding) -> &'static str {
    Kind::of(finding.label).map_or("", Kind::name)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let names = Kind::ALL.iter().map(|kind| kind.name());
    module.add("KINDS", PyTuple::new(module.py(), names.collect::<Vec<_>>())?)?;
    module.add_class::<Scanner>()
}
