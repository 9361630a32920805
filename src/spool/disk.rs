//! Errors of the disk that may pass, and trying again.

use std::io;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

/// Pauses before an operation is tried again after an error that may pass.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_millis(500),
];

/// Whether the same operation may succeed a moment later: too many open files, a read or write that
/// the disk failed (EIO), memory or a network file system that is short for now. A full disk is none
/// of these.
pub fn is_transient(error: &io::Error) -> bool {
    let passing = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::IO,
        Errno::AGAIN,
        Errno::INTR,
        Errno::NOMEM,
        Errno::NOBUFS,
        Errno::TIMEDOUT,
        Errno::STALE,
    ];
    let code = error.raw_os_error();
    passing
        .iter()
        .any(|errno| Some(errno.raw_os_error()) == code)
}

/// Runs an operation again, a few times within a second, while its error may pass.
///
/// # Errors
/// The last error.
pub fn retry<T, E>(
    mut operation: impl FnMut() -> Result<T, E>,
    is_transient: impl Fn(&E) -> bool,
) -> Result<T, E> {
    for pause in PAUSES {
        match operation() {
            #[expect(
                clippy::disallowed_methods,
                reason = "a disk is given time, on a thread for file work"
            )]
            Err(error) if is_transient(&error) => thread::sleep(pause),
            result => return result,
        }
    }
    operation()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_a_full_disk_is_not() {
        for (errno, wanted) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::IO, true),
            (Errno::NOSPC, false),
            (Errno::DQUOT, false),
            (Errno::ACCESS, false),
            (Errno::NOENT, false),
            (Errno::ROFS, false),
        ] {
            assert_eq!(is_transient(&errno.into()), wanted, "{errno:?}");
        }
        let mut left = 2;
        let third = || match left {
            0 => Ok(()),
            _ => {
                left -= 1;
                Err(io::Error::from(Errno::MFILE))
            }
        };
        assert!(retry(third, is_transient).is_ok());
        let mut tries = 0;
        let full = || -> io::Result<()> {
            tries += 1;
            Err(Errno::NOSPC.into())
        };
        assert!(retry(full, is_transient).is_err());
        assert_eq!(tries, 1);
    }
}
