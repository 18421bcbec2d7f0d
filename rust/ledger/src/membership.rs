//! Which seat this process has. A child made by `fork` must not count in its parent's column, and finds none here.
//!
//! The seat lies in a page that the kernel zeroes for the child (`MADV_WIPEONFORK`, Linux 4.14). Asking `getpid` before
//! each admission would do too, for a system call each; `pthread_atfork` would need a global and cannot be undone.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};
use tollway_core::limits::{COLUMNS, Seat};

/// This process's seat, if it has taken one.
pub(crate) struct Membership {
    page: MmapRaw,
}

const COLUMN_BITS: u32 = COLUMNS.trailing_zeros();

impl Membership {
    pub fn new() -> io::Result<Self> {
        let page = MmapRaw::from(MmapOptions::new().len(size_of::<u64>()).map_anon()?);
        // SAFETY: the range is the page just mapped, private and anonymous as the advice demands; nothing points into it.
        let failed = unsafe { libc::madvise(page.as_mut_ptr().cast(), page.len(), libc::MADV_WIPEONFORK) } != 0;
        if failed {
            Err(io::Error::last_os_error())
        } else {
            Ok(Self { page })
        }
    }

    #[expect(clippy::cast_ptr_alignment, reason = "a mapping begins at a page")]
    fn word(&self) -> &AtomicU64 {
        // SAFETY: the page is mapped for as long as `self`, aligned to a page, and at least a word long; it is only ever
        // reached as this atomic.
        unsafe { &*self.page.as_ptr().cast::<AtomicU64>() }
    }

    #[inline]
    pub fn get(&self) -> Option<Seat> {
        decoded(self.word().load(Ordering::Acquire))
    }

    /// Takes `seat`, unless another thread has taken one meanwhile: then that one.
    pub fn set(&self, seat: Seat) -> Result<(), Seat> {
        match self
            .word()
            .compare_exchange(0, encoded(seat), Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => Ok(()),
            Err(other) => Err(decoded(other).unwrap_or(seat)),
        }
    }

    /// Forgets the seat and returns it.
    pub fn take(&self) -> Option<Seat> {
        decoded(self.word().swap(0, Ordering::AcqRel))
    }

    /// Forgets `seat` if it is the one held.
    pub fn forget(&self, seat: Seat) {
        // Another thread may have been quicker, which is as good.
        let _ = self
            .word()
            .compare_exchange(encoded(seat), 0, Ordering::AcqRel, Ordering::Acquire);
    }
}

fn encoded(seat: Seat) -> u64 {
    seat.generation << COLUMN_BITS | seat.column as u64
}

fn decoded(word: u64) -> Option<Seat> {
    let column = usize::try_from(word % COLUMNS as u64).unwrap_or(0);
    (word != 0).then_some(Seat {
        column,
        generation: word >> COLUMN_BITS,
    })
}
