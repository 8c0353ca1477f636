//! What the small machine's file system holds: the tests, the program under test, the few programs of the lab that they
//! start, and the libraries of all of these.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::{archive::Archive, modules};
use crate::{
    command,
    setup::{kernel_image::KernelImage, peers::Peers},
};

/// Programs that the lab starts: a shell and what it cleans up with, interfaces, questions for addresses, a web server and
/// its client, a mail server, WireGuard, PPPoE, and a card's offloads.
const PROGRAMS: [&str; 13] =
    ["sh", "rm", "ip", "tc", "arping", "nginx", "curl", "smtp-sink", "wg", "pppd", "pppoe", "pppoe-server", "ethtool"];

/// The users and groups that programs ask for.
const USERS: &str = "root:x:0:0::/:/bin/sh\nwww-data:x:33:33::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n";
const GROUPS: &str = "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n";

/// A program that runs in the machine.
pub(super) struct Job {
    pub(super) name: &'static str,
    /// How long it may take.
    pub(super) seconds: u32,
    pub(super) program: PathBuf,
    pub(super) arguments: &'static str,
}

/// The file system as an archive for this kernel.
pub(super) fn archive(
    kernel: &KernelImage,
    init: &Path,
    ringback: &Path,
    jobs: &[Job],
    peers: &Peers,
) -> Result<Vec<u8>> {
    let mut archive = Archive::new();
    for folder in ["/proc", "/sys", "/tmp", "/run", "/var/log/nginx", "/var/lib/nginx", "/etc/ppp", "/guest/modules"] {
        archive.folder(folder);
    }
    archive.symlink("/var/run", "/run");
    archive.file("/etc/passwd", USERS);
    archive.file("/etc/group", GROUPS);
    for (number, (name, module)) in modules::load_order(&kernel.modules)?.into_iter().enumerate() {
        archive.file(format!("/guest/modules/{number:02}-{name}.ko"), module);
    }
    let mut programs = vec![("/init".to_owned(), init.to_owned()), ("/guest/ringback".to_owned(), ringback.to_owned())];
    let mut plan = String::new();
    for job in jobs {
        let place = format!("/guest/{}", job.name);
        plan.push_str(&format!("{} {} {place} {}\n", job.name, job.seconds, job.arguments));
        programs.push((place, job.program.clone()));
    }
    archive.file("/guest/plan", plan);
    for name in PROGRAMS {
        let file = peers.file(name).with_context(|| format!("`{name}` is not on this machine"))?;
        programs.push((format!("/bin/{name}"), file));
    }
    let folders = peers.libraries()?;
    for (place, file) in programs {
        archive.copy(place, &file)?;
        for (place, library) in libraries(&file, &folders)? {
            archive.copy(place, &library)?;
        }
    }
    Ok(archive.bytes())
}

/// The libraries that a program is linked with, and the loader: where it looks for each, and where each is here.
fn libraries(program: &Path, folders: &str) -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut ldd = Command::new("ldd");
    ldd.arg(program).env("LD_LIBRARY_PATH", folders);
    let printed = command::output(&mut ldd)?;
    ensure!(!printed.contains("not found"), "{} lacks libraries:\n{printed}", program.display());
    let paths: Vec<PathBuf> = printed.lines().filter_map(library).map(PathBuf::from).collect();
    let libc = paths.iter().find(|path| path.file_name().is_some_and(|name| name == "libc.so.6"));
    let usual = libc.and_then(|libc| libc.parent()).context("a program without the C library")?.to_owned();
    let place = |path: PathBuf| {
        // Unpacked libraries go where the loader looks without being told; the others are there already.
        let unpacked = path.parent().is_some_and(|folder| folders.split(':').any(|other| Path::new(other) == folder));
        let place = match path.file_name() {
            Some(name) if unpacked => usual.join(name),
            _ => path.clone(),
        };
        (place, path)
    };
    Ok(paths.into_iter().map(place).collect())
}

/// `NAME => PATH (ADDRESS)`, or for the loader `PATH (ADDRESS)`.
fn library(line: &str) -> Option<&str> {
    let (name, _) = line.rsplit_once(" (0x")?;
    let path = name.split_once("=>").map_or(name, |(_, path)| path).trim();
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use super::library;

    #[test]
    fn ldd_names_paths() {
        assert_eq!(
            library("\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f41)"),
            Some("/lib/x86_64-linux-gnu/libc.so.6")
        );
        assert_eq!(library("\t/lib64/ld-linux-x86-64.so.2 (0x00007f41)"), Some("/lib64/ld-linux-x86-64.so.2"));
        assert_eq!(library("\tlinux-vdso.so.1 (0x00007f41)"), None);
    }
}
