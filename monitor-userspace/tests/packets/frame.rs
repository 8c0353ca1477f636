//! Frames, byte by byte: what the tests send is what stands in the RFCs.

use std::net::IpAddr;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const ACK: u8 = 0x10;

/// A TCP segment and the headers around it.
#[derive(Clone, Debug)]
pub(crate) struct Tcp {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) sport: u16,
    pub(crate) dport: u16,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    /// EtherTypes of VLAN tags, outermost first.
    pub(crate) tags: Vec<u16>,
    /// IPv4 options or IPv6 extension headers (with the next-header of the first), as they stand in the frame.
    pub(crate) options: Vec<u8>,
    pub(crate) first_extension: Option<u8>,
    pub(crate) fragment: u16,
    pub(crate) payload: usize,
}

impl Tcp {
    /// A SYN of client `n` to the service.
    pub(crate) fn syn(src: &str, sport: u16, dst: &str, dport: u16, seq: u32) -> Self {
        Self {
            src: src.parse().unwrap(),
            dst: dst.parse().unwrap(),
            sport,
            dport,
            seq,
            ack: 0,
            flags: SYN,
            tags: Vec::new(),
            options: Vec::new(),
            first_extension: None,
            fragment: 0,
            payload: 0,
        }
    }

    /// The answer to this SYN with these flags, acknowledging sequence number + 1.
    pub(crate) fn answer(&self, flags: u8) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            sport: self.dport,
            dport: self.sport,
            seq: 77,
            ack: self.seq.wrapping_add(1),
            flags,
            ..self.clone()
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut frame = ethernet(&self.tags, self.src.is_ipv4());
        frame.extend(self.packet());
        frame
    }

    /// The IP packet alone.
    pub(crate) fn packet(&self) -> Vec<u8> {
        let mut tcp = Vec::new();
        tcp.extend(self.sport.to_be_bytes());
        tcp.extend(self.dport.to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        tcp.extend([0x50, self.flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(vec![0; self.payload]);
        match self.first_extension {
            Some(first) => ip(self.src, self.dst, first, &self.options, self.fragment, &tcp),
            None => ip(self.src, self.dst, 6, &self.options, self.fragment, &tcp),
        }
    }

    /// ICMP or ICMPv6 unreachable of `code` from a router, quoting this packet up to `quoted` bytes.
    pub(crate) fn unreachable(&self, code: u8, quoted: usize) -> Vec<u8> {
        let v4 = self.src.is_ipv4();
        let mut icmp = vec![if v4 { 3 } else { 1 }, code, 0, 0, 0, 0, 0, 0];
        let packet = self.packet();
        icmp.extend(&packet[..quoted.min(packet.len())]);
        let router: IpAddr = if v4 { "10.0.0.1".parse().unwrap() } else { "fd00::1".parse().unwrap() };
        let mut frame = ethernet(&self.tags, v4);
        frame.extend(ip(router, self.src, if v4 { 1 } else { 58 }, &[], 0, &icmp));
        frame
    }
}

fn ethernet(tags: &[u16], v4: bool) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 42]);
    }
    frame.extend(if v4 { [0x08, 0x00] } else { [0x86, 0xdd] });
    frame
}

/// An IP header and what follows; `options` are IPv4 options or IPv6 extension headers.
pub(crate) fn ip(src: IpAddr, dst: IpAddr, protocol: u8, options: &[u8], fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::new();
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let words = u8::try_from(5 + options.len() / 4).unwrap();
            let length = u16::try_from(20 + options.len() + payload.len()).unwrap();
            packet.extend([0x40 | words, 0]);
            packet.extend(length.to_be_bytes());
            packet.extend([0, 1]);
            packet.extend(fragment.to_be_bytes());
            packet.extend([64, protocol, 0, 0]);
            packet.extend(src.octets());
            packet.extend(dst.octets());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let length = u16::try_from(options.len() + payload.len()).unwrap();
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(length.to_be_bytes());
            packet.extend([protocol, 64]);
            packet.extend(src.octets());
            packet.extend(dst.octets());
        }
        _ => panic!("both ends have one family"),
    }
    packet.extend(options);
    packet.extend(payload);
    packet
}

/// ARP of this operation, sent by `sender`.
pub(crate) fn arp(operation: u16, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 0x08, 0x06, 0, 1, 8, 0, 6, 4];
    frame.extend(operation.to_be_bytes());
    frame.extend([2, 0, 0, 0, 0, 2]);
    frame.extend(sender);
    frame.extend([0; 6]);
    frame.extend(target);
    frame
}

/// A neighbour advertisement for `target` with this hop limit.
pub(crate) fn advertisement(target: &str, hop_limit: u8) -> Vec<u8> {
    let target: std::net::Ipv6Addr = target.parse().unwrap();
    let mut icmp = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
    icmp.extend(target.octets());
    let mut packet = ip(target.into(), "ff02::1".parse().unwrap(), 58, &[], 0, &icmp);
    packet[7] = hop_limit;
    let mut frame = ethernet(&[], false);
    frame.extend(packet);
    frame
}
