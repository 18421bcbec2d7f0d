//! The purses that one call is paid from, hashed once when the set is built.

use crate::limits::memory::Identity;

/// The most purses that one call may be paid from. It bounds the undo log.
pub const MAX_PURSES: usize = 16;

/// Why a set of purses cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PurseError {
    /// More purses than [`MAX_PURSES`].
    #[error("a call is paid from at most {MAX_PURSES} purses, not {0}")]
    TooMany(usize),
    /// The same purse twice: it would be charged twice for one call.
    #[error("the purse {0} stands twice")]
    Twice(String),
}

/// Purses by name, in the order given. Immutable.
#[derive(Clone, Debug)]
pub struct PurseSet {
    names: Vec<String>,
    identities: Vec<Identity>,
}

impl PurseSet {
    /// Checks the names and computes their purses' identities.
    pub fn new(names: Vec<String>) -> Result<Self, PurseError> {
        if names.len() > MAX_PURSES {
            return Err(PurseError::TooMany(names.len()));
        }
        if let Some((_, name)) = names
            .iter()
            .enumerate()
            .find(|(index, name)| names[..*index].contains(name))
        {
            return Err(PurseError::Twice(name.clone()));
        }
        let identities = names.iter().map(|name| identity(name)).collect();
        Ok(Self { names, identities })
    }

    /// The names, in the order given.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn identities(&self) -> &[Identity] {
        &self.identities
    }
}

/// What the purse of that name is found by.
pub(super) fn identity(name: &str) -> Identity {
    Identity::named("purse", name)
}
