//! Held frames: whose they are, completing the checksum of one that goes back, and the RST that answers one that is refused. Pure.

use monitor_common::{Addr, Flow};

/// Where the parts of a held SYN lie. The programs have walked these headers before; still nothing is taken for granted.
struct Parts {
    /// Of the IP header.
    ip: usize,
    /// Of the TCP header.
    tcp: usize,
    /// Behind the last byte of the packet; a short frame has padding behind it.
    end: usize,
    v4: bool,
}

const ETHERNET: usize = 14;
const TCP: u8 = 6;

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn parts(frame: &[u8]) -> Option<Parts> {
    let mut ip = ETHERNET;
    let mut ethertype = be16(frame, 12)?;
    while matches!(ethertype, 0x8100 | 0x88a8) && ip < ETHERNET + 8 {
        ethertype = be16(frame, ip + 2)?;
        ip += 4;
    }
    let (v4, tcp, end) = match ethertype {
        0x0800 => {
            let header = usize::from(frame.get(ip)? & 0x0f) * 4;
            (true, ip + header, ip + usize::from(be16(frame, ip + 2)?))
        }
        0x86dd => {
            let end = ip + 40 + usize::from(be16(frame, ip + 4)?);
            (false, behind_extensions(frame, *frame.get(ip + 6)?, ip + 40)?, end)
        }
        _ => return None,
    };
    let header = usize::from(frame.get(tcp + 12)? >> 4) * 4;
    (header >= 20 && tcp + header <= end && end <= frame.len()).then_some(Parts { ip, tcp, end, v4 })
}

fn behind_extensions(frame: &[u8], mut next: u8, mut at: usize) -> Option<usize> {
    for _ in 0..8 {
        match next {
            TCP => return Some(at),
            0 | 43 | 60 => (next, at) = (*frame.get(at)?, at + (usize::from(*frame.get(at + 1)?) + 1) * 8),
            51 => (next, at) = (*frame.get(at)?, at + (usize::from(*frame.get(at + 1)?) + 2) * 4),
            _ => return None,
        }
    }
    None
}

/// The connection that this SYN asks for, and its sequence number.
#[must_use]
pub fn flow(frame: &[u8]) -> Option<(Flow, u32)> {
    let parts = parts(frame)?;
    let addr = |at: usize| {
        let v4 = || Some(Addr::from_v4(u32::from_ne_bytes(frame[at..at + 4].try_into().ok()?)));
        if parts.v4 { v4() } else { Some(Addr { bytes: frame[at..at + 16].try_into().ok()? }) }
    };
    let (client, server) = if parts.v4 { (parts.ip + 12, parts.ip + 16) } else { (parts.ip + 8, parts.ip + 24) };
    let (client_port, server_port) = (be16(frame, parts.tcp)?, be16(frame, parts.tcp + 2)?);
    let seq = u32::from_be_bytes(frame[parts.tcp + 4..parts.tcp + 8].try_into().ok()?);
    Some((Flow { client: addr(client)?, server: addr(server)?, client_port, server_port, _pad: 0 }, seq))
}

