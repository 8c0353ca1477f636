//! Whole frames out of an interface: the refusals of held SYNs. They pass the egress program as any other, which is how
//! the rest of Ringback sees them.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

/// A packet socket, opened with the first frame.
#[derive(Debug, Default)]
pub(super) struct Replies {
    socket: Option<OwnedFd>,
}

impl Replies {
    /// Sends one frame.
    pub(super) fn send(&mut self, ifindex: u32, frame: &[u8]) -> io::Result<()> {
        if self.socket.is_none() {
            // Protocol 0: it receives nothing.
            self.socket = Some(socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
                None,
            )?);
        }
        let Some(socket) = &self.socket else { return Ok(()) };
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as libc::sa_family_t,
            sll_protocol: 0,
            sll_ifindex: ifindex.cast_signed(),
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 6,
            sll_addr: [frame[0], frame[1], frame[2], frame[3], frame[4], frame[5], 0, 0],
        };
        // SAFETY: frame and address are whole and outlive the call.
        let sent = unsafe {
            libc::sendto(
                socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
