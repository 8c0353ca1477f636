//! The ways that heartbeats take (H-2): UDP, and Ethernet frames on an interface.
//!
//! In: datagrams for a peer. Out: datagrams with the way that they came. Nothing here is looked into.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd},
    time::Duration,
};

use monitor_core::{config::PeerPath, domain::MonotonicNs, heartbeat::wire::MAX_DATAGRAM};
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, Socket, Type};

use crate::interface;

/// "Local experimental" (IEEE 802): nobody else's on a link that is one's own.
const ETHERTYPE: u16 = 0x88b5;
/// Ethernet header, and the datagram's length: short frames are padded.
const HEADER: usize = 14 + 2;

/// Between two looks whether an interface is still the same.
const LOOK: Duration = Duration::from_millis(200);

/// Every socket.
#[derive(Debug)]
pub(super) struct Paths {
    udp: UdpSocket,
    /// `None`: there is no such interface now.
    links: BTreeMap<String, Option<Link>>,
    next_look: MonotonicNs,
}

/// An interface, as it was when its socket was opened.
#[derive(Debug)]
struct Link {
    index: u32,
    mac: [u8; 6],
    socket: OwnedFd,
}

impl Link {
    fn open(interface: &str) -> io::Result<Self> {
        let index = if_nametoindex(interface)?;
        Ok(Self { index, mac: interface::mac(interface)?, socket: interface::packet_socket(index, ETHERTYPE)? })
    }

    /// Whether the interface of this name is still that one.
    fn is(&self, interface: &str) -> bool {
        if_nametoindex(interface).is_ok_and(|index| index == self.index)
            && interface::mac(interface).is_ok_and(|mac| mac == self.mac)
    }
}

impl Paths {
    /// Opens what these paths need.
    pub(super) fn open<'a>(listen: SocketAddr, paths: impl Iterator<Item = &'a PeerPath>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
        if listen.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&listen.into())?;
        socket.set_nonblocking(true)?;
        let mut links = BTreeMap::new();
        for path in paths {
            if let PeerPath::Link(interface) = path
                && !links.contains_key(interface)
            {
                let link = match Link::open(interface) {
                    Err(error) if is_absent(&error) => {
                        tracing::warn!(interface, "not a way to the peers until it is there");
                        None
                    }
                    link => Some(link?),
                };
                links.insert(interface.clone(), link);
            }
        }
        Ok(Self { udp: socket.into(), links, next_look: MonotonicNs::default() })
    }

    /// Takes interfaces that were made again, or have another MAC address.
    pub(super) fn follow(&mut self, now: MonotonicNs) {
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK;
        for (interface, link) in &mut self.links {
            if link.as_ref().is_some_and(|link| link.is(interface)) {
                continue;
            }
            let was_there = link.is_some();
            *link = Link::open(interface).ok();
            if was_there || link.is_some() {
                tracing::warn!(interface, is_there = link.is_some(), "the interface is another one now");
            }
        }
    }

    /// What to wait for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.links.values().flatten().map(|link| link.socket.as_fd()).chain([self.udp.as_fd()])
    }

    /// Sends; a path that does not work now is what the others are for.
    pub(super) fn send(&self, path: &PeerPath, datagram: &[u8]) -> io::Result<()> {
        match path {
            PeerPath::Udp(addr) => self.udp.send_to(datagram, self.as_sent(*addr)).map(drop),
            PeerPath::Link(interface) => {
                let Some(Some(link)) = self.links.get(interface) else { return Err(io::ErrorKind::NotFound.into()) };
                let length = (datagram.len() as u16).to_be_bytes();
                let frame = [&[0xff; 6][..], &link.mac, &ETHERTYPE.to_be_bytes(), &length, datagram, &[0; 44]].concat();
                interface::send(&link.socket, &frame)
            }
        }
    }

    /// The next datagram that has arrived, if there is one, and where: a peer's address, or the interface.
    pub(super) fn receive(&self) -> Option<(Arrival, Vec<u8>)> {
        let mut buffer = [0; MAX_DATAGRAM + HEADER + 64];
        if let Ok((length, from)) = self.udp.recv_from(&mut buffer) {
            return Some((Arrival::Udp(from.ip().to_canonical()), buffer[..length].to_vec()));
        }
        self.links.iter().find_map(|(interface, link)| {
            let link = link.as_ref()?;
            // SAFETY: pointer and length are those of the buffer.
            let received = unsafe { libc::recv(link.socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            let frame = buffer.get(..usize::try_from(received).ok()?)?;
            let length = u16::from_be_bytes(frame.get(14..16)?.try_into().ok()?);
            let datagram = frame.get(HEADER..HEADER + usize::from(length)).unwrap_or_default();
            Some((Arrival::Link(interface.clone()), datagram.to_vec()))
        })
    }

    /// A socket of both families takes IPv4 addresses in IPv6's form.
    fn as_sent(&self, addr: SocketAddr) -> SocketAddr {
        let both = self.udp.local_addr().is_ok_and(|own| own.is_ipv6());
        match addr.ip() {
            IpAddr::V4(v4) if both => SocketAddr::new(v4.to_ipv6_mapped().into(), addr.port()),
            _ => addr,
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO))
}

/// The way that a datagram came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Udp(IpAddr),
    Link(String),
}

impl Arrival {
    /// Whether it is this path of the peer that it came from.
    pub(super) fn is(&self, path: &PeerPath) -> bool {
        match (self, path) {
            (Self::Udp(from), PeerPath::Udp(addr)) => *from == addr.ip().to_canonical(),
            (Self::Link(from), PeerPath::Link(interface)) => from == interface,
            _ => false,
        }
    }
}
