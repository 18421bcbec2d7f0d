//! Tollway's hot work, without Python, I/O or a clock.
//!
//! In the order in which a request meets them:
//!
//! 1. [`keys`]: generate, check and digest API keys; the bounded table of known keys (L1).
//! 2. [`chat`]: read a chat request or answer out of its bytes, and write it anew with a few fields touched.
//! 3. [`limits`]: windows and concurrency slots over a flat piece of memory.
//! 4. [`pii`]: find and redact personal data in linear time.
//! 5. [`routing`]: who is asked, and what is known of them, in the same piece of memory.
//! 6. [`tokens`]: exact token counts for `OpenAI`'s vocabularies.
//! 7. [`sse`]: server-sent events from any chunking; usage and finish reasons found on the way.
//! 8. [`eventstream`]: the binary frames of Amazon's streams, from any chunking.
#![forbid(unsafe_code)]

pub mod chat;
pub mod eventstream;
pub mod keys;
pub mod limits;
pub mod pii;
pub mod routing;
pub mod sse;
pub mod tokens;
