//! What can go wrong with the shared memory itself. A refusal is not an error: it is an answer of the core.

use std::io;
use std::path::{Path, PathBuf};

use tollway_core::limits::{COLUMNS, Fault};

/// Why the ledger could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The operating system refused.
    #[error("cannot {action} the ledger {}: {source}", path.display())]
    System {
        /// What was being done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file holds something else, which is not overwritten.
    #[error("{} is not a Tollway ledger: remove the file or name another one", .0.display())]
    Foreign(PathBuf),
    /// The file would have to be made anew, and others are using it.
    #[error("the ledger {} cannot be used because {fault}, nor replaced because other processes have it open: \
             stop them, use the same settings and build, or name another file", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The file is used by processes whose numbers mean nothing here.
    #[error("the ledger {} is in use by processes of another PID namespace (another container?): \
             name a file of its own for each", .0.display())]
    OtherHost(PathBuf),
    /// Every column has a live worker.
    #[error("the ledger {} has its {COLUMNS} workers already", .0.display())]
    TooManyWorkers(PathBuf),
    /// No counter is free for a rule; nothing was charged.
    #[error("the ledger {} is full: raise its capacity", .0.display())]
    Full(PathBuf),
    /// The lock was held for seconds: its holder is stopped, or the machine is.
    #[error("the lock of the ledger {} is not let go: is one of its workers stopped (SIGSTOP, debugger)?", .0.display())]
    Stalled(PathBuf),
    /// `close` was called on it.
    #[error("the ledger {} is closed", .0.display())]
    Closed(PathBuf),
}

impl LedgerError {
    pub(crate) fn system(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
