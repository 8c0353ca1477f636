//! The Unix socket: made with its folder, for root and its group, and never taken from a daemon that still answers.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon answers on it.
    #[error(
        "a ringback daemon already answers on {0}: stop it, or set another control.socket, watch.pin_dir and store.state_dir"
    )]
    Taken(PathBuf),
    /// It cannot be made.
    #[error("cannot listen on {path}: {source}; check control.socket")]
    Unusable {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Listens on `path`; a socket that nobody answers on is replaced.
pub async fn listen(path: &Path) -> Result<UnixListener, SocketError> {
    let unusable = |source| SocketError::Unusable { path: path.to_path_buf(), source };
    if UnixStream::connect(path).await.is_ok() {
        return Err(SocketError::Taken(path.to_path_buf()));
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(unusable)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unusable(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(unusable)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660)).map_err(unusable)?;
    Ok(listener)
}
