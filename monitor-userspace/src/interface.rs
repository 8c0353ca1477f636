//! One interface of this host: its MAC address, its link, and packet sockets on it.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use socket2::{Domain, Socket, Type};

/// The MAC address of an interface.
pub(crate) fn mac(interface: &str) -> io::Result<[u8; 6]> {
    let request = ask(interface, libc::SIOCGIFHWADDR)?;
    // SAFETY: the kernel has filled in the hardware address.
    let address = unsafe { request.ifr_ifru.ifru_hwaddr };
    let mut mac = [0; 6];
    for (byte, from) in mac.iter_mut().zip(address.sa_data) {
        *byte = from.cast_unsigned();
    }
    Ok(mac)
}

/// What kind of link layer an interface has: a number of the kernel's `if_arp.h`.
pub(crate) fn link_layer(interface: &str) -> io::Result<u16> {
    let request = ask(interface, libc::SIOCGIFHWADDR)?;
    // SAFETY: the kernel has filled in the hardware address.
    Ok(unsafe { request.ifr_ifru.ifru_hwaddr.sa_family })
}

/// Whether an interface is up and has a link.
pub(crate) fn has_link(interface: &str) -> bool {
    let wanted = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    ask(interface, libc::SIOCGIFFLAGS).is_ok_and(|request| {
        // SAFETY: the kernel has filled in the flags.
        unsafe { request.ifr_ifru.ifru_flags & wanted == wanted }
    })
}

fn ask(interface: &str, what: libc::Ioctl) -> io::Result<libc::ifreq> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    // SAFETY: an ifreq is plain data, of which zeros are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let name = interface.as_bytes();
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(name) {
        *place = byte.cast_signed();
    }
    // SAFETY: the request is whole, and its name ends with a zero.
    match unsafe { libc::ioctl(socket.as_raw_fd(), what, &raw mut request) } {
        0 => Ok(request),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A packet socket on one interface; protocol 0 receives nothing.
pub(crate) fn packet_socket(ifindex: u32, protocol: u16) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers.
    let socket = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as libc::sa_family_t,
        sll_protocol: protocol.to_be(),
        sll_ifindex: ifindex.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the pointer is to a whole sockaddr_ll of the length that is given.
    let bound = unsafe {
        libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of::<libc::sockaddr_ll>() as libc::socklen_t)
    };
    if bound == 0 { Ok(socket) } else { Err(io::Error::last_os_error()) }
}

/// Sends one frame whole.
pub(crate) fn send(socket: &OwnedFd, frame: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length are those of the frame.
    let sent = unsafe { libc::send(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
