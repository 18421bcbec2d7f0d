//! `tollway._native.tokens`: counting tokens.

use pyo3::prelude::*;
use tollway_core::tokens::{self as core, Encoding};

use crate::errors::NativeError;

/// Texts from this size on are counted without the interpreter. At 25 to 40 ns a byte that is half a millisecond; letting
/// go of the interpreter and taking it back costs 0.1 µs when nobody wants it, but up to the switch interval (5 ms) when
/// somebody does, which a short count on the event loop should not risk.
const DETACH_FROM_BYTES: usize = 16 * 1024;

#[pyfunction]
fn count(py: Python<'_>, encoding: &str, text: &str) -> Result<usize, NativeError> {
    let encoding = encoding_named(encoding)?;
    if text.len() < DETACH_FROM_BYTES {
        return Ok(encoding.count(text));
    }
    Ok(py.detach(|| encoding.count(text)))
}

#[pyfunction]
fn count_at_most(py: Python<'_>, encoding: &str, text: &str, limit: usize) -> Result<Option<usize>, NativeError> {
    let encoding = encoding_named(encoding)?;
    if text.len() < DETACH_FROM_BYTES {
        return Ok(encoding.count_at_most(text, limit));
    }
    Ok(py.detach(|| encoding.count_at_most(text, limit)))
}

#[pyfunction]
fn encoding_of(model: &str) -> &'static str {
    Encoding::of_model(model).name()
}

#[pyfunction]
fn chat_overhead(messages: usize, names: usize) -> usize {
    core::chat_overhead(messages, names)
}

#[pyfunction]
fn warm(py: Python<'_>, encoding: &str) -> Result<(), NativeError> {
    let encoding = encoding_named(encoding)?;
    py.detach(|| encoding.warm());
    Ok(())
}

pub(crate) fn encoding_named(encoding: &str) -> Result<Encoding, NativeError> {
    Encoding::named(encoding).ok_or_else(|| {
        let known = Encoding::ALL.map(Encoding::name).join(", ");
        NativeError::Argument(format!("unknown encoding {encoding:?}: use one of {known}"))
    })
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(count, module)?)?;
    module.add_function(wrap_pyfunction!(count_at_most, module)?)?;
    module.add_function(wrap_pyfunction!(encoding_of, module)?)?;
    module.add_function(wrap_pyfunction!(chat_overhead, module)?)?;
    module.add_function(wrap_pyfunction!(warm, module)?)
}
