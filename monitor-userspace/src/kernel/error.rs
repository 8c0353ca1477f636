//! What can go wrong between us and the kernel, in one line each: what, where, what to do.

use std::{io, path::PathBuf};

use aya::{
    EbpfError,
    maps::MapError,
    programs::{ProgramError, links::LinkError},
};
use monitor_core::domain::Service;

/// Why the programs cannot be loaded, attached or spoken to.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Not root, or a capability is missing.
    #[error("no permission to load eBPF programs: run as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON ({0})")]
    NoPermission(String),
    /// The folder for the pins is not on a BPF file system.
    #[error(
        "{path} is not on a BPF file system: mount one (`mount -t bpf bpf /sys/fs/bpf`) or set watch.pin_dir ({reason})"
    )]
    NoBpfFs {
        /// Which folder.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The object was refused.
    #[error(
        "the eBPF programs were refused by this kernel ({release}): {reason}; Linux 6.1 or newer is needed, with CONFIG_BPF_SYSCALL and CONFIG_DEBUG_INFO_BTF"
    )]
    Refused {
        /// `uname -r`.
        release: String,
        /// The verifier's or the loader's word.
        reason: String,
    },
    /// No such interface.
    #[error("there is no interface `{name}`: this host has {present}; correct watch.interfaces")]
    UnknownInterface {
        /// The one that was asked for.
        name: String,
        /// Those that are there.
        present: String,
    },
    /// Guards hold what arrives, which only XDP can.
    #[error("watch.hook is \"tc\", but the guards that are in force until a restart need XDP: write \"auto\"")]
    GuardsNeedXdp,
    /// The kernel does not say which interfaces there are.
    #[error("the interfaces of this host cannot be listed: {0}")]
    Interfaces(String),
    /// A program that the daemon runs itself did not run.
    #[error("{0} cannot be run: {1}")]
    TestRun(&'static str, io::Error),
    /// Another XDP program sits there.
    #[error(
        "{interface} already has an XDP program: `{name}` (id {id}); it is left alone: detach it (`bpftool net detach xdp dev {interface}`) or leave {interface} out of watch.interfaces"
    )]
    Occupied {
        /// Where.
        interface: String,
        /// The occupant's name.
        name: String,
        /// The occupant's id.
        id: u32,
    },
    /// Its frames are neither Ethernet nor IP packets.
    #[error(
        "{interface} is of a kind whose packets cannot be read (link type {kind}): leave it out of watch.interfaces, and watch the interface by which clients' packets come as Ethernet frames or IP packets"
    )]
    LinkLayer {
        /// Which.
        interface: String,
        /// By the kernel's `if_arp.h`.
        kind: u16,
    },
    /// The driver or the kernel said no to attaching.
    #[error("cannot attach to {interface} ({how}): {reason}")]
    Attach {
        /// Where.
        interface: String,
        /// `native XDP`, `generic XDP`, `tc egress` …
        how: &'static str,
        /// What was said.
        reason: String,
    },
    /// The watch list cannot be put into the kernel's table.
    #[error("watch.servers: {0}")]
    WatchList(String),
    /// Another daemon works with these pins.
    #[error(
        "the kernel state in {path} is in use by another ringback daemon (process {holder}): stop it, or set another watch.pin_dir"
    )]
    Held {
        /// The pin folder.
        path: PathBuf,
        /// Its process id.
        holder: String,
    },
    /// A pin cannot be made or removed.
    #[error("cannot {what} {path}: {source}")]
    Pin {
        /// `make`, `read`, `remove`.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The timer that notices silent servers does not run.
    #[error("the kernel does not arm the timer: {}", io::Error::from_raw_os_error(-.0))]
    Timer(i32),
    /// The programs' log cannot be read.
    #[error("the log of the eBPF programs cannot be read: {0}")]
    Log(String),
    /// The kernel's table of services has no room.
    #[error("the kernel's table of services is full: {0} cannot be marked")]
    ServicesFull(Service),
    /// A map operation failed.
    #[error("map {name}: {source}")]
    Map {
        /// Which.
        name: &'static str,
        /// Why.
        source: MapError,
    },
    /// The object lacks a map: it was built from other sources.
    #[error("the eBPF object has no map {0}")]
    MapMissing(&'static str),
    /// The object lacks a program.
    #[error("the eBPF object has no program {0}")]
    ProgramMissing(&'static str),
    /// A program operation failed.
    #[error("program {name}: {source}")]
    Program {
        /// Which.
        name: &'static str,
        /// Why.
        source: Box<ProgramError>,
    },
    /// Reading events failed.
    #[error("cannot read the kernel's events: {0}")]
    Events(io::Error),
}

impl KernelError {
    pub(super) const fn map(name: &'static str, source: MapError) -> Self {
        Self::Map { name, source }
    }

    pub(super) fn program(name: &'static str, source: ProgramError) -> Self {
        if permission(&source) {
            return Self::NoPermission(deepest(&source));
        }
        Self::Program { name, source: Box::new(source) }
    }

    /// What loading the object led to.
    pub(super) fn load(source: &(dyn std::error::Error + 'static)) -> Self {
        for cause in chain(source) {
            tracing::debug!(%cause, "loading the programs");
        }
        if permission(source) {
            return Self::NoPermission(deepest(source));
        }
        let release = nix::sys::utsname::uname()
            .map_or_else(|_| "unknown".to_owned(), |uname| uname.release().to_string_lossy().into_owned());
        Self::Refused { release, reason: deepest(source) }
    }
}

impl From<EbpfError> for KernelError {
    fn from(source: EbpfError) -> Self {
        Self::load(&source)
    }
}

/// Whether the operating system said "not permitted" at the bottom of this.
fn permission(error: &(dyn std::error::Error + 'static)) -> bool {
    chain(error).any(|error| error.downcast_ref::<io::Error>().is_some_and(|io| io.raw_os_error() == Some(libc::EPERM)))
}

/// The errors of a chain as one line, without repetitions and without the verifier's log.
pub(super) fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = String::new();
    for error in chain(error) {
        let text = error.to_string();
        let text = text.lines().next().unwrap_or_default().trim();
        if !line.contains(text) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(text);
        }
    }
    line
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

/// The errno at the bottom of a link or program error.
pub(super) fn errno(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    chain(error).find_map(|error| error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error))
}

/// A link error as one line.
pub(super) fn link_reason(error: &LinkError) -> String {
    deepest(error)
}

/// A program error as one line.
pub(super) fn program_reason(error: &ProgramError) -> String {
    deepest(error)
}
