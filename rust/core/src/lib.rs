//! Tollway's hot work, without Python, I/O or a clock.
//!
//! In the order in which a request meets them:
//!
//! 1. [`keys`]: generate, check and digest API keys; the bounded table of known keys (L1).
//! 2. [`chat`]: read a chat request or answer out of its bytes, and write it anew with a few fields touched.
//! 3. [`limits`]: windows and concurrency slots over a flat piece of memory; [`leases`]: those that many hosts share.
//! 4. [`detector`]: what all detectors of texts promise; [`pii`]: personal data; [`secrets`]: keys, tokens and passwords;
//!    [`injection`]: attacks on the instructions of a model; [`content`]: what a text may not say, its language, and
//!    schemas of answers.
//! 5. [`guardrails`]: policies, and what one call's guard remembers.
//! 6. [`routing`]: who is asked, and what is known of them, in the same piece of memory.
//! 7. [`purses`]: money that a call may still spend, in the same piece of memory.
//! 8. [`claims`]: which worker asks what several want to know, in the same piece of memory.
//! 9. [`tokens`]: exact token counts for `OpenAI`'s vocabularies.
//! 10. [`sse`]: server-sent events from any chunking; usage and finish reasons found on the way.
//! 11. [`eventstream`]: the binary frames of Amazon's streams, from any chunking.
//! 12. [`questions`]: what a semantic cache compares: vectors, signs, and who may stand for whom.
//! 13. [`rows`]: usage rows out of the journal, as `PostgreSQL` copies them.
#![forbid(unsafe_code)]

pub mod chat;
pub mod claims;
pub mod content;
pub mod detector;
pub mod eventstream;
pub mod guardrails;
pub mod injection;
pub mod keys;
pub mod leases;
pub mod limits;
pub mod pii;
pub mod purses;
pub mod questions;
pub mod routing;
pub mod rows;
pub mod secrets;
pub mod sse;
pub mod tokens;
