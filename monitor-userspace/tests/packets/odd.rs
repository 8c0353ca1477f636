//! Small captures of what is odd but does occur, or is sent by somebody who hopes for a mistake: what the fuzzer starts
//! from. Built in code, so that each says what is odd about it.

use crate::frame::{ACK, FIN, RST, SYN, Tcp, advertisement, arp};

const ECE: u8 = 0x40;
const CWR: u8 = 0x80;

/// Where headers begin in an untagged frame without options.
const IP: usize = 14;
const TCP_V4: usize = IP + 20;
const TCP_V6: usize = IP + 40;

/// Frames in the order in which they pass, under a name for the day the test fails.
pub(crate) struct Capture {
    pub(crate) name: &'static str,
    pub(crate) frames: Vec<Vec<u8>>,
}

pub(crate) fn v4() -> Tcp {
    Tcp::syn("10.0.1.5", 4000, "10.0.2.7", 80, 9)
}

pub(crate) fn v6() -> Tcp {
    Tcp::syn("fd00:1::5", 4000, "fd00::7", 80, 9)
}

pub(crate) fn captures() -> Vec<Capture> {
    let mut captures = Vec::new();
    for (syn, tcp) in [(v4(), TCP_V4), (v6(), TCP_V6)] {
        captures.extend(handshakes(&syn));
        captures.extend(segments(&syn, tcp));
        captures.extend(tags(&syn));
        captures.extend(unreachables(&syn));
    }
    captures.extend(ipv4_headers());
    captures.extend(ipv6_chains());
    captures.push(neighbours());
    captures
}

/// Handshakes of which a part is missing, comes too early, or is another than expected.
fn handshakes(syn: &Tcp) -> Vec<Capture> {
    let first = syn.bytes();
    let answer = syn.answer(SYN | ACK).bytes();
    let third = Tcp { flags: ACK, seq: syn.seq + 1, ack: 78, ..syn.clone() }.bytes();
    let reset = |flags| syn.answer(flags).bytes();
    // RFC 9293 section 3.5, figure 7: both ends send SYN, and both acknowledge the other's.
    let crossing = Tcp { flags: SYN, ack: 0, ..syn.answer(SYN) };
    vec![
        capture("answer without SYN", [answer.clone(), third.clone()]),
        capture("lone RST", [reset(RST), reset(RST | ACK)]),
        capture("only the client's side", [first.clone(), first.clone(), third.clone()]),
        capture("only the server's side", [answer.clone(), answer.clone(), reset(RST | ACK)]),
        capture("answer before SYN", [answer.clone(), first.clone(), third.clone()]),
        capture("whole", [first.clone(), answer, third]),
        capture("refused", [first.clone(), reset(RST | ACK)]),
        capture("refused twice", [first.clone(), reset(RST | ACK), first.clone(), reset(RST | ACK)]),
        capture(
            "simultaneous open",
            [first, crossing.bytes(), syn.answer(SYN | ACK).bytes(), crossing.answer(SYN | ACK).bytes()],
        ),
    ]
}

/// What a TCP header may hold besides the ordinary.
fn segments(syn: &Tcp, tcp: usize) -> Vec<Capture> {
    // Fast Open: the cookie option (RFC 7413 section 4.1.1) in a header of 32 bytes, and data behind it.
    let mut fast_open = Tcp { payload: 112, ..syn.clone() }.bytes();
    fast_open[tcp + 12] = 0x80;
    fast_open[tcp + 20..tcp + 32].copy_from_slice(&[34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1]);
    let offset = |nibbles: u8| with(syn.bytes(), tcp + 12, nibbles);
    let flags = |flags| Tcp { flags, ..syn.clone() }.bytes();
    vec![
        capture("data in the SYN", [Tcp { payload: 100, ..syn.clone() }.bytes()]),
        capture("Fast Open", [fast_open, syn.answer(SYN | ACK).bytes()]),
        // RFC 3168 section 6.1.1.
        capture("ECN set-up", [flags(SYN | ECE | CWR), syn.answer(SYN | ACK | ECE).bytes()]),
        capture("data offset", [offset(0), offset(0x40), offset(0xf0), offset(0x5f)]),
        capture("flags", [flags(0), flags(SYN | FIN), flags(SYN | RST), flags(FIN | ACK), flags(0xff)]),
        capture("no TCP header", [syn.bytes()[..tcp].to_vec(), syn.bytes()[..tcp + 13].to_vec()]),
        capture("port 0", [Tcp { sport: 0, dport: 0, ..syn.clone() }.bytes()]),
        capture("land", [Tcp { dst: syn.src, dport: syn.sport, ..syn.clone() }.bytes()]),
    ]
}

/// VLAN tags: as many as are looked behind, more, and ones that end in the middle.
fn tags(syn: &Tcp) -> Vec<Capture> {
    let tagged = |tags: &[u16]| Tcp { tags: tags.to_vec(), ..syn.clone() }.bytes();
    let deep = [0x8100; 8];
    vec![
        capture("tags", [tagged(&[0x8100]), tagged(&[0x88a8, 0x8100]), tagged(&[0x8100, 0x8100]), tagged(&deep[..3])]),
        capture("too many tags", [tagged(&deep[..4]), tagged(&deep)]),
        capture("unknown tag", [tagged(&[0x9100]), tagged(&[0x0026])]),
        capture("cut tag", [tagged(&deep[..1])[..15].to_vec(), tagged(&deep[..2])[..20].to_vec()]),
    ]
}

