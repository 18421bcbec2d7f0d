//! `tollway._native.eventstream`: frames of Amazon's event streams.

use pyo3::IntoPyObjectExt;
use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use tollway_core::eventstream as core;
use tollway_core::eventstream::Value;

use crate::errors::NativeError;

create_exception!(tollway._native.eventstream, BadFrame, PyValueError);

type PyFrame<'py> = (Bound<'py, PyDict>, Bound<'py, PyBytes>);

#[pyclass(module = "tollway._native.eventstream")]
struct Frames {
    inner: core::Frames,
}

#[pymethods]
impl Frames {
    #[new]
    #[pyo3(signature = (max_frame_bytes = 4 << 20))]
    const fn new(max_frame_bytes: usize) -> Self {
        Self {
            inner: core::Frames::new(max_frame_bytes),
        }
    }

    fn feed<'py>(&mut self, py: Python<'py>, chunk: &[u8]) -> PyResult<Vec<PyFrame<'py>>> {
        let mut found = Vec::new();
        self.inner
            .feed(chunk, |frame| found.push(told(py, frame)))
            .map_err(NativeError::from)?;
        found.into_iter().collect()
    }

    fn finish(&self) -> Result<(), NativeError> {
        Ok(self.inner.finish()?)
    }
}

fn told<'py>(py: Python<'py>, frame: &core::Frame<'_>) -> PyResult<PyFrame<'py>> {
    let headers = PyDict::new(py);
    for &(name, value) in &frame.headers {
        let value = match value {
            Value::Bool(truth) => truth.into_bound_py_any(py)?,
            Value::Integer(number) | Value::Timestamp(number) => number.into_bound_py_any(py)?,
            Value::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
            Value::Text(text) => text.into_bound_py_any(py)?,
            Value::Uuid(bytes) => PyBytes::new(py, bytes).into_any(),
        };
        headers.set_item(name, value)?;
    }
    Ok((headers, PyBytes::new(py, frame.payload)))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("BadFrame", module.py().get_type::<BadFrame>())?;
    module.add_class::<Frames>()
}
