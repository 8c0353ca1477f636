//! One end of a cable, as a forwarder in user space sees it: whole frames, together with what the kernel has left undone
//! on them.
//!
//! Frames between virtual interfaces have no checksums yet, and may hold many segments. The virtio header in front of
//! each frame says so; whoever sends the frame on with the same header loses nothing.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    libc,
    sys::socket::{MsgFlags, SockFlag, recv, send, setsockopt, sockopt},
};

use crate::frame_socket::{packet_socket, switch_on};

/// Length of the virtio header.
pub(crate) const HEADER: usize = 10;

/// The longest frame of many segments, with headers.
pub(crate) const LONGEST: usize = HEADER + 65_536 + 64;

/// Some seconds of frames: a forwarder that does not get the processor for a while must not lose any.
const RECEIVE_BUFFER: usize = 64 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct Wire(OwnedFd);

impl Wire {
    /// Opens the interface of the namespace that this thread is in.
    pub(crate) fn open(interface: &str) -> Result<Self> {
        let all = libc::ETH_P_ALL as u16;
        let socket = packet_socket(interface, all, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK)?;
        for option in [libc::PACKET_VNET_HDR, libc::PACKET_IGNORE_OUTGOING] {
            switch_on(&socket, option).with_context(|| format!("cannot set up a packet socket on {interface}"))?;
        }
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
        Ok(Self(socket))
    }

    /// The next frame, behind its virtio header; `None`: there is none now.
    pub(crate) fn receive<'a>(&self, buffer: &'a mut [u8; LONGEST]) -> Option<&'a [u8]> {
        // A link that has gone down is told once as an error, and hears frames again when it is up.
        let length = recv(self.0.as_raw_fd(), buffer, MsgFlags::empty()).ok()?;
        (length > HEADER).then_some(&buffer[..length])
    }

    /// Sends a frame with its virtio header. A link that is down, or a full queue, loses it as a cable would.
    pub(crate) fn send(&self, frame: &[u8]) {
        while send(self.0.as_raw_fd(), frame, MsgFlags::empty()) == Err(Errno::EINTR) {}
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
