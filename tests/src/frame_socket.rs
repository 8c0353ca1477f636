//! Whole Ethernet frames, for what no ordinary program sends: VLAN tags, forged answers, malformed packets.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use anyhow::{Context, Result, bail};
use nix::{
    libc,
    net::if_::if_nametoindex,
    sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike, bind, recv, send, socket},
};

/// A packet socket that is bound to one interface.
#[derive(Debug)]
pub struct FrameSocket(OwnedFd);

impl FrameSocket {
    pub(crate) fn open(interface: &str) -> Result<Self> {
        // Protocol 0: it receives nothing.
        packet_socket(interface, 0, SockFlag::SOCK_CLOEXEC).map(Self)
    }

    /// Sends one frame of at least a page so that all behind its link-layer header lies in pages of its own, where a program
    /// in TC cannot read it: the virtio header before it says that 14 bytes of it are headers.
    pub fn send_in_pages(&self, frame: &[u8]) -> Result<()> {
        switch_on(&self.0, libc::PACKET_VNET_HDR)?;
        let mut bytes = vec![0, 0, 14, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend(frame);
        self.send(&bytes)
    }

    /// Sends one frame, from the destination MAC address to the last byte of the payload.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let sent = send(self.0.as_raw_fd(), frame, MsgFlags::empty()).context("cannot send a frame")?;
        if sent != frame.len() {
            bail!("sent {sent} of {} bytes of a frame", frame.len());
        }
        Ok(())
    }
}

/// A packet socket that hears frames of one kind on one interface.
#[derive(Debug)]
pub struct FrameListener(OwnedFd);

impl FrameListener {
    pub(crate) fn open(interface: &str, ethertype: u16) -> Result<Self> {
        packet_socket(interface, ethertype, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK).map(Self)
    }

    /// What has come since the last call.
    #[must_use]
    pub fn heard(&self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut buffer = [0; 2048];
        while let Ok(length) = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            frames.push(buffer[..length].to_vec());
        }
        frames
    }
}

pub(crate) fn packet_socket(interface: &str, protocol: u16, flags: SockFlag) -> Result<OwnedFd> {
    let index = if_nametoindex(interface).with_context(|| format!("no interface {interface}"))?;
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as libc::sa_family_t,
        sll_protocol: protocol.to_be(),
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the pointer is to a whole, initialised sockaddr_ll of that length, whose family says what it is.
    let address = unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) };
    bind(socket.as_raw_fd(), &address.context("not a link-layer address")?)?;
    Ok(socket)
}

/// Switches an option of a packet socket on.
pub(crate) fn switch_on(socket: &OwnedFd, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = size_of_val(&on) as libc::socklen_t;
    // SAFETY: the value is an int that outlives the call, and the length is its own.
    match unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, option, (&raw const on).cast(), length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
