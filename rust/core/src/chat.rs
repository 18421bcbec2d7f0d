//! A request or an answer of any operation, read out of its bytes. Chat gave the types their names.
//!
//! The hot path never builds objects of the messages. A request is checked once as strict JSON, a few top-level
//! fields are taken out, and the places of the rest are remembered; what is sent upstream are the client's own bytes
//! with a few spans replaced, so that every field Tollway does not know passes through untouched, byte for byte.
//!
//! - [`Operation`]: what is asked for, in which dialect.
//! - [`ChatRequest`]: check, render for an upstream, screen and redact, bound and count its tokens, tell routing of it.
//! - [`CacheKeys`]: what makes the answer to one the same as to another.
//! - [`Need`]: what a request needs of a model beyond text.
//! - [`ChatAnswer`]: usage, finish reasons and the completion's tokens out of a whole answer.
//! - [`Usage`]: the numbers of a `usage` object, with the providers' oddities smoothed.

mod answer;
mod cache_keys;
mod canonical;
mod fields;
mod inlined;
mod input;
pub(crate) mod json;
mod operation;
mod passages;
mod pieces;
mod places;
mod redaction;
mod request;
mod sources;
mod traits;
mod usage;

pub use answer::{ChatAnswer, InvalidAnswer};
pub use cache_keys::CacheKeys;
pub use fields::InvalidRequest;
pub use operation::Operation;
pub use request::ChatRequest;
pub use traits::Need;
pub use usage::{ServiceTier, Usage};

pub(crate) use answer::{is_error, messages, responses, spoken, usage_within, words};
pub(crate) use usage::MessageUsage;

#[cfg(test)]
pub(crate) mod tests;
