//! Opening: every way in which a file cannot be our database, with what to do about it.

use std::{fs, path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{super::StoreError, migrations};

/// How long to wait for somebody else's transaction, such as an operator's `sqlite3`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The log is cut back to this after a large recovery made it long.
const WAL_LIMIT_BYTES: i64 = 64 << 20;

/// Pages that the writer keeps in memory: enough for the upper levels of a waiting list of a million clients.
const WRITER_CACHE_KIB: i64 = 32 << 10;

/// Statements that stay prepared: more than this crate has.
const PREPARED: usize = 128;

pub(super) fn unusable(path: &Path, reason: impl Into<String>) -> StoreError {
    StoreError::Unusable { path: path.display().to_string(), reason: reason.into() }
}

pub(super) fn make_folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Err(unusable(path, "it is a folder: name a file in it"));
    }
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    fs::create_dir_all(folder).map_err(|error| {
        unusable(
            path,
            format!(
                "cannot create the folder {}: {error}; create it for this user, or set store.state_dir",
                folder.display()
            ),
        )
    })
}

/// The writing connection, its schema up to date.
pub(crate) fn writable(path: &Path) -> Result<Connection, StoreError> {
    let created = !path.exists();
    let mut conn = Connection::open(path).map_err(|error| explain(path, error))?;
    prepare(&mut conn).map_err(|error| explain(path, error))?;
    migrations::run(path, &mut conn)?;
    if created {
        // SQLite syncs the file, but not its entry in the folder.
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|error| unusable(path, format!("cannot sync its folder: {error}; check the disk")))?;
        }
    }
    Ok(conn)
}

fn prepare(conn: &mut Connection) -> Result<(), rusqlite::Error> {
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(PREPARED);
    // SQLite falls back to reading when it may not write, and would only say so at the first change.
    if conn.is_readonly("main")? {
        return Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY), None));
    }
    conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    conn.pragma_update(None, "synchronous", "full")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    // Negative: KiB, not pages.
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    conn.pragma_update_and_check(None, "journal_size_limit", WAL_LIMIT_BYTES, |_| Ok(()))
}

/// A connection that can only read.
pub(crate) fn read_only(path: &Path) -> Result<Connection, StoreError> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(PREPARED);
    Ok(conn)
}

/// The error as what to do.
pub(super) fn explain(path: &Path, error: rusqlite::Error) -> StoreError {
    let remedy = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => "it is not a database: move it away, or set another store.url",
        Some(ErrorCode::DatabaseCorrupt) => "it is damaged: restore a backup, or move it away to begin anew",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "it is read-only: it and its folder must be writable for this user"
        }
        Some(ErrorCode::CannotOpen) => "cannot open it: it and its folder must be readable and writable for this user",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds it locked: end that program's transaction, then start again"
        }
        Some(ErrorCode::DiskFull) => "the disk is full: make room on it, then start again",
        _ => return unusable(path, format!("{error}; check the disk and the file's owner")),
    };
    unusable(path, remedy)
}
