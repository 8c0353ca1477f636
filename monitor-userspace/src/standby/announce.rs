//! Telling everyone on the link who has an address now (H-4).
//!
//! In: addresses and the own MAC address. Out: frames on a packet socket that passes by TC, so that they can leave before
//! the gate is open.

use std::{
    io,
    net::IpAddr,
    os::fd::{AsRawFd as _, OwnedFd},
};

use monitor_core::standby::announcement::frames;

use crate::interface::{packet_socket, send};

/// A socket that sends whole frames out of one interface, past TC.
#[derive(Debug)]
pub struct Announcer {
    socket: OwnedFd,
    mac: [u8; 6],
}

impl Announcer {
    /// Opens it on the interface of this index.
    pub fn open(ifindex: u32, mac: [u8; 6]) -> io::Result<Self> {
        let socket = packet_socket(ifindex, 0)?;
        let on: libc::c_int = 1;
        // SAFETY: the pointer is to a c_int of the length that is given.
        let set = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_QDISC_BYPASS,
                (&raw const on).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if set != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { socket, mac })
    }

    /// Sends the frames for these addresses; the first error of any.
    pub fn announce(&self, addresses: &[IpAddr]) -> io::Result<()> {
        let mut result = Ok(());
        for frame in addresses.iter().flat_map(|address| frames(*address, self.mac)) {
            result = result.and(send(&self.socket, &frame));
        }
        result
    }
}
