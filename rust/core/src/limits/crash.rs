//! Stands for `kill -9` in tests: unwinds out of the n-th store to the ledger's words, leaving those before it.

use std::cell::Cell;

thread_local! { static STORES_LEFT: Cell<Option<u32>> = const { Cell::new(None) }; }

/// The store after so many is the one that is not made; none: all are.
pub(crate) fn after(stores: Option<u32>) {
    STORES_LEFT.set(stores);
}

pub(super) fn before_store() {
    match STORES_LEFT.get() {
        Some(0) => std::panic::resume_unwind(Box::new("killed")),
        Some(left) => STORES_LEFT.set(Some(left - 1)),
        None => {}
    }
}
