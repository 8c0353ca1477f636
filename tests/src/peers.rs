//! Where the real programs are that tests talk to: on `PATH`, or where `cargo xtask setup --peers` unpacked them.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::LazyLock,
};

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