/// ICMP about this SYN: whole, cut, about ICMP, about a fragment.
fn unreachables(syn: &Tcp) -> Vec<Capture> {
    let code = if syn.src.is_ipv4() { 1 } else { 3 };
    let header = if syn.src.is_ipv4() { 20 } else { 40 };
    let quote = |length| syn.unreachable(code, length);
    let fragment = Tcp { fragment: 0x0001, ..syn.clone() }.unreachable(code, header + 8);
    let inner = quote(header + 8);
    // The message quotes itself from its IP header on.
    let mut nested = inner[..IP + header + 8].to_vec();
    nested.extend(&inner[IP..]);
    vec![
        capture("unreachable", [syn.bytes(), quote(header + 8)]),
        capture("quote of nothing", [quote(header + 8)]),
        capture("cut quote", [quote(0), quote(header - 1), quote(header), quote(header + 7)]),
        capture("quote of a fragment", [fragment]),
        capture("quote of a quote", [nested]),
    ]
}

fn ipv4_headers() -> Vec<Capture> {
    let syn = v4();
    let at = |place: usize, byte| with(syn.bytes(), IP + place, byte);
    let fragment = |fragment| Tcp { fragment, ..syn.clone() }.bytes();
    vec![
        capture("version and IHL", [at(0, 0x40), at(0, 0x44), at(0, 0x4f), at(0, 0x65), at(0, 0x05), at(0, 0xff)]),
        capture("total length", [with(at(2, 0), IP + 3, 0), at(3, 19), at(2, 0xff)]),
        capture("ECN field", [at(1, 1), at(1, 2), at(1, 3)]),
        capture(
            "fragments",
            [fragment(0x2000), fragment(0x2001), fragment(0x1fff), fragment(0x4000), fragment(0xffff)],
        ),
        capture("tiny first fragment", [fragment(0x2000)[..TCP_V4 + 8].to_vec()]),
        capture("options", [Tcp { options: [7, 39, 4, 0].repeat(10), ..syn.clone() }.bytes()]),
        capture("no IP header", [syn.bytes()[..IP].to_vec(), syn.bytes()[..IP + 19].to_vec()]),
        capture("IPv6 by EtherType, IPv4 by version", [with(with(syn.bytes(), 12, 0x86), 13, 0xdd)]),
    ]
}

/// Chains of extension headers (RFC 8200 section 4): ordinary, endless, ending outside of the frame.
fn ipv6_chains() -> Vec<Capture> {
    let chain = |first, options: &[u8]| Tcp { first_extension: Some(first), options: options.to_vec(), ..v6() }.bytes();
    let padding = [1, 4, 0, 0, 0, 0];
    let hop = |next, length| [&[next, length], padding.as_slice()].concat();
    let all = [hop(60, 0), hop(43, 0), hop(44, 0), [51, 0, 0, 0, 0, 0, 0, 9].to_vec(), [6, 4].to_vec(), vec![0; 22]];
    vec![
        capture("each kind once", [chain(0, &all.concat())]),
        capture("as long as is walked", [chain(0, &[hop(0, 0).repeat(5), hop(6, 0)].concat())]),
        capture("longer", [chain(0, &[hop(0, 0).repeat(6), hop(6, 0)].concat()), chain(0, &hop(0, 0).repeat(9))]),
        capture(
            "length beyond the frame",
            [chain(60, &hop(6, 255)), chain(51, &hop(6, 255)), chain(43, &hop(43, 255))],
        ),
        capture("no next header, encryption", [chain(0, &hop(59, 0)), chain(50, &hop(6, 0))]),
        capture("fragments", [chain(44, &[6, 0, 0, 1, 0, 0, 0, 9]), chain(44, &[6, 0, 0, 9, 0, 0, 0, 9])]),
        capture("ICMPv6 behind a header", [chain(0, &hop(58, 0)), with(v6().bytes(), IP + 6, 58)]),
        capture("payload length 0", [with(with(v6().bytes(), IP + 4, 0), IP + 5, 0)]),
        capture("no IP header", [v6().bytes()[..IP + 39].to_vec(), with(v6().bytes(), IP, 0x45)]),
    ]
}

fn neighbours() -> Capture {
    let reply = arp(2, [10, 0, 2, 7], [10, 0, 2, 1]);
    let whole = advertisement("fd00::7", 255);
    capture(
        "neighbours",
        [
            reply[..IP + 17].to_vec(),
            with(reply.clone(), 15, 6),
            with(reply.clone(), 18, 8),
            reply,
            advertisement("fd00::7", 64),
            whole[..whole.len() - 1].to_vec(),
            whole,
        ],
    )
}

fn capture(name: &'static str, frames: impl Into<Vec<Vec<u8>>>) -> Capture {
    Capture { name, frames: frames.into() }
}

/// The frame with another byte at this place.
fn with(mut frame: Vec<u8>, place: usize, byte: u8) -> Vec<u8> {
    frame[place] = byte;
    frame
}
