//! `tollway._native.chat`: requests and answers as bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyFrozenSet};
use tollway_core::chat as core;

use crate::errors::NativeError;
use crate::tokens::encoding_named;

create_exception!(tollway._native.chat, InvalidRequest, PyValueError);

/// Bodies from this size on are scanned and counted without the interpreter; see `tokens` for why not all.
pub(crate) const DETACH_FROM_BYTES: usize = 16 * 1024;
/// Reading and copying is much cheaper a byte: below this size, getting the interpreter back would cost more.
const DETACH_COPY_FROM_BYTES: usize = 128 * 1024;

/// Keeps the Python object that holds the body alive; nothing is copied.
#[pyclass(frozen, module = "tollway._native.chat")]
pub(crate) struct ChatRequest {
    inner: core::ChatRequest<PyBackedBytes>,
}

#[pymethods]
impl ChatRequest {
    #[getter]
    const fn body(&self) -> &PyBackedBytes {
        self.inner.body()
    }

    #[getter]
    const fn operation(&self) -> &'static str {
        self.inner.operation().name()
    }

    #[getter]
    const fn numbered(&self) -> usize {
        self.inner.numbered()
    }

    #[getter]
    fn model(&self) -> &str {
        self.inner.model()
    }

    #[getter]
    const fn stream(&self) -> bool {
        self.inner.stream()
    }

    #[getter]
    const fn include_usage(&self) -> bool {
        self.inner.include_usage()
    }

    #[getter]
    const fn n(&self) -> u32 {
        self.inner.n()
    }

    #[getter]
    const fn max_tokens(&self) -> Option<u64> {
        self.inner.max_tokens()
    }

    #[getter]
    fn user(&self) -> Option<&str> {
        self.inner.user()
    }

    #[getter]
    const fn messages(&self) -> usize {
        self.inner.messages()
    }

    #[getter]
    const fn text_bytes(&self) -> usize {
        self.inner.text_bytes()
    }

    fn needs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyFrozenSet>> {
        PyFrozenSet::new(py, self.inner.needs().map(core::Need::name))
    }

    fn metadata(&self) -> BTreeMap<String, String> {
        self.inner.metadata().into_iter().collect()
    }

    fn conversation(&self) -> u64 {
        self.inner.conversation()
    }

    fn prefix(&self) -> u64 {
        self.inner.prefix()
    }

    fn cache_keys(&self, py: Python<'_>, scope: &str, model: &str) -> CacheKeys {
        CacheKeys {
            inner: self.off_loop(py, DETACH_FROM_BYTES, |request| request.cache_keys(scope, model)),
        }
    }

    /// With nothing to change, the client's own object goes back.
    fn render<'py>(&self, py: Python<'py>, model: &str, ask_usage: bool) -> Bound<'py, PyBytes> {
        match self.off_loop(py, DETACH_COPY_FROM_BYTES, |request| request.render(model, ask_usage)) {
            Cow::Borrowed(_) => {
                let Ok(same) = self.inner.body().into_pyobject(py);
                same
            }
            Cow::Owned(rendered) => PyBytes::new(py, &rendered),
        }
    }

    fn prompt_upper_bound(&self) -> usize {
        self.inner.prompt_upper_bound()
    }

    fn count_prompt(&self, py: Python<'_>, encoding: &str) -> Result<usize, NativeError> {
        let encoding = encoding_named(encoding)?;
        Ok(self.off_loop(py, DETACH_FROM_BYTES, |request| request.count_prompt(encoding)))
    }
}

impl ChatRequest {
    /// The request with another body, if there is one; else the very same.
    pub(crate) fn changed(slf: Bound<'_, Self>, body: Option<Vec<u8>>) -> Result<Bound<'_, Self>, PyErr> {
        let Some(body) = body else {
            return Ok(slf);
        };
        let py = slf.py();
        let operation = slf.get().inner.operation();
        let inner = read_off_loop(py, PyBytes::new(py, &body).into(), |body| {
            core::ChatRequest::read(body, operation)
        });
        let inner = inner.map_err(NativeError::from)?;
        Bound::new(py, Self { inner })
    }

    /// Works on it, without the interpreter from that size on.
    pub(crate) fn off_loop<'a, T: Send>(
        &'a self,
        py: Python<'_>,
        from_bytes: usize,
        work: impl Send + FnOnce(&'a core::ChatRequest<PyBackedBytes>) -> T,
    ) -> T {
        if self.inner.body().len() < from_bytes {
            work(&self.inner)
        } else {
            py.detach(|| work(&self.inner))
        }
    }
}

/// Reads a body, without the interpreter where that takes long.
fn read_off_loop<T: Send>(py: Python<'_>, body: PyBackedBytes, read: impl Send + FnOnce(PyBackedBytes) -> T) -> T {
    if body.len() < DETACH_COPY_FROM_BYTES {
        read(body)
    } else {
        py.detach(|| read(body))
    }
}

/// The counts of a whole answer, or of a stream so far: see `ChatAnswer.usage` and `sse.Relay.usage`.
#[pyclass(frozen, module = "tollway._native.chat")]
pub(crate) struct Usage {
    pub(crate) inner: core::Usage,
}

#[pymethods]
impl Usage {
    #[getter]
    const fn prompt_tokens(&self) -> Option<u64> {
        self.inner.prompt
    }

