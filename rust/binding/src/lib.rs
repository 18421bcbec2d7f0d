//! `tollway._native`: each core module as a Python module of the same name. Nothing is decided here.
//!
//! Every file borrows its arguments, calls the core, maps the error (`errors.rs`) and returns a number,
//! `bytes` or a small object. Stubs stand beside the Python package: `python/tollway/_native/<module>.pyi`.

use pyo3::prelude::*;

mod chat;
mod claims;
mod content;
mod errors;
mod eventstream;
mod guardrails;
mod injection;
mod keys;
mod leases;
mod limits;
mod pii;
mod purses;
mod questions;
mod routing;
mod rows;
mod secrets;
mod sse;
mod tokens;

/// A submodule's name, and the function that fills it.
type Register = (&'static str, fn(&Bound<'_, PyModule>) -> PyResult<()>);

/// The extension module: registers each submodule and makes it importable by its full name.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let modules: &[Register] = &[
        ("chat", chat::register),
        ("claims", claims::register),
        ("content", content::register),
        ("eventstream", eventstream::register),
        ("guardrails", guardrails::register),
        ("injection", injection::register),
        ("keys", keys::register),
        ("leases", leases::register),
        ("limits", limits::register),
        ("pii", pii::register),
        ("purses", purses::register),
        ("questions", questions::register),
        ("routing", routing::register),
        ("rows", rows::register),
        ("secrets", secrets::register),
        ("sse", sse::register),
        ("tokens", tokens::register),
    ];
    let registry = module.py().import("sys")?.getattr("modules")?;
    for &(name, register) in modules {
        let submodule = PyModule::new(module.py(), name)?;
        register(&submodule)?;
        module.add_submodule(&submodule)?;
        registry.set_item(format!("tollway._native.{name}"), submodule)?;
    }
    Ok(())
}
