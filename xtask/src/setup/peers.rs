//! The real programs that the lab and the tests talk to: mail servers, SNMP agents, web servers, clients.
//!
//! What is on `PATH` is used. What is missing is downloaded from the system's own Debian or Ubuntu sources and unpacked
//! into `target/peers`, with the libraries that the system lacks; no package is installed, so none of them starts a
//! service or displaces another. Each unpacked program gets a wrapper in `target/peers/bin` that shows its libraries
//! to it alone. The emulator of `cargo xtask test --kernel` is fetched the same way, into a folder of its own.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::debian::{Mirror, PrivateApt, packages_in_uris, unpack_all};
use crate::{command, workspace};

/// A program that is needed, and the package that has it.
type Needed = (&'static str, &'static str);

const LAB: [Needed; 20] = [
    ("arping", "iputils-arping"),
    ("bpftool", "bpftool"),
    ("curl", "curl"),
    ("dovecot", "dovecot-pop3d"),
    ("ip", "iproute2"),
    ("nc", "netcat-openbsd"),
    ("nft", "nftables"),
    ("nginx", "nginx"),
    ("openssl", "openssl"),
    ("postgres", "postgresql"),
    ("python3", "python3"),
    ("smtp-sink", "postfix"),
    ("smtp-source", "postfix"),
    ("smtpd", "opensmtpd"),
    ("snmpd", "snmpd"),
    ("snmpget", "snmp"),
    ("snmpinform", "snmp"),
    ("snmptrap", "snmp"),
    ("snmptrapd", "snmptrapd"),
    ("tc", "iproute2"),
];

/// A browser, what drives it, and a font for the page's Japanese: beside the lab's own programs these are large (430 MB
/// unpacked), and only tests need them.
const BROWSER: [Needed; 3] = [
    ("chromedriver", "chromium-driver"),
    ("usr/lib/chromium/chromium", "chromium"),
    ("usr/share/fonts/opentype/ipafont-gothic/ipag.ttf", "fonts-ipafont-gothic"),
];

/// What sets up the interfaces of real gateways: WireGuard, PPPoE, offloads.
const INTERFACES: [Needed; 5] =
    [("ethtool", "ethtool"), ("pppd", "ppp"), ("pppoe", "pppoe"), ("pppoe-server", "pppoe"), ("wg", "wireguard-tools")];

/// What lets a test set the wall clock of one program.
#[cfg(not(target_arch = "aarch64"))]
const WALL_CLOCK: [Needed; 1] = [("usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "libfaketime")];
#[cfg(target_arch = "aarch64")]
const WALL_CLOCK: [Needed; 1] = [("usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1", "libfaketime")];

const EMULATOR: [Needed; 1] = [("qemu-system-x86_64", "qemu-system-x86")];

/// What Ringback is measured against: a program in C for BPF, connection tracking, hot standby by VRRP.
const MEASUREMENTS: [Needed; 3] =
    [("clang", "clang"), ("keepalived", "keepalived"), ("usr/include/bpf/bpf_helpers.h", "libbpf-dev")];

/// Folders of programs inside a package.
const PROGRAM_FOLDERS: [&str; 4] = ["usr/bin", "usr/sbin", "bin", "sbin"];

/// Where the unpacked programs are.
pub(crate) struct Peers {
    folder: PathBuf,
    needed: Vec<Needed>,
    /// Who needs them, in what is said.
    user: &'static str,
}

impl Peers {
    /// Lets the command, and what it starts, find the peers: behind the system's own programs.
    pub(crate) fn show_to<'a>(&self, command: &'a mut Command) -> Result<&'a mut Command> {
        Ok(command.env("PATH", command::path_with(Some(self.bin()))?).env("RINGBACK_PEERS", &self.folder))
    }

    /// The program as it can be started: the system's own, or a wrapper.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        command::find(name)
            .or_else(|| {
                versioned(Path::new("/")).into_iter().map(|folder| folder.join(name)).find(|file| file.is_file())
            })
            .or_else(|| Some(self.bin().join(name)).filter(|file| file.is_file()))
    }

    /// The program's own file: what a wrapper would start.
    pub(crate) fn file(&self, name: &str) -> Option<PathBuf> {
        let unpacked = || PROGRAM_FOLDERS.iter().map(|folder| self.files().join(folder).join(name));
        command::find(name).or_else(|| unpacked().find(|file| file.is_file()))
    }

    /// Folders of the libraries that were unpacked with the programs, as `LD_LIBRARY_PATH` has them.
    pub(crate) fn libraries(&self) -> Result<String> {
        let mut folders = BTreeSet::new();
        if self.files().is_dir() {
            library_folders(&self.files(), &mut folders)?;
        }
        Ok(folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(":"))
    }

    /// What the packages have below `usr/share`, if they were unpacked.
    pub(crate) fn shared(&self, folder: &str) -> Option<PathBuf> {
        Some(self.files().join("usr/share").join(folder)).filter(|folder| folder.is_dir())
    }

    fn bin(&self) -> PathBuf {
        self.folder.join("bin")
    }

    fn files(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// Headers of unpacked packages.
    pub(crate) fn include(&self) -> PathBuf {
        self.files().join("usr/include")
    }

    fn missing(&self) -> Vec<Needed> {
        let there = |name: &str| {
            if name.contains('/') {
                return Path::new("/").join(name).is_file() || self.files().join(name).is_file();
            }
            self.program(name).is_some()
        };
        self.needed.iter().copied().filter(|(name, _)| !there(name)).collect()
    }
}

