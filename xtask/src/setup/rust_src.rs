//! rust-src: the standard library's source of exactly rustc's version, from which `core` is built for the BPF target.
//!
//! From rustup where its server can be reached, else from Debian's package of that version.

use std::{
    env, fs,
    net::{TcpStream, ToSocketAddrs},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::debian;
use crate::{command, workspace};

/// Suites that may carry a newer Rust than a Debian release does, oldest first.
const SUITES: [&str; 3] = ["trixie-backports", "forky", "sid"];

/// Long enough for any server that is there; a machine without a way out must not wait for minutes.
const REACHABLE_WITHIN: Duration = Duration::from_secs(3);

/// The component is 4 MB.
const RUSTUP_WITHIN: Duration = Duration::from_secs(120);

pub(super) fn ensure() -> Result<()> {
    let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
    let library = sysroot.join("lib/rustlib/src/rust/library");
    if library.join("core/src/lib.rs").is_file() {
        return Ok(());
    }
    let version = rustc_version()?;
    eprintln!("setup: rust-src {version} is missing from {}", sysroot.display());
    match from_rustup(&library) {
        Ok(()) => eprintln!("setup: rust-src {version} came from rustup"),
        Err(rustup) => {
            eprintln!("setup: not from rustup ({rustup:#}); looking for Debian's package of version {version}");
            from_debian(&version, &library).with_context(|| {
                format!(
                    "rust-src {version} could not be fetched; with rustup online, run `rustup component add rust-src`"
                )
            })?;
        }
    }
    Ok(())
}

fn from_rustup(library: &Path) -> Result<()> {
    let rustup = command::find("rustup").context("rustup is not installed")?;
    // rustup's own retries take minutes; ask first. A proxy is not asked: rustup's time limit must do.
    if ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].iter().all(|name| env::var_os(name).is_none()) {
        reachable(&env::var("RUSTUP_DIST_SERVER").unwrap_or_else(|_| "https://static.rust-lang.org".to_owned()))?;
    }
    command::succeeds_within(RUSTUP_WITHIN, Command::new(rustup).args(["component", "add", "rust-src"]))?;
    if !library.is_dir() {
        bail!("rustup's active toolchain is not the one that `rustc` is");
    }
    Ok(())
}

/// Whether the server of this URL accepts connections.
fn reachable(url: &str) -> Result<()> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let host = rest.split('/').next().unwrap_or(rest);
    let default_port = if scheme == "http" { 80 } else { 443 };
    let with_port = if host.contains(':') { host.to_owned() } else { format!("{host}:{default_port}") };
    let addrs = with_port.to_socket_addrs().with_context(|| format!("{host} has no address"))?;
    for addr in addrs {
        if TcpStream::connect_timeout(&addr, REACHABLE_WITHIN).is_ok() {
            return Ok(());
        }
    }
    bail!("{host} cannot be reached")
}

fn from_debian(version: &str, library: &Path) -> Result<()> {
    let mirror = debian::Mirror::of_this_system()?;
    let scratch = workspace::target().join("setup/rust-src");
    for suite in SUITES {
        eprintln!("setup: looking in {suite} of {}", mirror.uri());
        let apt = debian::PrivateApt::new(&mirror, &[suite], scratch.join(suite))?;
        let found = apt.versions("rust-src")?;
        let Some(package) = found.iter().find(|found| is_build_of(found, version)) else { continue };
        eprintln!("setup: unpacking rust-src {package} of {suite}");
        let unpacked = apt.unpack("rust-src", package)?;
        copy_folder(&unpacked.join(format!("usr/src/rustc-{version}/library")), library)?;
        fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
        eprintln!("setup: rust-src {version} is now in {}", library.display());
        return Ok(());
    }
    bail!("none of {} has rust-src {version}", SUITES.join(", "))
}

/// `1.95.0+dfsg1-2~bpo13+1` is a build of 1.95.0.
fn is_build_of(package: &str, version: &str) -> bool {
    package.strip_prefix(version).is_some_and(|rest| rest.starts_with(['+', '-', '~']))
}

/// Copies by way of a folder beside the goal, so that an interrupted copy is never taken for the whole.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().context("the library has no parent folder")?;
    let partial = parent.join("library.partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))?;
    }
    fs::create_dir_all(parent).with_context(|| format!("cannot create {} (may you write there?)", parent.display()))?;
    command::run(Command::new("cp").arg("-R").arg(from).arg(&partial))?;
    fs::rename(&partial, to).with_context(|| format!("cannot create {}", to.display()))
}

fn rustc_version() -> Result<String> {
    let verbose = rustc(&["-vV"])?;
    let release = verbose.lines().find_map(|line| line.strip_prefix("release: "));
    release.map(str::to_owned).context("`rustc -vV` names no release")
}

fn rustc(args: &[&str]) -> Result<String> {
    command::output(Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).args(args))
}

#[cfg(test)]
mod tests {
    use super::is_build_of;

    #[test]
    fn a_package_is_of_exactly_one_version() {
        assert!(is_build_of("1.95.0+dfsg1-2~bpo13+1", "1.95.0"));
        assert!(is_build_of("1.95.0-1", "1.95.0"));
        assert!(!is_build_of("1.95.01-1", "1.95.0"));
        assert!(!is_build_of("1.85.0+dfsg1-2", "1.95.0"));
    }
}
