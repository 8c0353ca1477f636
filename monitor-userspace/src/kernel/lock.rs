//! One daemon per pin folder: two that read one ring buffer would each see half of it.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use nix::fcntl::{Flock, FlockArg};

use super::error::KernelError;

/// Held as long as the daemon lives; the kernel gives it up for whoever is killed.
pub(super) struct PinLock(#[expect(dead_code, reason = "held, not used")] Flock<File>);

impl PinLock {
    /// Locks the folder, or says who has it.
    pub(super) fn take(pin_dir: &Path) -> Result<Self, KernelError> {
        let folder = File::open(pin_dir).map_err(|source| KernelError::Pin {
            what: "lock",
            path: pin_dir.to_path_buf(),
            source,
        })?;
        match Flock::lock(folder, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self(lock)),
            Err((folder, _)) => Err(KernelError::Held { path: pin_dir.to_path_buf(), holder: holder(&folder) }),
        }
    }
}

/// The process that has it, as `/proc/locks` says.
fn holder(folder: &File) -> String {
    let found = || {
        let inode = folder.metadata().ok()?.ino().to_string();
        let locks = fs::read_to_string("/proc/locks").ok()?;
        locks.lines().find_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let [_, "FLOCK", _, _, process, place, ..] = fields.as_slice() else { return None };
            (place.rsplit(':').next() == Some(inode.as_str())).then(|| (*process).to_owned())
        })
    };
    found().unwrap_or_else(|| "unknown".to_owned())
}