/// The Internet checksum's sum (RFC 1071), not yet complemented.
fn sum(bytes: &[u8], start: u32) -> u32 {
    let (words, rest) = bytes.as_chunks::<2>();
    let sum = words.iter().fold(start, |sum, word| sum + u32::from(u16::from_be_bytes(*word)));
    sum + rest.first().map_or(0, |last| u32::from(*last) << 8)
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

impl Parts {
    /// The sum of what stands for the IP header in the TCP checksum.
    fn pseudo_header(&self, frame: &[u8]) -> u32 {
        let addresses = if self.v4 { &frame[self.ip + 12..self.ip + 20] } else { &frame[self.ip + 8..self.ip + 40] };
        sum(addresses, u32::from(TCP) + (self.end - self.tcp) as u32)
    }

    fn set_checksum(&self, frame: &mut [u8]) {
        frame[self.tcp + 16..self.tcp + 18].fill(0);
        let checksum = !fold(sum(&frame[self.tcp..self.end], self.pseudo_header(frame)));
        frame[self.tcp + 16..self.tcp + 18].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// A frame from a virtual machine or a namespace of this host has only the pseudo-header's part of its TCP checksum: the
/// rest would have been done by a network card. It is completed; any other checksum stays, right or wrong.
pub fn complete_checksum(frame: &mut [u8]) {
    let Some(parts) = parts(frame) else { return };
    if be16(frame, parts.tcp + 16) == Some(fold(parts.pseudo_header(frame))) {
        parts.set_checksum(frame);
    }
}

/// The RST that refuses this SYN (RFC 9293 section 3.5.2), back the way it came.
#[must_use]
pub fn reset(frame: &[u8]) -> Option<Vec<u8>> {
    let syn = parts(frame)?;
    let payload = syn.end - syn.tcp - usize::from(frame[syn.tcp + 12] >> 4) * 4;
    let mut answer = Vec::with_capacity(syn.ip + 60);
    answer.extend(&frame[6..12]);
    answer.extend(&frame[..6]);
    answer.extend(&frame[12..syn.ip]);
    let length = if syn.v4 { 20 } else { 40 };
    if syn.v4 {
        answer.extend([0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, TCP, 0, 0]);
        answer.extend(&frame[syn.ip + 16..syn.ip + 20]);
        answer.extend(&frame[syn.ip + 12..syn.ip + 16]);
        let checksum = !fold(sum(&answer[syn.ip..], 0));
        answer[syn.ip + 10..syn.ip + 12].copy_from_slice(&checksum.to_be_bytes());
    } else {
        answer.extend([0x60, 0, 0, 0, 0, 20, TCP, 64]);
        answer.extend(&frame[syn.ip + 24..syn.ip + 40]);
        answer.extend(&frame[syn.ip + 8..syn.ip + 24]);
    }
    let seq = u32::from_be_bytes(frame[syn.tcp + 4..syn.tcp + 8].try_into().ok()?);
    let acknowledged = seq.wrapping_add(1).wrapping_add(payload as u32);
    answer.extend(&frame[syn.tcp + 2..syn.tcp + 4]);
    answer.extend(&frame[syn.tcp..syn.tcp + 2]);
    answer.extend([0; 4]);
    answer.extend(acknowledged.to_be_bytes());
    answer.extend([0x50, 0x14, 0, 0, 0, 0, 0, 0]);
    let back = Parts { ip: syn.ip, tcp: syn.ip + length, end: syn.ip + length + 20, v4: syn.v4 };
    back.set_checksum(&mut answer);
    Some(answer)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::net::IpAddr;

    use super::{complete_checksum, flow, fold, parts, reset, sum};

    /// A SYN with options, to port 80.
    fn syn(v4: bool, tagged: bool) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        if tagged {
            frame.extend([0x81, 0, 0, 42]);
        }
        if v4 {
            frame.extend([0x08, 0, 0x45, 0, 0, 44, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 1, 5, 10, 0, 2, 7]);
        } else {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, 6, 64]);
            frame.extend([0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
            frame.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        }
        frame.extend([0x0f, 0xa0, 0, 80, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x60, 2, 0xff, 0xff, 0, 0, 0, 0]);
        frame.extend([2, 4, 5, 0xb4]);
        frame
    }

    /// Whether the TCP checksum is right.
    fn right(frame: &[u8]) -> bool {
        let parts = parts(frame).unwrap();
        fold(sum(&frame[parts.tcp..parts.end], parts.pseudo_header(frame))) == 0xffff
    }

    #[test]
    fn a_partial_checksum_is_completed_and_any_other_stays() {
        for (v4, tagged) in [(true, false), (true, true), (false, false), (false, true)] {
            let mut frame = syn(v4, tagged);
            let at = parts(&frame).unwrap().tcp + 16;
            let partial = fold(parts(&frame).unwrap().pseudo_header(&frame));
            frame[at..at + 2].copy_from_slice(&partial.to_be_bytes());
            assert!(!right(&frame));
            complete_checksum(&mut frame);
            assert!(right(&frame));
            let whole = frame.clone();
            complete_checksum(&mut frame);
            assert_eq!(frame, whole);
            // Padding behind the packet is no part of it.
            frame.extend([9; 6]);
            assert!(right(&frame));
            // A frame that was damaged on its way is not mended.
            frame[at] ^= 0x55;
            let damaged = frame.clone();
            complete_checksum(&mut frame);
            assert_eq!(frame, damaged);
        }
    }

    #[test]
    fn a_refusal_acknowledges_the_syn_and_goes_back_where_it_came_from() {
        for (v4, tagged) in [(true, false), (true, true), (false, false), (false, true)] {
            let answer = reset(&syn(v4, tagged)).unwrap();
            let at = parts(&answer).unwrap();
            assert!(right(&answer));
            assert_eq!(answer[..12], [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
            assert_eq!(answer[at.tcp..at.tcp + 4], [0, 80, 0x0f, 0xa0]);
            assert_eq!(answer[at.tcp + 8..at.tcp + 14], [0, 0, 0, 0, 0x50, 0x14]);
            let addresses = if v4 { at.ip + 12 } else { at.ip + 8 };
            assert_eq!(answer[addresses], if v4 { 10 } else { 0xfd });
            if v4 {
                assert_eq!(fold(sum(&answer[at.ip..at.ip + 20], 0)), 0xffff);
                assert_eq!(answer[at.ip + 12..at.ip + 20], [10, 0, 2, 7, 10, 0, 1, 5]);
            }
        }
    }

    #[test]
    fn a_frame_says_whose_it_is() {
        for (v4, client, server) in [(true, "10.0.1.5", "10.0.2.7"), (false, "fd00:1::5", "fd00::7")] {
            let (flow, seq) = flow(&syn(v4, true)).unwrap();
            assert_eq!((flow.client_port, flow.server_port, seq), (4000, 80, u32::MAX));
            assert_eq!(IpAddr::from(flow.client), client.parse::<IpAddr>().unwrap());
            assert_eq!(IpAddr::from(flow.server), server.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn what_is_cut_short_is_nothing() {
        for v4 in [true, false] {
            let frame = syn(v4, false);
            for length in 0..frame.len() {
                let mut part = frame[..length].to_vec();
                complete_checksum(&mut part);
                assert_eq!((reset(&part), flow(&part)), (None, None));
            }
        }
    }
}
