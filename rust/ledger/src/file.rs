//! The ledger's file: made, checked and mapped by whoever opens it first, shared by all who follow.
//!
//! Two flocks keep this honest. `<path>.lock` is held while opening, so that one process at a time decides. The file itself
//! is locked shared for as long as it is open; the one who can lock it exclusively is alone with it, whatever was written
//! there by processes now dead. That, unlike process numbers, holds across reboots and containers.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::mem::align_of;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use libc::pthread_mutex_t;
use memmap2::{MmapOptions, MmapRaw};
use tollway_core::limits::{Fault, Host, Table, words_for};

use crate::error::LedgerError;
use crate::lock::{Held, Lock};

/// The lock has a cache line of its own, behind the words: the file begins with the ledger's magic.
const LOCK_BYTES: usize = 64;
const _: () = assert!(size_of::<pthread_mutex_t>() <= LOCK_BYTES && align_of::<pthread_mutex_t>() <= LOCK_BYTES);

/// Enough of the file to hear what it is.
const PEEKED_WORDS: usize = 16;

/// The mapped file and its lock.
pub(crate) struct Shared {
    lock: Lock,
    map: MmapRaw,
    word_count: usize,
    /// Keeps the flock for as long as it is open.
    file: File,
}

impl Shared {
    pub fn open(path: &Path, capacity: usize, host: Host) -> Result<Self, LedgerError> {
        let _opening = opening(path)?;
        let file = open_private(path).map_err(LedgerError::system("open", path))?;
        let alone = flock(&file, libc::LOCK_EX | libc::LOCK_NB).map_err(LedgerError::system("lock", path))?;
        let shared = if alone {
            take_over(path, file, capacity, host)
        } else {
            follow(path, file, capacity, host)
        }?;
        // Nobody can slip in between the two locks: they would need `<path>.lock` first.
        flock(&shared.file, libc::LOCK_SH).map_err(LedgerError::system("lock", path))?;
        Ok(shared)
    }

    fn map(file: File, word_count: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(file_bytes(word_count)).map_raw(&file)?;
        // SAFETY: the lock lies within the mapping, `LOCK_BYTES` before its end, at a multiple of 64 from its page-aligned
        // start, and `Shared` keeps the mapping for as long as the lock. `take_over` makes it before anyone may follow.
        let lock = unsafe { Lock::at(map.as_mut_ptr().add(lock_offset(word_count)).cast()) };
        Ok(Self {
            lock,
            map,
            word_count,
            file,
        })
    }

    #[expect(clippy::cast_ptr_alignment, reason = "a mapping begins at a page")]
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is at least `word_count` words long, page-aligned and lives as long as `self`. The file cannot
        // shrink under it: only one who is alone with it truncates. Other processes write to it, but only through atomics,
        // which is what the elements are.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), self.word_count) }
    }

    #[inline]
    pub fn hold(&self) -> io::Result<Held<'_>> {
        self.lock.hold()
    }
}

/// Opens a file that nobody else has open: kept when it is whole, made anew when it is an old or unfinished ledger.
fn take_over(path: &Path, file: File, capacity: usize, host: Host) -> Result<Shared, LedgerError> {
    let word_count = words_for(capacity);
    let fault = examine(&file, capacity).map_err(LedgerError::system("read", path))?;
    match fault {
        Some(Fault::Foreign) => return Err(LedgerError::Foreign(path.to_owned())),
        Some(_) => allocate(&file, file_bytes(word_count)).map_err(LedgerError::system("make room for", path))?,
        None => {}
    }
    let shared = Shared::map(file, word_count).map_err(LedgerError::system("map", path))?;
    // SAFETY: no other process has the file open, and none can open it before `<path>.lock` is let go.
    unsafe { shared.lock.make() }.map_err(LedgerError::system("make the lock of", path))?;
    if fault.is_some() {
        Table::format(shared.words(), host);
    } else {
        Table::resume(shared.words()).vacate(host);
    }
    Ok(shared)
}

/// Joins those who have the file open already.
fn follow(path: &Path, file: File, capacity: usize, host: Host) -> Result<Shared, LedgerError> {
    if let Some(fault) = examine(&file, capacity).map_err(LedgerError::system("read", path))? {
        return Err(LedgerError::InUse {
            path: path.to_owned(),
            fault,
        });
    }
    let shared = Shared::map(file, words_for(capacity)).map_err(LedgerError::system("map", path))?;
    let held = shared.hold().map_err(LedgerError::system("lock", path))?;
    let theirs = Table::resume(shared.words()).host();
    drop(held);
    if theirs == host {
        Ok(shared)
    } else {
        Err(LedgerError::OtherHost(path.to_owned()))
    }
}

/// What is wrong with the file, if anything, from its length and its first words.
fn examine(file: &File, capacity: usize) -> io::Result<Option<Fault>> {
    let length = file.metadata()?.len();
    let mut bytes = [0; PEEKED_WORDS * 8];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let words: Vec<AtomicU64> = bytes[..filled.next_multiple_of(8)]
        .chunks(8)
        .map(|bytes| AtomicU64::new(word(bytes)))
        .collect();
    Ok(Table::check(&words, capacity, length == file_bytes(words_for(capacity)) as u64).err())
}

fn lock_offset(word_count: usize) -> usize {
    (word_count * size_of::<u64>()).next_multiple_of(LOCK_BYTES)
}

fn file_bytes(word_count: usize) -> usize {
    lock_offset(word_count) + LOCK_BYTES
}

/// Holds `<path>.lock` until dropped. The file stays: removing it would let two processes hold two files of that name.
fn opening(path: &Path) -> Result<File, LedgerError> {
    let mut name = OsString::from(path);
    name.push(".lock");
    let lock_path = Path::new(&name);
    let file = open_private(lock_path).map_err(LedgerError::system("open", lock_path))?;
    flock(&file, libc::LOCK_EX).map_err(LedgerError::system("lock", lock_path))?;
    Ok(file)
}

fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Whether the lock was granted; false only when it was asked for without waiting.
fn flock(file: &File, operation: i32) -> io::Result<bool> {
    loop {
        // SAFETY: a call without pointers, on a descriptor that is open.
        if unsafe { libc::flock(file.as_raw_fd(), operation) } == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::WouldBlock => return Ok(false),
            io::ErrorKind::Interrupted => {}
            _ => return Err(error),
        }
    }
}

/// Makes the file `bytes` of zeros, every block of it on the disk: a hole would be a SIGBUS once the disk is full.
fn allocate(file: &File, bytes: usize) -> io::Result<()> {
    file.set_len(0)?;
    let length = libc::off_t::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    // SAFETY: a call without pointers, on a descriptor that is open.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) } {
        0 => Ok(()),
        code => {
            file.set_len(0)?;
            Err(io::Error::from_raw_os_error(code))
        }
    }
}
