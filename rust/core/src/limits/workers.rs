//! The worker table: who sits in which column, and what becomes of a column whose worker is gone.
//!
//! A column is free, live or dirty. Burying a worker clears one bit, and with it every slot the worker held; zeroing the
//! cells takes a walk over all counters, which is done in batches, off the request path, before the column is given away.

use super::layout::{COLUMNS, ENTRIES, WORKERS, barrier, header, worker};
use super::slots::Slots;
use super::table::Table;
use crate::purses;
use crate::routing::entry;

/// A process, told apart from a later one of the same number by when it started (clock ticks since boot).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Process number in the ledger's PID namespace.
    pub pid: u32,
    /// Field 22 of `/proc/<pid>/stat`.
    pub start_ticks: u64,
}

/// A worker's place: its column, and a generation that no other holder of the column ever has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Below [`COLUMNS`].
    pub column: usize,
    /// From one to 2⁵⁸ - 1.
    pub generation: u64,
}

/// Generations before they repeat: so many that a seat fits into one word beside its column.
const GENERATIONS: u64 = u64::MAX / COLUMNS as u64;

pub(super) fn row(column: usize) -> usize {
    WORKERS + column * worker::WORDS
}

fn columns(mask: u64) -> impl Iterator<Item = usize> {
    (0..COLUMNS).filter(move |column| mask >> column & 1 == 1)
}

impl Table<'_> {
    pub(crate) fn live(&self) -> u64 {
        self.words.get(header::LIVE)
    }

    fn dirty(&self) -> u64 {
        self.words.get(header::DIRTY)
    }

    /// Takes a free column for `process`; none when all are live or dirty.
    pub fn join(&mut self, process: Process) -> Option<Seat> {
        let taken = self.live() | self.dirty();
        let column = columns(!taken).next()?;
        let generation = (self.words.get(header::GENERATION) % GENERATIONS).wrapping_add(1);
        self.words.set(header::GENERATION, generation);
        self.words.set(row(column) + worker::PID, u64::from(process.pid));
        self.words.set(row(column) + worker::START, process.start_ticks);
        self.words.set(row(column) + worker::GENERATION, generation);
        self.words.set(row(column) + worker::OPEN, 0);
        barrier();
        self.words.set(header::LIVE, self.live() | 1 << column);
        Some(Seat { column, generation })
    }

    /// Whether the seat is still its holder's.
    #[must_use]
    #[inline]
    pub fn is_seated(&self, seat: Seat) -> bool {
        self.live() >> seat.column & 1 == 1 && self.words.get(row(seat.column) + worker::GENERATION) == seat.generation
    }

    /// Who sits where, as of now.
    pub fn seats(&self) -> impl Iterator<Item = (Seat, Process)> {
        columns(self.live()).map(|column| {
            let word = |at| self.words.get(row(column) + at);
            // A damaged row holds no process number that lives; it is swept like any dead worker's.
            let pid = u32::try_from(word(worker::PID)).unwrap_or(0);
            (
                Seat {
                    column,
                    generation: word(worker::GENERATION),
                },
                Process {
                    pid,
                    start_ticks: word(worker::START),
                },
            )
        })
    }

    /// Gives back all that the holder of `seat` had open; whether it was still seated.
    pub fn bury(&mut self, seat: Seat) -> bool {
        if !self.is_seated(seat) {
            return false;
        }
        self.words.set(header::BURIALS, self.burials().wrapping_add(1));
        // Dirty before not live: killed in between, the column is both, and is buried again.
        self.words.set(header::DIRTY, self.dirty() | 1 << seat.column);
        barrier();
        self.words.set(header::LIVE, self.live() & !(1 << seat.column));
        true
    }

    /// Columns that wait to be zeroed.
    #[must_use]
    pub fn to_clean(&self) -> u64 {
        self.dirty() & !self.live()
    }

    /// How many workers were ever buried. A walk of [`Table::clean`] over everything is good for the columns that
    /// waited when it began, if this has not changed by its end.
    #[must_use]
    pub fn burials(&self) -> u64 {
        self.words.get(header::BURIALS)
    }

    /// Zeroes the cells that those of `columns` which still wait have in `from..until` of the counters and, behind them,
    /// of the board's entries and the purses.
    pub fn clean(&mut self, columns: u64, from: usize, until: usize) {
        let dead = columns & self.to_clean();
        if dead == 0 {
            return;
        }
        for index in from..until.min(self.cleanable()) {
            if let Some(index) = index.checked_sub(self.capacity + ENTRIES) {
                purses::columns(self.purse_index(), index).clear(dead);
                continue;
            }
            let lanes = match index.checked_sub(self.capacity) {
                Some(index) => Some(entry::lanes(self.board_index(), index)),
                None => self.slots_at(index).map(Slots::lanes),
            };
            if let Some(lanes) = lanes {
                lanes.clear(dead);
            }
        }
    }

    /// Frees the columns, whose cells are all zero.
    pub fn free(&mut self, columns: u64) {
        self.words.set(header::DIRTY, self.dirty() & !(columns & !self.live()));
    }

    /// Open admissions of all live workers.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        columns(self.live())
            .map(|column| self.words.get(row(column) + worker::OPEN))
            .fold(0, u64::saturating_add)
    }
}
