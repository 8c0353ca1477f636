//! Reading connections: as many as there are readers at once, a few kept for the next.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::Connection;

use super::{super::StoreError, open};

/// Connections that stay open when nobody reads.
const KEPT: usize = 4;

pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Mutex::default() }
    }

    /// Runs `query` on one snapshot of what is committed. Blocks.
    pub(super) fn run<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let mut conn = kept.map_or_else(|| open::read_only(&self.path), Ok)?;
        let snapshot = conn.transaction()?;
        let answer = query(&snapshot)?;
        drop(snapshot);
        let mut idle = idle();
        if idle.len() < KEPT {
            idle.push(conn);
        }
        Ok(answer)
    }
}
