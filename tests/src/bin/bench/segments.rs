//! Frames, byte by byte.

pub(crate) fn segment(flags: u8, port: u16, payload: usize) -> Vec<u8> {
    let mut tcp = port.to_be_bytes().to_vec();
    tcp.extend(80_u16.to_be_bytes());
    tcp.extend([0, 0, 0, 9, 0, 0, 0, 7, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    tcp.resize(20 + payload, 0);
    tcp
}

pub(crate) fn frame(v6: bool, tags: usize, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for tag in 0..tags {
        frame.extend(if tag + 1 == tags { [0x81, 0x00, 0, 42] } else { [0x88, 0xa8, 0, 42] });
    }
    frame.extend(if v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
    frame.extend(ip(v6, protocol, payload));
    frame
}

pub(crate) fn ip(v6: bool, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let mut packet = if v6 {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([protocol, 64]);
        packet.extend([0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
        packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        packet
    } else {
        let mut packet = vec![0x45, 0];
        packet.extend((length + 20).to_be_bytes());
        packet.extend([0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 1, 5, 10, 0, 2, 7]);
        packet
    };
    packet.extend(payload);
    packet
}

pub(crate) fn unreachable(v6: bool, tags: usize) -> Vec<u8> {
    let mut icmp = vec![if v6 { 1 } else { 3 }, if v6 { 3 } else { 1 }, 0, 0, 0, 0, 0, 0];
    icmp.extend(ip(v6, 6, &segment(0x02, 4002, 0)));
    frame(v6, tags, if v6 { 58 } else { 1 }, &icmp)
}

pub(crate) fn arp() -> Vec<u8> {
    let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 2];
    frame.extend([2, 0, 0, 0, 0, 2, 10, 0, 2, 7, 0, 0, 0, 0, 0, 0, 10, 0, 2, 1]);
    frame
}

/// A frame of flow `n`.
pub(crate) fn tcp(n: u32, flags: u8) -> Vec<u8> {
    let mut bytes = frame(false, 0, 6, &segment(flags, 4000, 0));
    bytes[26..30].copy_from_slice(&(0x0a00_0000 | n).to_be_bytes());
    bytes
}
