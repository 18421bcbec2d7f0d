//! A mutex inside the mapping, for threads of any process, that outlives its holder (`pthread_mutexattr_setrobust(3)`).
//!
//! Roads not taken: a spin lock of our own would need the holder's liveness checked by every waiter; a file lock costs two
//! system calls each time, and this costs none while nobody waits.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::{hint, io};

use libc::{EBUSY, EOWNERDEAD, ETIMEDOUT, pthread_mutex_t};

/// Tries before sleeping: the lock is held for less than a microsecond, a sleep costs dozens.
const SPINS: usize = 100;

/// Sleeps of this length before giving up: two, so that a clock set forward during the first does no harm.
const PATIENCE_SECONDS: libc::time_t = 1;
const PATIENCES: usize = 2;

/// A lock at an address in shared memory.
pub(crate) struct Lock {
    mutex: *mut pthread_mutex_t,
}

// SAFETY: a process-shared pthread mutex is made to be used by any thread through its address.
unsafe impl Send for Lock {}
// SAFETY: as above.
unsafe impl Sync for Lock {}

/// The lock is held until this is dropped, on the thread that took it: hence the pointer, which is not `Send`.
pub(crate) struct Held<'a>(&'a Lock, PhantomData<*mut ()>);

impl Lock {
    /// The lock that was made at `mutex`.
    ///
    /// # Safety
    /// The memory is aligned for a `pthread_mutex_t` and stays mapped for as long as the `Lock` is used; [`Lock::make`] has
    /// been called there, by this process or another, before the first [`Lock::hold`].
    pub unsafe fn at(mutex: *mut pthread_mutex_t) -> Self {
        Self { mutex }
    }

    /// Makes the mutex, whatever the memory held before.
    ///
    /// # Safety
    /// Nobody holds the lock or waits for it: no other process has the file open.
    pub unsafe fn make(&self) -> io::Result<()> {
        let mut attributes = MaybeUninit::uninit();
        let attributes = attributes.as_mut_ptr();
        // SAFETY: `attributes` is initialised by the first call and used only if that succeeded; the mutex is ours alone,
        // as the caller promises, and zeroed memory is what `pthread_mutex_init` expects.
        unsafe {
            checked(libc::pthread_mutexattr_init(attributes))?;
            checked(libc::pthread_mutexattr_setpshared(
                attributes,
                libc::PTHREAD_PROCESS_SHARED,
            ))?;
            checked(libc::pthread_mutexattr_setrobust(
                attributes,
                libc::PTHREAD_MUTEX_ROBUST,
            ))?;
            self.mutex.write_bytes(0, 1);
            let made = checked(libc::pthread_mutex_init(self.mutex, attributes));
            libc::pthread_mutexattr_destroy(attributes);
            made
        }
    }

    /// Waits for the lock; an error after seconds, when its holder neither lets go nor dies.
    #[inline]
    pub fn hold(&self) -> io::Result<Held<'_>> {
        for _ in 0..SPINS {
            // SAFETY: the mutex was made, as `at` was promised.
            match unsafe { libc::pthread_mutex_trylock(self.mutex) } {
                EBUSY => hint::spin_loop(),
                code => return self.held(code),
            }
        }
        self.wait()
    }

    #[cold]
    fn wait(&self) -> io::Result<Held<'_>> {
        let mut code = ETIMEDOUT;
        for _ in 0..PATIENCES {
            let mut until = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: `until` is writable; the mutex was made.
            code = unsafe {
                libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut until);
                until.tv_sec += PATIENCE_SECONDS;
                libc::pthread_mutex_timedlock(self.mutex, &raw const until)
            };
            if code != ETIMEDOUT {
                break;
            }
        }
        self.held(code)
    }

    fn held(&self, code: i32) -> io::Result<Held<'_>> {
        if code == EOWNERDEAD {
            // SAFETY: this thread holds the mutex. Its last holder died under it; what it was writing is rolled back by
            // `Table::resume`, which runs first under every lock, so the state may be declared consistent at once. Were this
            // thread killed before the call, the next one gets EOWNERDEAD in turn.
            checked(unsafe { libc::pthread_mutex_consistent(self.mutex) })?;
        } else {
            checked(code)?;
        }
        Ok(Held(self, PhantomData))
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: a `Held` exists only on the thread that locked the mutex. Unlocking one's own robust mutex cannot fail.
        unsafe { libc::pthread_mutex_unlock(self.0.mutex) };
    }
}

fn checked(code: i32) -> io::Result<()> {
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(code))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    struct Shared<'a>(&'a std::cell::UnsafeCell<u64>);
    // SAFETY: the cell is touched only while the lock is held.
    unsafe impl Sync for Shared<'_> {}

    fn fresh() -> (Box<MaybeUninit<pthread_mutex_t>>, Lock) {
        let mut memory = Box::new(MaybeUninit::uninit());
        // SAFETY: the box outlives the lock in every test, and nobody else knows of it.
        let lock = unsafe { Lock::at(memory.as_mut_ptr()) };
        // SAFETY: as above.
        unsafe { lock.make() }.unwrap();
        (memory, lock)
    }

    #[test]
    fn only_one_thread_holds_it_at_a_time() {
        let (_memory, lock) = fresh();
        let total = std::cell::UnsafeCell::new(0_u64);
        let shared = Shared(&total);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let shared = &shared;
                    for _ in 0..10_000 {
                        let _held = lock.hold().unwrap();
                        // SAFETY: the lock is held.
                        unsafe { *shared.0.get() += 1 };
                    }
                });
            }
        });
        assert_eq!(total.into_inner(), 40_000);
    }

    #[test]
    fn a_holder_that_died_is_survived_by_the_lock() {
        let (_memory, lock) = fresh();
        std::thread::scope(|scope| {
            scope.spawn(|| std::mem::forget(lock.hold().unwrap()));
        });
        for _ in 0..2 {
            drop(lock.hold().unwrap());
        }
    }

    #[test]
    fn a_holder_that_does_not_let_go_is_reported() {
        let (_memory, lock) = fresh();
        let _held = lock.hold().unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| lock.hold().err().and_then(|error| error.raw_os_error()));
            assert_eq!(waiter.join().unwrap(), Some(ETIMEDOUT));
        });
    }
}
