//! One daemon per database: an advisory lock on a file beside it.
//!
//! Not on the database itself: closing any descriptor of that file would drop SQLite's own locks, and an operator's
//! `sqlite3` must be able to read along.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use super::{super::StoreError, open::unusable};

/// Held as long as the database is open. The kernel drops it with the process, however that ends.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of the database at `path`, or says who has it.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let beside = lock_path(path);
        let cannot = |error: std::io::Error| {
            unusable(
                path,
                format!("cannot lock {}: {error}; its folder must be writable for this user", beside.display()),
            )
        };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&beside).map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The number only helps to find the other process; the message says enough without it.
                let _ = file.read_to_string(&mut holder);
                let holder = holder.trim();
                let who = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                return Err(unusable(
                    path,
                    format!("another ringback{who} is using it: stop that one first, or set another store.url"),
                ));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let note_holder = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        if let Err(error) = note_holder(&mut file) {
            tracing::debug!(%error, path = %beside.display(), "process id not noted in the lock file");
        }
        Ok(Self { _file: file })
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(".lock");
    PathBuf::from(name)
}