    #[getter]
    fn completion_tokens(&self) -> Option<u64> {
        self.inner.billed_completion()
    }

    #[getter]
    const fn total_tokens(&self) -> Option<u64> {
        self.inner.total
    }

    #[getter]
    const fn cached_tokens(&self) -> Option<u64> {
        self.inner.cached
    }

    #[getter]
    const fn cache_write_tokens(&self) -> Option<u64> {
        self.inner.cache_write
    }

    #[getter]
    const fn cache_write_1h_tokens(&self) -> Option<u64> {
        self.inner.cache_write_1h
    }

    #[getter]
    const fn reasoning_tokens(&self) -> Option<u64> {
        self.inner.reasoning
    }

    #[getter]
    const fn audio_prompt_tokens(&self) -> Option<u64> {
        self.inner.audio_prompt
    }

    #[getter]
    const fn cached_audio_tokens(&self) -> Option<u64> {
        self.inner.cached_audio
    }

    #[getter]
    const fn audio_completion_tokens(&self) -> Option<u64> {
        self.inner.audio_completion
    }

    #[getter]
    const fn image_prompt_tokens(&self) -> Option<u64> {
        self.inner.image_prompt
    }

    #[getter]
    const fn image_completion_tokens(&self) -> Option<u64> {
        self.inner.image_completion
    }

    #[getter]
    const fn audio_ms(&self) -> Option<u64> {
        self.inner.audio_ms
    }

    #[getter]
    fn service_tier(&self) -> Option<&str> {
        self.inner.service_tier.as_ref().map(core::ServiceTier::word)
    }
}

#[pyclass(frozen, module = "tollway._native.chat")]
struct ChatAnswer {
    inner: core::ChatAnswer<PyBackedBytes>,
}

#[pymethods]
impl ChatAnswer {
    #[getter]
    fn model(&self) -> Option<&str> {
        self.inner.model()
    }

    #[getter]
    const fn choices(&self) -> usize {
        self.inner.choices()
    }

    #[getter]
    fn finish_reasons(&self) -> Vec<String> {
        self.inner.finish_reasons().to_vec()
    }

    #[getter]
    const fn error(&self) -> bool {
        self.inner.error()
    }

    #[getter]
    const fn usage(&self) -> Usage {
        Usage {
            inner: *self.inner.usage(),
        }
    }

    fn count_completion(&self, py: Python<'_>, encoding: &str) -> Result<usize, NativeError> {
        let encoding = encoding_named(encoding)?;
        Ok(py.detach(|| self.inner.count_completion(encoding)))
    }
}

#[pyfunction]
#[pyo3(signature = (body, operation = "chat"))]
fn read_request(py: Python<'_>, body: PyBackedBytes, operation: &str) -> Result<ChatRequest, NativeError> {
    let operation = operation_named(operation)?;
    let inner = read_off_loop(py, body, |body| core::ChatRequest::read(body, operation))?;
    Ok(ChatRequest { inner })
}

#[pyfunction]
#[pyo3(signature = (body, operation = "chat"))]
fn read_answer(py: Python<'_>, body: PyBackedBytes, operation: &str) -> Result<ChatAnswer, NativeError> {
    let operation = operation_named(operation)?;
    let inner = read_off_loop(py, body, |body| core::ChatAnswer::read_as(body, operation))?;
    Ok(ChatAnswer { inner })
}

pub(crate) fn operation_named(name: &str) -> Result<core::Operation, NativeError> {
    core::Operation::named(name).ok_or_else(|| {
        let known = core::Operation::ALL.map(core::Operation::name).join(", ");
        NativeError::Argument(format!("unknown operation {name:?}: use {known}"))
    })
}

/// The Python exception, with what it carries beside its message.
pub(crate) fn refused(refusal: &core::InvalidRequest) -> PyErr {
    Python::attach(|py| {
        let error = InvalidRequest::new_err(refusal.message.clone());
        let value = error.value(py);
        let carried = value
            .setattr("param", &refusal.param)
            .and_then(|()| value.setattr("code", refusal.code));
        carried.err().unwrap_or(error)
    })
}

#[pyclass(frozen, module = "tollway._native.chat")]
struct CacheKeys {
    inner: core::CacheKeys,
}

#[pymethods]
impl CacheKeys {
    #[getter]
    fn key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.inner.key)
    }

    #[getter]
    fn namespace<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.inner.namespace.as_ref().map(|bytes| PyBytes::new(py, bytes))
    }

    #[getter]
    fn question(&self) -> Option<&str> {
        self.inner.question.as_deref()
    }

    #[getter]
    const fn temperature(&self) -> Option<f64> {
        self.inner.temperature
    }

    #[getter]
    const fn is_cacheable(&self) -> bool {
        self.inner.is_cacheable
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("InvalidRequest", module.py().get_type::<InvalidRequest>())?;
    module.add_class::<ChatRequest>()?;
    module.add_class::<CacheKeys>()?;
    module.add_class::<ChatAnswer>()?;
    module.add_class::<Usage>()?;
    module.add_function(wrap_pyfunction!(read_request, module)?)?;
    module.add_function(wrap_pyfunction!(read_answer, module)?)
}
