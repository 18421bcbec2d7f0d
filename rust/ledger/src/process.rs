//! Who this process is, and whether another one still lives. Reads `/proc`; never called under the lock.

use std::os::unix::fs::MetadataExt;
use std::{fs, io};

use tollway_core::limits::{Host, Process};

/// This boot and PID namespace. Where `/proc` does not say (a sandbox), zero: then only the flock tells old from new.
pub(crate) fn host() -> Host {
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let boot_id = u128::from_str_radix(&boot_id.trim().replace('-', ""), 16).unwrap_or(0);
    let pid_namespace = fs::metadata("/proc/self/ns/pid").map_or(0, |metadata| metadata.ino());
    Host { boot_id, pid_namespace }
}

/// This process.
pub(crate) fn current() -> io::Result<Process> {
    let pid = std::process::id();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let unreadable = || io::Error::new(io::ErrorKind::InvalidData, "unreadable /proc/self/stat");
    let (_, start_ticks) = state_and_start(&stat).ok_or_else(unreadable)?;
    Ok(Process { pid, start_ticks })
}

/// Whether the process may still run. Anything but certainty counts as life: a live worker's slots are never given away.
pub(crate) fn is_alive(process: Process) -> bool {
    match fs::read_to_string(format!("/proc/{}/stat", process.pid)) {
        Ok(stat) => state_and_start(&stat).is_none_or(|(state, start_ticks)| {
            // A zombie runs no more; it only waits for its parent to ask how it ended.
            start_ticks == process.start_ticks && !matches!(state, 'Z' | 'X' | 'x')
        }),
        Err(error) => !(error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)),
    }
}

/// Fields 3 and 22 of `proc_pid_stat(5)`. The second field is a name in parentheses and may itself hold any of them.
fn state_and_start(stat: &str) -> Option<(char, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn this_process_is_alive_and_a_later_one_of_its_number_would_be_another() {
        let this = current().unwrap();
        assert!(is_alive(this));
        assert!(!is_alive(Process {
            start_ticks: this.start_ticks + 1,
            ..this
        }));
        assert!(!is_alive(Process { pid: u32::MAX, ..this }));
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) Z (b) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(state_and_start(stat), Some(('S', 4711)));
        assert_eq!(state_and_start("7 (cut) S 1 2"), None);
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let stat = || fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let (_, start_ticks) = state_and_start(&stat()).unwrap();
        while state_and_start(&stat()).unwrap().0 != 'Z' {
            std::thread::yield_now();
        }
        assert!(!is_alive(Process {
            pid: child.id(),
            start_ticks
        }));
        child.wait().unwrap();
    }
}
