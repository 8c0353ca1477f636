//! Where the real programs are that tests talk to: on `PATH`, or where `cargo xtask setup --peers` unpacked them.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use anyhow::Result;

/// `PATH` for programs of the lab. The system's own programs come first.
pub(crate) static PATH: LazyLock<OsString> = LazyLock::new(|| {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).chain(unpacked());
    env::join_paths(folders).unwrap_or(path)
});

/// `RINGBACK_PEERS`, else `peers` in the target folder that this program was built into.
fn unpacked() -> Option<PathBuf> {
    let folder = env::var_os("RINGBACK_PEERS").map(PathBuf::from).or_else(|| {
        let this = env::current_exe().ok()?;
        this.ancestors().skip(1).map(|folder| folder.join("peers")).find(|folder| folder.is_dir())
    });
    folder.as_deref().map(|folder| Path::join(folder, "bin"))
}

/// Where packages are unpacked; `/`: the programs are installed.
pub(crate) fn packages() -> PathBuf {
    let root = unpacked().and_then(|bin| Some(bin.parent()?.join("root")));
    root.filter(|root| root.join("usr/sbin/dovecot").is_file()).unwrap_or_else(|| "/".into())
}

/// A file of a package, unpacked or installed: `usr/lib/chromium/chromium`.
pub(crate) fn file(name: &str) -> Option<PathBuf> {
    let root = unpacked().and_then(|bin| Some(bin.parent()?.join("root")));
    root.into_iter().chain(["/".into()]).map(|root| root.join(name)).find(|file| file.exists())
}

/// The libraries of the unpacked packages, as `LD_LIBRARY_PATH` has them; `None`: the programs are installed.
pub(crate) fn libraries() -> Result<Option<OsString>> {
    let root = packages();
    if root == Path::new("/") {
        return Ok(None);
    }
    let mut folders = vec![root.join("usr/lib/postfix"), root.join("usr/lib/dovecot")];
    for entry in fs::read_dir(root.join("usr/lib"))? {
        let entry = entry?;
        // x86_64-linux-gnu, aarch64-linux-gnu …
        if entry.file_name().to_string_lossy().ends_with("-linux-gnu") {
            folders.push(entry.path());
        }
    }
    Ok(Some(env::join_paths(folders)?))
}
