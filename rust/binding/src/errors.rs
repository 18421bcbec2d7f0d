//! The errors that may leave the extension, and the one place where they become Python exceptions.
//!
//! ```text
//! NativeError
//! ├── Argument   ValueError: an argument outside its range
//! ├── Key        ValueError: no key can be made so
//! ├── Random     OSError: the operating system gives no randomness
//! ├── Rule       ValueError: limits that contradict themselves
//! ├── Purse      ValueError: purses of a call that can't be
//! ├── Pool       ValueError: a route's targets, or a breaker, that make no sense
//! ├── Ledger     LedgerError, or LedgerFull when no counter is free
//! ├── Request    InvalidRequest: a chat request that is refused, with the parameter at fault
//! ├── Answer     ValueError: an answer that is not a JSON object
//! ├── Policy     ValueError: a guardrail policy with a check that can't be
//! ├── Event      EventTooLarge: an event of a stream beyond the relay's bound
//! ├── Frame      BadFrame: a binary stream that can't be read
//! └── Row        ValueError: no usage row, or one that no column can hold
//! ```

use pyo3::PyErr;
use pyo3::exceptions::{PyOSError, PyValueError};
use tollway_core::chat::{InvalidAnswer, InvalidRequest};
use tollway_core::eventstream::BadFrame;
use tollway_core::guardrails::PolicyError;
use tollway_core::keys::KeyError;
use tollway_core::limits::RuleError;
use tollway_core::purses::PurseError;
use tollway_core::routing::PoolError;
use tollway_core::rows::NotARow;
use tollway_core::sse::EventTooLarge;
use tollway_ledger::LedgerError;

use crate::{chat, eventstream, limits, sse};

/// Any error of the core or the ledger, on its way out.
pub(crate) enum NativeError {
    Argument(String),
    Key(KeyError),
    Random(getrandom::Error),
    Rule(RuleError),
    Purse(PurseError),
    Pool(PoolError),
    Ledger(LedgerError),
    Request(InvalidRequest),
    Answer(InvalidAnswer),
    Policy(PolicyError),
    Event(EventTooLarge),
    Frame(BadFrame),
    Row(NotARow),
}

impl From<KeyError> for NativeError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl From<getrandom::Error> for NativeError {
    fn from(error: getrandom::Error) -> Self {
        Self::Random(error)
    }
}

impl From<RuleError> for NativeError {
    fn from(error: RuleError) -> Self {
        Self::Rule(error)
    }
}

impl From<PurseError> for NativeError {
    fn from(error: PurseError) -> Self {
        Self::Purse(error)
    }
}

impl From<PoolError> for NativeError {
    fn from(error: PoolError) -> Self {
        Self::Pool(error)
    }
}

impl From<LedgerError> for NativeError {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl From<InvalidRequest> for NativeError {
    fn from(error: InvalidRequest) -> Self {
        Self::Request(error)
    }
}

impl From<InvalidAnswer> for NativeError {
    fn from(error: InvalidAnswer) -> Self {
        Self::Answer(error)
    }
}

impl From<PolicyError> for NativeError {
    fn from(error: PolicyError) -> Self {
        Self::Policy(error)
    }
}

impl From<EventTooLarge> for NativeError {
    fn from(error: EventTooLarge) -> Self {
        Self::Event(error)
    }
}

impl From<BadFrame> for NativeError {
    fn from(error: BadFrame) -> Self {
        Self::Frame(error)
    }
}

impl From<NotARow> for NativeError {
    fn from(error: NotARow) -> Self {
        Self::Row(error)
    }
}

impl From<NativeError> for PyErr {
    fn from(error: NativeError) -> Self {
        match error {
            NativeError::Argument(message) => PyValueError::new_err(message),
            NativeError::Key(error) => PyValueError::new_err(error.to_string()),
            NativeError::Random(error) => PyOSError::new_err(error.to_string()),
            NativeError::Rule(error) => PyValueError::new_err(error.to_string()),
            NativeError::Purse(error) => PyValueError::new_err(error.to_string()),
            NativeError::Pool(error) => PyValueError::new_err(error.to_string()),
            NativeError::Ledger(error @ LedgerError::Full(_)) => limits::LedgerFull::new_err(error.to_string()),
            NativeError::Ledger(error) => limits::LedgerError::new_err(error.to_string()),
            NativeError::Request(error) => chat::refused(&error),
            NativeError::Answer(error) => PyValueError::new_err(error.to_string()),
            NativeError::Policy(error) => PyValueError::new_err(error.to_string()),
            NativeError::Event(error) => sse::EventTooLarge::new_err(error.to_string()),
            NativeError::Row(error) => PyValueError::new_err(error.to_string()),
            NativeError::Frame(error) => eventstream::BadFrame::new_err(error.to_string()),
        }
    }
}
