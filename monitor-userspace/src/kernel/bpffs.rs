//! The file system that pins live on.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nix::{
    mount::{MsFlags, mount},
    sys::statfs::{FsType, statfs},
};

use super::error::KernelError;

/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_FS: FsType = FsType(0xcafe_4a11);

/// Where every distribution mounts it.
const USUAL: &str = "/sys/fs/bpf";

/// Makes `pin_dir` on a BPF file system; mounts one at its usual place if there is none (containers, minimal systems).
pub(super) fn ensure(pin_dir: &Path) -> Result<(), KernelError> {
    let failed = |reason: String| KernelError::NoBpfFs { path: pin_dir.to_path_buf(), reason };
    if pin_dir.starts_with(USUAL) && !is_bpffs(Path::new(USUAL)) {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("bpf"), USUAL, Some("bpf"), flags, Some("mode=0700"))
            .map_err(|errno| failed(format!("mounting it at {USUAL}: {errno}")))?;
        tracing::info!(path = USUAL, "mounted a BPF file system");
    }
    present(pin_dir)?;
    match fs::create_dir_all(pin_dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(KernelError::NoPermission(error.to_string()))
        }
        Err(error) => Err(failed(error.to_string())),
        Ok(()) => Ok(()),
    }
}

/// The pin folder, or the nearest around it in which it is made; `None`: there is no BPF file system at its usual place yet,
/// where the start mounts one. Changes nothing.
pub fn look_at_pin_dir(pin_dir: &Path) -> Result<Option<PathBuf>, KernelError> {
    if pin_dir.starts_with(USUAL) && !is_bpffs(Path::new(USUAL)) {
        return Ok(None);
    }
    present(pin_dir).map(Some)
}

fn present(pin_dir: &Path) -> Result<PathBuf, KernelError> {
    let present = pin_dir.ancestors().find(|path| path.exists()).unwrap_or(pin_dir);
    if is_bpffs(present) {
        return Ok(present.to_owned());
    }
    let reason = format!("{} is on another file system", present.display());
    Err(KernelError::NoBpfFs { path: pin_dir.to_path_buf(), reason })
}

fn is_bpffs(path: &Path) -> bool {
    statfs(path).is_ok_and(|info| info.filesystem_type() == BPF_FS)
}