/// Fetches the lab's programs that are missing.
pub(crate) fn fetch() -> Result<Peers> {
    let folder = workspace::target().join("peers");
    fetch_missing(Peers { folder, needed: LAB.to_vec(), user: "the lab" }, download)
}

/// The same, and the browser and the interfaces that the tests need.
pub(crate) fn fetch_for_tests() -> Result<Peers> {
    let folder = workspace::target().join("peers");
    fetch_missing(
        Peers { folder, needed: [&LAB[..], &BROWSER, &INTERFACES, &WALL_CLOCK].concat(), user: "a test" },
        download,
    )
}

/// The same as for the lab, and what the tests on other kernels need.
pub(crate) fn fetch_for_guests() -> Result<Peers> {
    let folder = workspace::target().join("peers");
    fetch_missing(
        Peers { folder, needed: [&LAB[..], &INTERFACES].concat(), user: "a test on another kernel" },
        download,
    )
}

/// The same as for the lab, and what the measurements need.
pub(crate) fn fetch_for_measurements() -> Result<Peers> {
    let folder = workspace::target().join("peers");
    fetch_missing(Peers { folder, needed: [&LAB[..], &MEASUREMENTS].concat(), user: "a measurement" }, download)
}

/// Fetches the emulator if it is missing.
pub(crate) fn fetch_emulator() -> Result<Peers> {
    let folder = workspace::target().join("emulator");
    fetch_missing(Peers { folder, needed: EMULATOR.to_vec(), user: "a test on another kernel" }, download_backport)
}

fn fetch_missing(peers: Peers, download: fn(&BTreeSet<&str>, &Path) -> Result<()>) -> Result<Peers> {
    let missing = peers.missing();
    if missing.is_empty() {
        return Ok(peers);
    }
    let programs: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
    if command::find("apt-get").is_none() || command::find("dpkg").is_none() {
        bail!("{} needs programs that this machine lacks; install them: {}", peers.user, programs.join(", "));
    }
    eprintln!("setup: {} lacks {}", peers.user, programs.join(", "));
    let packages: BTreeSet<_> = missing.iter().map(|(_, package)| *package).collect();
    let downloads = peers.folder.join("download");
    fs::create_dir_all(&downloads).with_context(|| format!("cannot create {}", downloads.display()))?;
    if let Err(stale) = download(&packages, &downloads) {
        eprintln!("setup: renewing apt's package lists ({stale:#})");
        command::output(Command::new("apt-get").args(["-qq", "update"])).context("apt's package lists (needs root)")?;
        download(&packages, &downloads)?;
    }
    unpack_all(&downloads, &peers.files())?;
    fs::remove_dir(&downloads).with_context(|| format!("cannot remove {}", downloads.display()))?;
    write_wrappers(&peers)?;
    let missing = peers.missing();
    if !missing.is_empty() {
        let lines: Vec<_> = missing.iter().map(|(program, package)| format!("{program} (package {package})")).collect();
        bail!("the packages were unpacked but lack: {}", lines.join(", "));
    }
    eprintln!("setup: what {} lacked is in {}; remove that folder to be rid of it", peers.user, peers.folder.display());
    Ok(peers)
}

