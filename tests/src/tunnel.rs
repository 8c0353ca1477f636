//! A tunnel between two hosts: an interface on each (TUN), whose packets begin with their IP header, as those of WireGuard
//! and PPP do. A thread carries each packet from one end to the other.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd as _, AsRawFd as _},
        unix::fs::OpenOptionsExt as _,
    },
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};
use nix::{
    libc,
    poll::{PollFd, PollFlags, poll},
};

use crate::Host;

/// The interface of each end.
pub const TUNNEL: &str = "tun0";

/// How long the thread may sleep before it looks whether it is to end, in milliseconds.
const IDLE: u8 = 50;

/// A running tunnel; both interfaces go with it.
#[derive(Debug)]
pub struct Tunnel {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tunnel {
    /// Lays a tunnel between two hosts, whose ends have these addresses, with prefix lengths.
    pub fn lay(one: (&Host, &[&str]), other: (&Host, &[&str])) -> Result<Self> {
        let ends = [end(one.0, one.1)?, end(other.0, other.1)?];
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let thread = thread::spawn(move || carry(&ends, &is_done));
        Ok(Self { done, thread: Some(thread) })
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("lab: a tunnel panicked");
        }
    }
}

/// Makes the interface, and brings it up.
fn end(host: &Host, addresses: &[&str]) -> Result<File> {
    let file = host.enter(open)?.with_context(|| format!("cannot make {TUNNEL} at {}", host.name()))?;
    let add = addresses.iter().map(|address| format!("address add {address} dev {TUNNEL} nodad"));
    host.ip(&add.chain([format!("link set {TUNNEL} up")]).collect::<Vec<_>>())?;
    Ok(file)
}

/// The interface lives as long as the file is open.
fn open() -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open("/dev/net/tun")?;
    // SAFETY: an ifreq is plain data, of which zeros are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(TUNNEL.bytes()) {
        *place = byte.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: the request is whole, and its name ends with a zero.
    match unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } {
        0 => Ok(file),
        _ => Err(io::Error::last_os_error()),
    }
}

fn carry(ends: &[File; 2], done: &AtomicBool) {
    let mut packet = [0; 65_536];
    while !done.load(Ordering::Relaxed) {
        let mut fds =
            [PollFd::new(ends[0].as_fd(), PollFlags::POLLIN), PollFd::new(ends[1].as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, IDLE).is_err() {
            continue;
        }
        for (from, to) in [(0, 1), (1, 0)] {
            while let Ok(length) = (&ends[from]).read(&mut packet) {
                // A full queue loses it, as a cable would.
                let _ = (&ends[to]).write(&packet[..length]);
            }
        }
    }
}
