//! File descriptors, shared out at the start: connections of strangers must leave those that mail, the store, the kernel and
//! the control socket need.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What the daemon opens for itself: maps and programs, databases, mails on their way, checks.
const OWN: u64 = 512;

/// Connections of one listener.
const PER_LISTENER: u64 = 128;

/// The listeners on networks and the control socket.
const LISTENERS: u64 = 4;

/// How many connections each may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileShares {
    /// The stand-in page.
    pub(crate) page: usize,
    /// Every other listener.
    pub(crate) listener: usize,
}

impl FileShares {
    /// Of so many files, when the page wants so many.
    fn of(files: u64, page: u32) -> Self {
        // Half of it is the daemon's own where the limit is low.
        let left = files - OWN.min(files / 2);
        let listener = PER_LISTENER.min(left / (2 * LISTENERS)).max(1);
        let page = u64::from(page).min(left.saturating_sub(LISTENERS * listener)).max(1);
        let count = |files: u64| usize::try_from(files).unwrap_or(usize::MAX);
        Self { page: count(page), listener: count(listener) }
    }
}

/// Raises the soft limit to the hard one, and shares out what is allowed. The page wants so many connections; 0: it is off.
pub(crate) fn share_files(page: u32) -> FileShares {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map(|()| hard));
    let files = match raised {
        Ok(files) => files,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files cannot be raised");
            getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft)
        }
    };
    let shares = FileShares::of(files, page);
    if shares.page < page as usize {
        let connections = shares.page;
        tracing::warn!(files, connections, "fewer open files are allowed than standin.connections needs");
    }
    if shares.listener < usize::try_from(PER_LISTENER).unwrap_or(usize::MAX) {
        tracing::warn!(files, "few open files are allowed; set LimitNOFILE or ulimit -n to 4096 or more");
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_never_have_the_daemon_s_own_share() {
        for files in [0, 1, 64, 256, 1024, 4096, 524_288, u64::MAX] {
            for page in [0, 256, 4096, u32::MAX] {
                let shares = FileShares::of(files, page);
                let strangers = shares.page as u64 + LISTENERS * shares.listener as u64;
                let own = files.saturating_sub(strangers);
                assert!(files < 16 || own >= OWN.min(files / 2 - 1), "{files} {page}: {shares:?}");
            }
        }
        assert_eq!(FileShares::of(524_288, 4096), FileShares { page: 4096, listener: 128 });
        assert_eq!(FileShares::of(1024, 4096), FileShares { page: 256, listener: 64 });
    }
}
