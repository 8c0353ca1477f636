//! Connections that read: as many as there are readers at once. A few stay open for the next ones.

use std::sync::{Mutex, PoisonError};

use crate::{StoreError, location::Opener, sql::Connection};

/// Connections that stay open when nobody reads.
const KEPT: usize = 4;

pub(super) struct Readers {
    open: Opener,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(open: Opener) -> Self {
        Self { open, idle: Mutex::default() }
    }

    /// Runs `query` on one snapshot of what is committed. Blocks.
    pub(super) fn run<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let conn = match self.kept() {
            Some(conn) => conn,
            None => {
                let conn = (self.open)()?;
                conn.begin_reading()?;
                conn
            }
        };
        let answer = query(&conn)?;
        conn.execute_batch("ROLLBACK")?;
        let mut idle = idle();
        if idle.len() < KEPT {
            idle.push(conn);
        }
        Ok(answer)
    }

    /// A kept connection that still works, with its transaction begun. The server may have closed idle ones.
    fn kept(&self) -> Option<Connection> {
        loop {
            let conn = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if !conn.is_lost() && conn.begin_reading().is_ok() {
                return Some(conn);
            }
        }
    }
}
