//! What this host is called.

/// Its own name, as the kernel has it; empty if it has none.
pub(crate) fn name() -> String {
    nix::sys::utsname::uname().map_or_else(|_| String::new(), |uname| uname.nodename().to_string_lossy().into_owned())
}
