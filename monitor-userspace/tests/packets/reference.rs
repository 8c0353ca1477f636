//! What a frame is, read a second time: slowly, with slices, from the RFCs. The programs' counters must say the same.

/// TCP's 6 as IPv4 protocol and IPv6 next header.
const TCP: u8 = 6;

/// Headers that `monitor-ebpf` walks; see docs/decisions.md.
const LONGEST_CHAIN: usize = 6;

/// Which way a frame passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
}

/// The two ends of a TCP connection as a segment names them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flow {
    pub(crate) source: Vec<u8>,
    pub(crate) source_port: u16,
    pub(crate) dest: Vec<u8>,
    pub(crate) dest_port: u16,
}

/// What the programs are to see in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Syn(Flow),
    SynAck,
    RstAck,
    /// An ACK without SYN, FIN, RST that arrives: it may end a handshake.
    Ack,
    /// ICMP unreachable with a quoted TCP segment.
    Unreachable,
    Malformed,
    Nothing,
}

/// Reads a frame. `acks`: whether ACKs are looked at (`watch.client_ack`).
pub(crate) fn read(frame: &[u8], way: Way, acks: bool) -> Seen {
    let mut rest = frame.get(12..).unwrap_or_default();
    for _ in 0..3 {
        if let [0x81, 0x00, _, _, inner @ ..] | [0x88, 0xa8, _, _, inner @ ..] = rest {
            rest = inner;
        }
    }
    match rest {
        [0x08, 0x00, packet @ ..] => ipv4(packet, way, acks),
        [0x86, 0xdd, packet @ ..] => ipv6(packet, way, acks),
        // A PPPoE session (RFC 2516 section 4): version and type, code, session, length, and PPP's protocol.
        [0x88, 0x64, 0x11, 0, _, _, _, _, 0x00, 0x21, packet @ ..] => ipv4(packet, way, acks),
        [0x88, 0x64, 0x11, 0, _, _, _, _, 0x00, 0x57, packet @ ..] => ipv6(packet, way, acks),
        _ => Seen::Nothing,
    }
}

/// An IPv4 packet's protocol and payload; `Err`: there is nothing to be read in it.
fn ipv4_payload(packet: &[u8]) -> Result<(u8, &[u8]), Seen> {
    if packet.len() < 20 || packet[0] >> 4 != 4 || packet[0] & 15 < 5 {
        return Err(Seen::Malformed);
    }
    if u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff != 0 {
        return Err(Seen::Nothing);
    }
    Ok((packet[9], packet.get(usize::from(packet[0] & 15) * 4..).unwrap_or_default()))
}

fn ipv4(packet: &[u8], way: Way, acks: bool) -> Seen {
    match ipv4_payload(packet) {
        Err(seen) => seen,
        Ok((TCP, segment)) => tcp(&packet[12..16], &packet[16..20], segment, way, acks),
        Ok((1, message)) => icmp(message),
        Ok(_) => Seen::Nothing,
    }
}

fn icmp(message: &[u8]) -> Seen {
    let [kind, code, _, _, _, _, _, _, quoted @ ..] = message else { return Seen::Malformed };
    // RFC 792 and 1812 section 5.2.7.1; 4 is "fragmentation needed", 8 obsolete.
    if *kind != 3 || !matches!(code, 0..=3 | 5..=7 | 9..=15) {
        return Seen::Nothing;
    }
    match ipv4_payload(quoted) {
        Err(seen) => seen,
        Ok((TCP, segment)) if segment.len() < 8 => Seen::Malformed,
        Ok((TCP, _)) => Seen::Unreachable,
        Ok(_) => Seen::Nothing,
    }
}

fn ipv6(packet: &[u8], way: Way, acks: bool) -> Seen {
    if packet.len() < 40 || packet[0] >> 4 != 6 {
        return Seen::Malformed;
    }
    let (mut next, mut rest) = (packet[6], &packet[40..]);
    for _ in 0..=LONGEST_CHAIN {
        let length = match next {
            TCP => return tcp(&packet[8..24], &packet[24..40], rest, way, acks),
            58 => return icmpv6(rest),
            0 | 43 | 60 | 51 | 44 => match *rest {
                [_, _, high, low, _, _, _, _, ..] if next == 44 => {
                    if u16::from_be_bytes([high, low]) >> 3 != 0 {
                        return Seen::Nothing;
                    }
                    8
                }
                _ if next == 44 => return Seen::Malformed,
                [_, length, ..] if next == 51 => (usize::from(length) + 2) * 4,
                [_, length, ..] => (usize::from(length) + 1) * 8,
                _ => return Seen::Malformed,
            },
            _ => return Seen::Nothing,
        };
        next = rest[0];
        rest = rest.get(length..).unwrap_or_default();
    }
    Seen::Nothing
}

fn icmpv6(message: &[u8]) -> Seen {
    let [kind, code, _, _, _, _, _, _, quoted @ ..] = message else { return Seen::Malformed };
    // RFC 4443 section 3.1.
    if *kind != 1 || *code > 6 {
        return Seen::Nothing;
    }
    match quoted {
        quoted if quoted.len() < 40 => Seen::Malformed,
        quoted if quoted[6] != TCP => Seen::Nothing,
        quoted if quoted.len() < 48 => Seen::Malformed,
        _ => Seen::Unreachable,
    }
}

fn tcp(source: &[u8], dest: &[u8], segment: &[u8], way: Way, acks: bool) -> Seen {
    if segment.len() < 20 {
        return Seen::Malformed;
    }
    let [syn, rst, ack, fin] = [0x02, 0x04, 0x10, 0x01].map(|flag| segment[13] & flag != 0);
    let wanted = syn || rst || (acks && ack && !fin);
    if !wanted {
        return Seen::Nothing;
    }
    if segment[12] >> 4 < 5 {
        return Seen::Malformed;
    }
    match (syn, rst, ack, fin, way) {
        (true, false, false, false, Way::In) => Seen::Syn(Flow {
            source: source.to_vec(),
            source_port: u16::from_be_bytes([segment[0], segment[1]]),
            dest: dest.to_vec(),
            dest_port: u16::from_be_bytes([segment[2], segment[3]]),
        }),
        (true, false, true, false, _) => Seen::SynAck,
        (false, true, true, false, _) => Seen::RstAck,
        (false, false, true, false, Way::In) => Seen::Ack,
        _ => Seen::Nothing,
    }
}
