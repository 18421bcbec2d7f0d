//! `tollway._native.guardrails`: policies, and the guards of calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tollway_core::guardrails::{self as core, Action, Direction, Outside};
use tollway_core::sse::Dialect;

use crate::chat::{ChatRequest, DETACH_FROM_BYTES, operation_named};
use crate::errors::NativeError;
use crate::sse::dialect_named;

/// A finding of a text that is examined: check, kind, start, end, confidence and action.
type Examined = (String, String, usize, usize, f64, &'static str);

#[pyclass(frozen, module = "tollway._native.guardrails")]
pub(crate) struct Policy {
    inner: core::Policy,
}

#[pymethods]
impl Policy {
    #[new]
    fn new(py: Python<'_>, spec: &[u8], secret: &[u8]) -> Result<Self, NativeError> {
        let inner = py.detach(|| core::Policy::compile(spec, secret))?;
        Ok(Self { inner })
    }

    #[getter]
    fn inspects_input(&self) -> bool {
        !self.inner.checks(Direction::Input).is_empty()
    }

    #[getter]
    fn inspects_output(&self) -> bool {
        !self.inner.checks(Direction::Output).is_empty()
    }

    fn beside(&self, other: &Self) -> Self {
        Self {
            inner: self.inner.beside(&other.inner),
        }
    }

    fn session(&self, tenant: &str) -> Session {
        Session {
            inner: Arc::new(Mutex::new(core::Session::new(self.inner.clone(), tenant))),
        }
    }

    /// Offsets leave in code points, as Python counts.
    fn examine(
        &self,
        py: Python<'_>,
        text: &str,
        direction: &str,
        tenant: &str,
    ) -> Result<(String, Vec<Examined>), NativeError> {
        let direction = direction_named(direction)?;
        let (rewritten, examined) = py.detach(|| self.inner.examine(text, direction, tenant));
        let points = Points::of(text);
        let findings = examined.into_iter().map(|found| {
            (
                found.check.to_string(),
                found.kind,
                points.before(found.start),
                points.before(found.end),
                f64::from(found.confidence) / 100.0,
                found.action.name(),
            )
        });
        Ok((rewritten, findings.collect()))
    }
}

/// How many characters lie before each byte that begins one.
struct Points(Vec<usize>);

impl Points {
    fn of(text: &str) -> Self {
        Self(text.char_indices().map(|(at, _)| at).collect())
    }

    fn before(&self, offset: usize) -> usize {
        self.0.partition_point(|at| *at < offset)
    }
}

#[pyclass(frozen, module = "tollway._native.guardrails")]
struct Blocked {
    #[pyo3(get)]
    direction: &'static str,
    #[pyo3(get)]
    check: String,
    #[pyo3(get)]
    kind: String,
}

/// A finding of an external check: text, start, end, check, kind, action, restore.
type Edit = (usize, usize, usize, String, String, String, bool);

#[pyclass(frozen, module = "tollway._native.guardrails")]
pub(crate) struct Session {
    /// Shared with the screens of its streams. Never held while waiting for the interpreter.
    pub(crate) inner: Arc<Mutex<core::Session>>,
}

#[pymethods]
impl Session {
    #[getter]
    fn blocked(&self) -> Option<Blocked> {
        self.held().blocked().map(|blocked| Blocked {
            direction: blocked.direction.name(),
            check: blocked.check.to_string(),
            kind: blocked.kind.clone(),
        })
    }

    #[getter]
    fn has_originals(&self) -> bool {
        self.held().has_originals()
    }

    fn request<'py>(
        &self,
        py: Python<'py>,
        request: Bound<'py, ChatRequest>,
    ) -> Result<Bound<'py, ChatRequest>, PyErr> {
        let changed = request.get().off_loop(py, DETACH_FROM_BYTES, |request| {
            request.judged(&mut self.held().judge(Direction::Input))
        });
        ChatRequest::changed(request, changed)
    }

    #[allow(clippy::unused_self)] // of what a session lets pass, though today that is all
    fn texts(&self, py: Python<'_>, request: &ChatRequest) -> Vec<(&'static str, String)> {
        let told = request.off_loop(py, DETACH_FROM_BYTES, tollway_core::chat::ChatRequest::told_texts);
        told.into_iter().map(|(source, text)| (source.name(), text)).collect()
    }

    fn edit<'py>(
        &self,
        py: Python<'py>,
        request: Bound<'py, ChatRequest>,
        edits: Vec<Edit>,
    ) -> Result<Bound<'py, ChatRequest>, PyErr> {
        let found = outside(edits)?;
        let changed = request.get().off_loop(py, DETACH_FROM_BYTES, |request| {
            let told = request.told_texts();
            let hits: BTreeMap<_, _> = core::located(told.iter().map(|(_, text)| text.as_str()), &found);
            request.judged_elsewhere(&mut self.held().outside(Direction::Input, &found), hits)
        });
        ChatRequest::changed(request, changed)
    }

    fn fork(&self) -> Self {
        Self {
            inner: Arc::new(Mutex::new(self.held().fork())),
        }
    }

    fn adopt(&self, fork: &Self) {
        if !Arc::ptr_eq(&self.inner, &fork.inner) {
            let mut fork = fork.held();
            self.held().adopt(&mut fork);
        }
    }

    fn stream(&self, dialect: &str) -> Result<Screen, NativeError> {
        let inner = self.screen(dialect_named(dialect)?);
        Ok(Screen { inner })
    }

    fn answer<'py>(&self, body: Bound<'py, PyBytes>, operation: &str) -> PyResult<Option<(Bound<'py, PyBytes>, bool)>> {
        let (py, operation) = (body.py(), operation_named(operation)?);
        let bytes = body.as_bytes();
        let work = || self.held().answer(bytes, operation);
        let screened = if bytes.len() < DETACH_FROM_BYTES {
            work()
        } else {
            py.detach(work)
        };
        Ok(screened.ok().map(|screened| {
            let rewritten = screened.body.map(|body| PyBytes::new(py, &body));
            (rewritten.unwrap_or(body), screened.drops_tokens)
        }))
    }

    #[staticmethod]
    fn answer_texts(py: Python<'_>, body: &[u8], operation: &str) -> PyResult<Vec<String>> {
        let operation = operation_named(operation)?;
        Ok(py.detach(|| core::Session::answer_texts(body, operation)))
    }

    fn edit_answer<'py>(
        &self,
        py: Python<'py>,
        body: &[u8],
        operation: &str,
        edits: Vec<Edit>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let (operation, found) = (operation_named(operation)?, outside(edits)?);
        let edited = py.detach(|| self.held().edit_answer(body, operation, &found));
        Ok(edited.ok().map(|body| PyBytes::new(py, &body)))
    }

    fn note(&self, direction: &str, check: &str, kind: &str, action: &str) -> Result<(), NativeError> {
        let (direction, action) = (direction_named(direction)?, action_named(action)?);
        self.held().note(direction, &check.into(), kind, action);
        Ok(())
    }

    fn found(&self) -> Vec<(&'static str, String, String, &'static str, usize)> {
        let session = self.held();
        let found = session.found().map(|found| {
            (
                found.direction.name(),
                found.check.to_string(),
                found.kind,
                found.action.name(),
                found.count,
            )
        });
        found.collect()
    }
}

