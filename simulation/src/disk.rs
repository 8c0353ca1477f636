//! Where the databases of histories are, and the runtime that the store's calls are waited for in.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result};
use monitor_store::LocalStore;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// A folder in memory, where the machine has one.
const IN_MEMORY: &str = "/dev/shm";

/// See the module.
pub struct Disk {
    runtime: Runtime,
    folder: TempDir,
    used: AtomicU64,
}

impl Disk {
    /// A folder of its own in `folder`; without one, in memory if that can be.
    ///
    /// # Errors
    /// There is no room for a database.
    pub fn new(folder: Option<&Path>) -> Result<Self> {
        let builder = tempfile::Builder::new();
        let folder = match folder.or_else(|| Some(Path::new(IN_MEMORY)).filter(|path| path.is_dir())) {
            Some(folder) => builder.tempdir_in(folder),
            None => builder.tempdir(),
        };
        let folder = folder.context("there is no folder for databases")?;
        let runtime = Builder::new_current_thread().build().context("there is no runtime for the store")?;
        let disk = Self { runtime, folder, used: AtomicU64::new(0) };
        // Made once and copied: the schema takes longer than most histories.
        drop(LocalStore::open(&disk.template())?);
        Ok(disk)
    }

    fn template(&self) -> PathBuf {
        self.folder.path().join("template.db")
    }

    /// The file of an empty database.
    pub(crate) fn fresh(&self) -> Result<PathBuf> {
        let number = self.used.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.path().join(format!("{number}.db"));
        fs::copy(self.template(), &path).context("there is no room for a database")?;
        Ok(path)
    }

    /// Removes a database that [`Disk::fresh`] made.
    pub(crate) fn remove(&self, path: &Path) {
        for ending in ["db", "db-wal", "db-shm", "db.lock"] {
            // Not all of them are there, and the folder goes in the end.
            let _ = fs::remove_file(path.with_extension(ending));
        }
    }

    /// Waits for the store.
    pub(crate) fn wait<F: Future>(&self, call: F) -> F::Output {
        self.runtime.block_on(call)
    }
}
