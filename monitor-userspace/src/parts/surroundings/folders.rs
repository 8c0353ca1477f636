//! Folders that the daemon makes or writes into.

use std::path::Path;

use monitor_core::config::{Config, Mistake, Mistakes};
use monitor_store::Location;
use nix::{
    errno::Errno,
    fcntl::AtFlags,
    unistd::{AccessFlags, faccessat},
};

use crate::kernel::{self, KernelError};

pub(super) fn pins(config: &Config, mistakes: &mut Mistakes) {
    let (key, pin_dir) = ("watch.pin_dir", &config.watch.pin_dir);
    match kernel::look_at_pin_dir(pin_dir) {
        Ok(Some(present)) => mistakes.take(writable(key, "make", pin_dir, &present)).unwrap_or_default(),
        // It is mounted at the start.
        Ok(None) => {}
        Err(KernelError::NoBpfFs { path, reason }) => {
            let reason = format!("{} is not on a BPF file system ({reason})", path.display());
            let remedy = "mount one (`mount -t bpf bpf /sys/fs/bpf`) or name another folder";
            mistakes.add(Mistake::new(key, reason, remedy));
        }
        Err(error) => mistakes.add(Mistake::plain(key, error.to_string())),
    }
}

/// Also of what is not in a shared database yet, of mails, and of the database's own folder.
pub(super) fn state(config: &Config, mistakes: &mut Mistakes) {
    let state_dir = &config.store.state_dir;
    mistakes.take(written("store.state_dir", state_dir));
    if let Ok(Location::File(file)) = super::super::database(config)
        && let Some(folder) = file.parent().filter(|folder| folder != state_dir)
    {
        mistakes.take(written("store.url", folder));
    }
    if let Some(folder) = config.control.socket.parent() {
        mistakes.take(written("control.socket", folder));
    }
}

/// The folder, or the nearest around it in which it is made.
fn written(key: &'static str, folder: &Path) -> Result<(), Mistake> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let present = folder.ancestors().find(|path| path.exists()).unwrap_or(folder);
    writable(key, if present == folder { "write into" } else { "make" }, folder, present)
}

fn writable(key: &'static str, what: &str, folder: &Path, present: &Path) -> Result<(), Mistake> {
    let errno = if present.is_dir() {
        let flags = AccessFlags::W_OK | AccessFlags::X_OK;
        faccessat(nix::fcntl::AT_FDCWD, present, flags, AtFlags::AT_EACCESS).err()
    } else {
        Some(Errno::ENOTDIR)
    };
    let Some(errno) = errno else { return Ok(()) };
    let reason = format!("cannot {what} {}: {}: {}", folder.display(), present.display(), errno.desc());
    let remedy = match errno {
        Errno::EACCES | Errno::EPERM => "give this user the right to, or name another",
        _ => "name another",
    };
    Err(Mistake::new(key, reason, remedy))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::written;

    #[test]
    fn a_folder_is_there_or_can_be_made() {
        let dir = tempfile::tempdir().unwrap();
        written("store.state_dir", dir.path()).unwrap();
        written("store.state_dir", &dir.path().join("a/b")).unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let mistake = written("store.state_dir", &file.join("below")).unwrap_err().to_string();
        assert!(
            mistake.starts_with("store.state_dir: cannot make") && mistake.contains("Not a directory"),
            "{mistake}"
        );
    }
}