impl Session {
    /// What screens a stream on behalf of this guard.
    pub(crate) fn screen(&self, dialect: Dialect) -> core::Screen {
        core::Screen::new(dialect, Box::new(Arc::clone(&self.inner)))
    }

    /// Whoever panicked has left counts that are whole.
    pub(crate) fn held(&self) -> MutexGuard<'_, core::Session> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What external checks have found, as the core knows it.
pub(crate) fn outside(edits: Vec<Edit>) -> Result<Vec<Outside>, NativeError> {
    let outside = edits
        .into_iter()
        .map(|(text, start, end, check, kind, action, restores)| {
            Ok(Outside {
                text,
                start,
                end,
                check: check.into(),
                kind,
                action: action_named(&action)?,
                restores,
            })
        });
    outside.collect()
}

fn direction_named(name: &str) -> Result<Direction, NativeError> {
    Direction::named(name)
        .ok_or_else(|| NativeError::Argument(format!("unknown direction {name:?}: use input, output")))
}

fn action_named(name: &str) -> Result<Action, NativeError> {
    Action::named(name).ok_or_else(|| {
        let known = Action::ALL.map(Action::name).join(", ");
        NativeError::Argument(format!("unknown action {name:?}: use {known}"))
    })
}

#[pyclass(module = "tollway._native.guardrails")]
struct Screen {
    inner: core::Screen,
}

#[pymethods]
impl Screen {
    fn event<'py>(&mut self, py: Python<'py>, payload: &[u8]) -> Option<Vec<Bound<'py, PyBytes>>> {
        let mut work = || {
            let mut said = Vec::new();
            let done = self.inner.event(payload, &mut |payload| said.push(payload.to_vec()));
            done.is_ok().then_some(said)
        };
        let said = if payload.len() < DETACH_FROM_BYTES {
            work()
        } else {
            py.detach(work)
        };
        said.map(|said| said.iter().map(|payload| PyBytes::new(py, payload)).collect())
    }

    fn finish<'py>(&mut self, py: Python<'py>) -> Option<Vec<Bound<'py, PyBytes>>> {
        let mut said = Vec::new();
        let done = self.inner.finish(&mut |payload| said.push(PyBytes::new(py, payload)));
        done.is_ok().then_some(said)
    }
}

#[pyclass(module = "tollway._native.guardrails")]
struct Segments {
    inner: core::Segments,
}

#[pymethods]
impl Segments {
    #[new]
    #[pyo3(signature = (dialect, max_event_bytes = 4 << 20))]
    fn new(dialect: &str, max_event_bytes: usize) -> Result<Self, NativeError> {
        Ok(Self {
            inner: core::Segments::new(dialect_named(dialect)?, max_event_bytes),
        })
    }

    fn take(&mut self, events: &[u8]) -> Result<bool, NativeError> {
        Ok(self.inner.take(events)?)
    }

    fn texts(&self) -> Vec<String> {
        self.inner.texts().map(str::to_owned).collect()
    }

    fn release<'py>(
        &mut self,
        py: Python<'py>,
        session: &Session,
        edits: Vec<Edit>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let found = outside(edits)?;
        let released = self.inner.release(&mut session.held(), &found);
        Ok(released.ok().map(|events| PyBytes::new(py, &events)))
    }

    #[getter]
    fn last<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner.last())
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Policy>()?;
    module.add_class::<Screen>()?;
    module.add_class::<Segments>()?;
    module.add_class::<Session>()?;
    module.add_class::<Blocked>()
}
