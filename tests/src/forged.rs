//! Frames that somebody sends in another's name: TCP segments from any address, ICMP about them, ARP. Checksums are right,
//! so that routers and servers take them for what they say.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// TCP flags.
pub const SYN: u8 = 0x02;
/// See [`SYN`].
pub const RST: u8 = 0x04;
/// See [`SYN`].
pub const ACK: u8 = 0x10;

const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// A TCP segment without data.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Whose it says it is.
    pub from: SocketAddr,
    /// For whom; of the same family.
    pub to: SocketAddr,
    /// Sequence number.
    pub seq: u32,
    /// What it acknowledges.
    pub ack: u32,
    /// See [`SYN`].
    pub flags: u8,
}

impl Segment {
    /// A SYN.
    #[must_use]
    pub const fn syn(from: SocketAddr, to: SocketAddr, seq: u32) -> Self {
        Self { from, to, seq, ack: 0, flags: SYN }
    }

    /// What the server would send back: these flags, acknowledging sequence number + 1.
    #[must_use]
    pub const fn answer(&self, flags: u8) -> Self {
        Self { from: self.to, to: self.from, seq: 77, ack: self.seq.wrapping_add(1), flags }
    }

    /// The frame, for the host with this MAC address.
    #[must_use]
    pub fn frame(&self, mac: [u8; 6]) -> Vec<u8> {
        in_ethernet(mac, self.from.ip(), &self.packet())
    }

    /// A "port unreachable" about this segment, with `quoted` bytes of its packet; sent to the client.
    #[must_use]
    pub fn unreachable(&self, mac: [u8; 6], router: IpAddr, quoted: usize) -> Vec<u8> {
        let (kind, code, protocol) = if router.is_ipv4() { (3, 3, ICMP) } else { (1, 4, ICMPV6) };
        let packet = self.packet();
        let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
        message.extend(&packet[..quoted.min(packet.len())]);
        let pseudo = if router.is_ipv4() { 0 } else { pseudo_header(router, self.from.ip(), protocol, message.len()) };
        put_checksum(&mut message, 2, pseudo);
        in_ethernet(mac, router, &ip(router, self.from.ip(), protocol, &message))
    }

    fn packet(&self) -> Vec<u8> {
        let mut segment = Vec::new();
        segment.extend(self.from.port().to_be_bytes());
        segment.extend(self.to.port().to_be_bytes());
        segment.extend(self.seq.to_be_bytes());
        segment.extend(self.ack.to_be_bytes());
        segment.extend([0x50, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        let pseudo = pseudo_header(self.from.ip(), self.to.ip(), TCP, segment.len());
        put_checksum(&mut segment, 16, pseudo);
        ip(self.from.ip(), self.to.ip(), TCP, &segment)
    }
}

/// An ARP reply to everybody in which this address says that it is at some MAC address.
#[must_use]
pub fn arp_reply(sender: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 9, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 9]);
    frame.extend(sender.octets());
    frame.extend([0xff; 6]);
    frame.extend(sender.octets());
    frame
}

/// A neighbour advertisement for `target` with this hop limit.
#[must_use]
pub fn advertisement(target: Ipv6Addr, hop_limit: u8) -> Vec<u8> {
    let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let mut message = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    message.extend(target.octets());
    let pseudo = pseudo_header(target.into(), all.into(), ICMPV6, message.len());
    put_checksum(&mut message, 2, pseudo);
    let mut packet = ip(target.into(), all.into(), ICMPV6, &message);
    packet[7] = hop_limit;
    in_ethernet([0x33, 0x33, 0, 0, 0, 1], target.into(), &packet)
}

/// The question who has `target` (ARP, or a neighbour solicitation to everybody), asked by the host with this MAC address.
///
/// # Panics
///
/// With addresses of two families: the test is wrong.
#[must_use]
pub fn who_has(target: IpAddr, mac: [u8; 6], asker: IpAddr) -> Vec<u8> {
    match (target, asker) {
        (IpAddr::V4(target), IpAddr::V4(asker)) => {
            let header = [0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1];
            let parts = [&mac[..], &asker.octets(), &[0; 6], &target.octets()];
            [&[0xff; 6][..], &mac, &header, &parts.concat()].concat()
        }
        (IpAddr::V6(target), IpAddr::V6(_)) => {
            let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
            let mut message = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target.octets(), &[1, 1], &mac].concat();
            let pseudo = pseudo_header(asker, all.into(), ICMPV6, message.len());
            put_checksum(&mut message, 2, pseudo);
            let mut packet = ip(asker, all.into(), ICMPV6, &message);
            packet[7] = 255;
            let mut frame = in_ethernet([0x33, 0x33, 0, 0, 0, 1], asker, &packet);
            frame[6..12].copy_from_slice(&mac);
            frame
        }
        _ => panic!("{asker} and {target} are of two families"),
    }
}

fn in_ethernet(mac: [u8; 6], from: IpAddr, packet: &[u8]) -> Vec<u8> {
    let mut frame = mac.to_vec();
    frame.extend([2, 0, 0, 0, 0, 9]);
    frame.extend(if from.is_ipv4() { [0x08, 0x00] } else { [0x86, 0xdd] });
    frame.extend(packet);
    frame
}

/// # Panics
///
/// With addresses of two families, or more payload than a packet holds: the test is wrong.
fn ip(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let Ok(length) = u16::try_from(payload.len()) else { panic!("{} bytes in one packet", payload.len()) };
    let mut packet = Vec::new();
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            packet.extend([0x45, 0]);
            packet.extend((20 + length).to_be_bytes());
            packet.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            put_checksum(&mut packet, 10, 0);
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(length.to_be_bytes());
            packet.extend([protocol, 64]);
            packet.extend(from.octets());
            packet.extend(to.octets());
        }
        _ => panic!("{from} and {to} are of two families"),
    }
    packet.extend(payload);
    packet
}

/// The sum over addresses, protocol and length that TCP and ICMPv6 include (RFC 9293 section 3.1, RFC 8200 section 8.1).
fn pseudo_header(from: IpAddr, to: IpAddr, protocol: u8, length: usize) -> u32 {
    let addresses = |addr: IpAddr| match addr {
        IpAddr::V4(addr) => sum(&addr.octets()),
        IpAddr::V6(addr) => sum(&addr.octets()),
    };
    addresses(from) + addresses(to) + u32::from(protocol) + length as u32
}

fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0))).sum()
}

/// Writes the Internet checksum (RFC 1071) to its place, which is 0 until then.
fn put_checksum(bytes: &mut [u8], place: usize, pseudo: u32) {
    let mut folded = sum(bytes) + pseudo;
    while folded > 0xffff {
        folded = (folded & 0xffff) + (folded >> 16);
    }
    bytes[place..place + 2].copy_from_slice(&(!folded as u16).to_be_bytes());
}
