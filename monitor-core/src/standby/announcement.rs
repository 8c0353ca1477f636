//! The frames that tell everyone on a link who has an address now (H-4): gratuitous ARP, unsolicited neighbour
//! advertisements.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const BROADCAST: [u8; 6] = [0xff; 6];
/// All nodes of the link (RFC 4291 section 2.7.1), and their Ethernet address (RFC 2464 section 7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

const ARP_REQUEST: u16 = 1;
const ARP_REPLY: u16 = 2;

/// The frames that say that `address` is at `mac`, in the order in which they are sent: for IPv4 a request, which every
/// cache that has the address takes its sender from, and then a reply; for IPv6 an advertisement that overrides.
#[must_use]
pub fn frames(address: IpAddr, mac: [u8; 6]) -> Vec<Vec<u8>> {
    match address {
        IpAddr::V4(address) => vec![arp(ARP_REQUEST, address, mac), arp(ARP_REPLY, address, mac)],
        IpAddr::V6(address) => vec![advertisement(address, mac)],
    }
}

/// RFC 5227 section 3: sender and target are the address itself.
fn arp(operation: u16, address: Ipv4Addr, mac: [u8; 6]) -> Vec<u8> {
    let target = if operation == ARP_REPLY { BROADCAST } else { [0; 6] };
    [
        &BROADCAST[..],
        &mac,
        &[0x08, 0x06],
        &[0, 1, 0x08, 0, 6, 4],
        &operation.to_be_bytes(),
        &mac,
        &address.octets(),
        &target,
        &address.octets(),
        // The shortest frame has 60 bytes.
        &[0; 18],
    ]
    .concat()
}

/// RFC 4861 section 4.4, with the flag "override" and the option "target link-layer address".
fn advertisement(address: Ipv6Addr, mac: [u8; 6]) -> Vec<u8> {
    const OVERRIDE: u8 = 0x20;
    let mut icmp = [&[136, 0, 0, 0, OVERRIDE, 0, 0, 0][..], &address.octets(), &[2, 1], &mac].concat();
    let length = icmp.len() as u16;
    // The source is the address itself: a host may have no other on this link that is usable.
    let pseudo = [&address.octets()[..], &ALL_NODES.octets(), &[0, 0], &length.to_be_bytes(), &[0, 0, 0, 58]].concat();
    let sum = checksum(&[&pseudo[..], &icmp].concat());
    icmp[2..4].copy_from_slice(&sum.to_be_bytes());
    let header = [0x60, 0, 0, 0, length.to_be_bytes()[0], length.to_be_bytes()[1], 58, 255];
    [&ALL_NODES_MAC[..], &mac, &[0x86, 0xdd], &header, &address.octets(), &ALL_NODES.octets(), &icmp].concat()
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

    // proves: H-4
    #[test]
    fn an_address_is_announced_by_a_broadcast_request_and_then_a_reply() {
        let frames = frames(Ipv4Addr::new(192, 0, 2, 7).into(), MAC);
        let operations: Vec<_> = frames.iter().map(|frame| u16::from_be_bytes([frame[20], frame[21]])).collect();
        assert_eq!(operations, [ARP_REQUEST, ARP_REPLY]);
        for frame in frames {
            assert_eq!((&frame[..6], &frame[6..12], frame.len()), (&BROADCAST[..], &MAC[..], 60));
            assert_eq!(
                (&frame[22..28], &frame[28..32], &frame[38..42]),
                (&MAC[..], &[192, 0, 2, 7][..], &[192, 0, 2, 7][..])
            );
        }
    }

    // proves: H-8
    #[test]
    fn an_advertisement_overrides_and_its_checksum_is_right() {
        let address: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
        let frame = &frames(address.into(), MAC)[0];
        let icmp = &frame[54..];
        assert_eq!((icmp[0], icmp[4], &icmp[8..24], &icmp[26..32]), (136, 0x20, &address.octets()[..], &MAC[..]));
        let pseudo = [&frame[22..54], &(icmp.len() as u32).to_be_bytes(), &[0, 0, 0, 58], icmp].concat();
        assert_eq!(checksum(&pseudo), 0);
    }
}