/// The same from Debian's backports where there are some: under the emulation of qemu 7.2 (Debian 12), Linux 6.12 now and
/// then dies with impossible processor flags. Else from the system's own sources.
fn download_backport(packages: &BTreeSet<&str>, folder: &Path) -> Result<()> {
    let backport = || {
        let mirror = Mirror::of_this_system()?;
        let backports = format!("{}-backports", mirror.codename());
        eprintln!("setup: looking in {backports} of {}", mirror.uri());
        let scratch = workspace::target().join("setup/backports");
        let apt = PrivateApt::new(&mirror, &[mirror.codename(), &backports], scratch.clone())?;
        for package in packages {
            apt.download_with_dependencies(package, &backports, folder)?;
        }
        fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))
    };
    backport().or_else(|error: anyhow::Error| {
        eprintln!("setup: not from there ({error:#})");
        download(packages, folder)
    })
}

/// Downloads the packages and what they need that the system lacks.
fn download(packages: &BTreeSet<&str>, folder: &Path) -> Result<()> {
    let mut wanted = BTreeSet::new();
    for package in packages {
        wanted.insert((*package).to_owned());
        wanted.extend(with_dependencies(package)?);
    }
    eprintln!("setup: downloading {}", wanted.iter().map(String::as_str).collect::<Vec<_>>().join(" "));
    let mut apt = Command::new("apt-get");
    // The download user may have no access to this folder; whoever calls this writes here as himself.
    apt.args(["-qq", "-o", "APT::Sandbox::User=root", "download"]).args(&wanted).current_dir(folder);
    command::output(&mut apt).map(drop)
}

/// What installing the package would fetch. Asked one by one: mail servers displace one another when installed.
fn with_dependencies(package: &str) -> Result<Vec<String>> {
    let mut apt = Command::new("apt-get");
    apt.args(["-qq", "-y", "-o", "Debug::NoLocking=1", "--no-install-recommends", "--print-uris", "install", package]);
    let lines = command::output(&mut apt)?;
    Ok(packages_in_uris(&lines))
}

fn write_wrappers(peers: &Peers) -> Result<()> {
    let libraries = peers.libraries()?;
    let state = peers.folder.join("snmp-state").display().to_string();
    fs::create_dir_all(peers.bin()).with_context(|| format!("cannot create {}", peers.bin().display()))?;
    let folders = PROGRAM_FOLDERS.map(|folder| peers.files().join(folder));
    for folder in folders.into_iter().chain(versioned(&peers.files())) {
        let Ok(programs) = fs::read_dir(&folder) else { continue };
        for program in programs {
            let program = program?.path();
            let Some(name) = program.file_name().and_then(|name| name.to_str()) else { continue };
            // An installed package would be known as `nc` through Debian's alternatives.
            let name = name.strip_suffix(".openbsd").unwrap_or(name);
            // MIBS: the packages' MIB files are not where net-snmp looks, and numbers need none. SNMP_PERSISTENT_DIR:
            // net-snmp would keep its state in the system's folder.
            let script = format!(
                "#!/bin/sh\nexport MIBS=\"${{MIBS-}}\" SNMP_PERSISTENT_DIR=\"${{SNMP_PERSISTENT_DIR-{state}}}\"\n\
                 LD_LIBRARY_PATH='{libraries}' exec '{}' \"$@\"\n",
                program.display()
            );
            let wrapper = peers.bin().join(name);
            fs::write(&wrapper, script).with_context(|| format!("cannot write {}", wrapper.display()))?;
            fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

/// Folders of programs that Debian keeps apart by version, below `root`: PostgreSQL's.
fn versioned(root: &Path) -> Vec<PathBuf> {
    let versions = fs::read_dir(root.join("usr/lib/postgresql")).into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin")).filter(|folder| folder.is_dir()).collect()
}

/// Every folder under `folder` that holds a shared library.
fn library_folders(folder: &Path, found: &mut BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            library_folders(&entry.path(), found)?;
        } else if entry.file_name().to_string_lossy().contains(".so") {
            found.insert(folder.to_owned());
        }
    }
    Ok(())
}
