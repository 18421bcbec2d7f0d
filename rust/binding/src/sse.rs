//! `tollway._native.sse`: the relay of a stream.

use std::borrow::Cow;

use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tollway_core::sse as core;

use crate::chat::{DETACH_FROM_BYTES, Usage};
use crate::errors::NativeError;
use crate::guardrails::Session;
use crate::tokens::encoding_named;

create_exception!(tollway._native.sse, EventTooLarge, PyValueError);

#[pyclass(module = "tollway._native.sse")]
struct Relay {
    inner: core::Relay,
}

#[pymethods]
impl Relay {
    #[new]
    #[pyo3(signature = (
        hide_usage, keep_bytes = 1 << 20, max_event_bytes = 4 << 20, dialect = "chat", hold_error = false, guard = None
    ))]
    fn new(
        hide_usage: bool,
        keep_bytes: usize,
        max_event_bytes: usize,
        dialect: &str,
        hold_error: bool,
        guard: Option<&Session>,
    ) -> Result<Self, NativeError> {
        let dialect = dialect_named(dialect)?;
        let manner = core::Manner {
            dialect,
            hide_usage,
            hold_error,
        };
        let relay = core::Relay::new(manner, keep_bytes, max_event_bytes);
        let inner = match guard {
            Some(guard) => relay.screened(guard.screen(dialect)),
            None => relay,
        };
        Ok(Self { inner })
    }

    /// A chunk that passes as it is goes back as the same object.
    fn feed<'py>(&mut self, chunk: Bound<'py, PyBytes>) -> Result<Bound<'py, PyBytes>, NativeError> {
        let (py, bytes) = (chunk.py(), chunk.as_bytes());
        let relayed = if self.screens_much(bytes) {
            py.detach(|| self.inner.feed(bytes))
        } else {
            self.inner.feed(bytes)
        };
        let relayed = match relayed? {
            Cow::Borrowed(same) if same.len() == bytes.len() => None,
            other => Some(PyBytes::new(py, &other)),
        };
        Ok(relayed.unwrap_or(chunk))
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inner.finish())
    }

    fn feed_payloads<'py>(&mut self, py: Python<'py>, chunk: &[u8]) -> Result<Vec<Bound<'py, PyBytes>>, NativeError> {
        let mut passed = Vec::new();
        if self.screens_much(chunk) {
            let mut said = Vec::new();
            py.detach(|| self.inner.feed_payloads(chunk, |payload| said.push(payload.to_vec())))?;
            passed.extend(said.iter().map(|payload| PyBytes::new(py, payload)));
        } else {
            self.inner
                .feed_payloads(chunk, |payload| passed.push(PyBytes::new(py, payload)))?;
        }
        Ok(passed)
    }

    fn finish_payloads<'py>(&mut self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let mut passed = Vec::new();
        self.inner
            .finish_payloads(|payload| passed.push(PyBytes::new(py, payload)));
        passed
    }

    #[getter]
    fn held_bytes(&self) -> usize {
        self.inner.held_bytes()
    }

    #[getter]
    const fn done(&self) -> bool {
        self.inner.done()
    }

    #[getter]
    fn blocked(&self) -> bool {
        self.inner
            .screen()
            .is_some_and(tollway_core::guardrails::Screen::is_halted)
    }

    #[getter]
    fn has_said(&self) -> bool {
        self.inner
            .screen()
            .is_some_and(tollway_core::guardrails::Screen::has_said)
    }

    #[getter]
    fn drops_tokens(&self) -> bool {
        self.inner
            .screen()
            .is_some_and(tollway_core::guardrails::Screen::drops_tokens)
    }

    #[getter]
    const fn failed(&self) -> bool {
        self.inner.failed()
    }

    #[getter]
    fn complete(&self) -> bool {
        self.inner.complete()
    }

    #[getter]
    const fn has_content(&self) -> bool {
        self.inner.has_content()
    }

    #[getter]
    const fn events(&self) -> u64 {
        self.inner.events()
    }

    #[getter]
    fn finish_reasons(&self) -> Vec<String> {
        self.inner.finish_reasons().map(str::to_owned).collect()
    }

    #[getter]
    fn last<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner.last())
    }

    #[getter]
    fn error<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.inner.error().map(|payload| PyBytes::new(py, payload))
    }

    #[getter]
    const fn usage(&self) -> Usage {
        Usage {
            inner: *self.inner.usage(),
        }
    }

    #[getter]
    fn said_bytes(&self) -> usize {
        self.inner.said_bytes()
    }

    fn count_completion(&self, py: Python<'_>, encoding: &str) -> Result<usize, NativeError> {
        let encoding = encoding_named(encoding)?;
        Ok(py.detach(|| self.inner.count_completion(encoding)))
    }
}

impl Relay {
    /// Whether so much is screened that others may have the interpreter meanwhile.
    fn screens_much(&self, chunk: &[u8]) -> bool {
        self.inner.screen().is_some() && self.inner.held_bytes() + chunk.len() >= DETACH_FROM_BYTES
    }
}

#[pyclass(module = "tollway._native.sse")]
struct Payloads {
    inner: core::Payloads,
}

#[pymethods]
impl Payloads {
    #[new]
    #[pyo3(signature = (max_event_bytes = 4 << 20))]
    const fn new(max_event_bytes: usize) -> Self {
        Self {
            inner: core::Payloads::new(max_event_bytes),
        }
    }

    fn feed<'py>(&mut self, py: Python<'py>, chunk: &[u8]) -> Result<Vec<Bound<'py, PyBytes>>, NativeError> {
        let mut found = Vec::new();
        self.inner
            .feed(chunk, |payload| found.push(PyBytes::new(py, payload)))?;
        Ok(found)
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        let mut found = Vec::new();
        self.inner.finish(|payload| found.push(PyBytes::new(py, payload)));
        found
    }
}

pub(crate) fn dialect_named(name: &str) -> Result<core::Dialect, NativeError> {
    core::Dialect::named(name).ok_or_else(|| {
        let known = core::Dialect::ALL.map(core::Dialect::name).join(", ");
        NativeError::Argument(format!("unknown dialect {name:?}: use {known}"))
    })
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("EventTooLarge", module.py().get_type::<EventTooLarge>())?;
    module.add_class::<Relay>()?;
    module.add_class::<Payloads>()
}
