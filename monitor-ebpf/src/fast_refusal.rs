//! A SYN to a failed service that the page cannot stand in for is refused at once, where the operator wants that (F-29):
//! the frame is made into its own answer and sent back where it came from.
//!
//! RFC 9293 section 3.5.2 for RST, RFC 792 and RFC 4443 section 3.1 for ICMP. In the server's name: no address of the
//! gateway's is known here, and hosts take both from anybody who quotes their SYN.

use aya_ebpf::{
    EbpfContext as _,
    bindings::xdp_action,
    helpers::generated::{bpf_ktime_get_ns, bpf_xdp_adjust_head, bpf_xdp_adjust_tail},
    programs::XdpContext,
};
use monitor_common::{Addr, OtherPorts};

use crate::{
    frame::{Addr6, ETH_P_IP, ETH_P_IPV6, Frame, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, ethertype},
    maps::RB_STANDIN,
    standin::has_page,
};

/// Headers as 16-bit words in network byte order: what checksums are made of (RFC 1071).
type Ethernet = [[u8; 2]; 7];
type Ipv4 = [[u8; 2]; 10];
type Ipv6 = [[u8; 2]; 20];
type Tcp = [[u8; 2]; 10];
type Icmp = [[u8; 2]; 4];

const ETHERNET: usize = size_of::<Ethernet>();
const IPV4: usize = size_of::<Ipv4>();
const IPV6: usize = size_of::<Ipv6>();
/// Where the addresses begin in an IPv6 header.
const IPV6_ADDRESSES: usize = 8;
const TCP: usize = size_of::<Tcp>();
const ICMP: usize = size_of::<Icmp>();

/// The shortest frame of Ethernet, without its checksum: shorter ones are not made.
const SHORTEST: usize = 60;

/// First byte of an IPv4 header without options.
const PLAIN_IPV4: u8 = 0x45;

/// A TCP header without options, RST and ACK.
const RESET: [u8; 2] = [0x50, 0x14];
const HOPS: u8 = 64;

/// Type and code of "host unreachable" and of "address unreachable".
const HOST_UNREACHABLE: [u8; 2] = [3, 1];
const ADDRESS_UNREACHABLE: [u8; 2] = [1, 3];

/// The verdict for a SYN to a failed service. A function of its own, as are the four answers, so that their stacks are: few
/// frames come here, and all calls together have 512 bytes.
#[inline(never)]
pub(crate) fn answer(ctx: &XdpContext) -> u32 {
    refuse(ctx).unwrap_or(xdp_action::XDP_PASS)
}

/// `None`: as with any other SYN.
#[inline(always)]
fn refuse(ctx: &XdpContext) -> Option<u32> {
    let standin = RB_STANDIN.get(0)?;
    // SAFETY: no arguments.
    if standin.other_ports == OtherPorts::SILENT || unsafe { bpf_ktime_get_ns() } > standin.alive_until_ns {
        return None;
    }
    let frame = Frame::new(ctx.data(), ctx.data_end());
    let (ethertype, offset) = ethertype(&frame)?;
    let by_icmp = standin.other_ports == OtherPorts::ICMP;
    // A tagged frame would need a longer header in front of the message: it is not answered by ICMP.
    if by_icmp && offset != ETHERNET {
        return None;
    }
    match ethertype {
        ETH_P_IP => {
            let ip = frame.at::<Ipv4>(offset)?;
            // With options the quote would lie elsewhere; nobody sends them.
            if ip[0][0] != PLAIN_IPV4
                || ip[4][1] != IPPROTO_TCP
                || is_the_pages(&frame, offset + IPV4, &address_v4(ip), standin.port_v4)
            {
                return None;
            }
            if by_icmp { unreachable_v4(ctx)? } else { reset_v4(ctx, offset)? }
        }
        ETH_P_IPV6 => {
            let ip = frame.at::<Ipv6>(offset)?;
            let [_, server] = *frame.at::<[Addr6; 2]>(offset + IPV6_ADDRESSES)?;
            if ip[3][0] != IPPROTO_TCP || is_the_pages(&frame, offset + IPV6, &server.into(), standin.port_v6) {
                return None;
            }
            if by_icmp { unreachable_v6(ctx)? } else { reset_v6(ctx, offset)? }
        }
        _ => return None,
    }
    Some(xdp_action::XDP_TX)
}

/// Whether the page answers this SYN, whose TCP header is at `at`. What cannot be read is not refused.
#[inline(never)]
fn is_the_pages(frame: &Frame, at: usize, server: &Addr, listener: u16) -> bool {
    let (Some(tcp), Some(standin)) = (frame.at::<Tcp>(at), RB_STANDIN.get(0)) else { return true };
    listener != 0 && has_page(standin, server, u16::from_be_bytes(tcp[1]))
}

/// The destination.
#[inline(always)]
fn address_v4(ip: &Ipv4) -> Addr {
    Addr::from_v4(u32::from_ne_bytes([ip[8][0], ip[8][1], ip[9][0], ip[9][1]]))
}

#[inline(never)]
fn reset_v4(ctx: &XdpContext, offset: usize) -> Option<()> {
    let mut frame = resized(ctx, 0, offset + IPV4 + TCP)?;
    turn_around(&mut frame)?;
    let ip = frame.at_mut::<Ipv4>(offset)?;
    ip.swap(6, 8);
    ip.swap(7, 9);
    begin_v4(ip, IPPROTO_TCP, TCP);
    let pseudo = sum(&ip[6..]) + u32::from(IPPROTO_TCP) + TCP as u32;
    make_reset(frame.at_mut(offset + IPV4)?, pseudo);
    Some(())
}

#[inline(never)]
fn reset_v6(ctx: &XdpContext, offset: usize) -> Option<()> {
    let mut frame = resized(ctx, 0, offset + IPV6 + TCP)?;
    turn_around(&mut frame)?;
    frame.at_mut::<[Addr6; 2]>(offset + IPV6_ADDRESSES)?.swap(0, 1);
    let ip = frame.at_mut::<Ipv6>(offset)?;
    begin_v6(ip, IPPROTO_TCP, TCP);
    let pseudo = sum(&ip[4..]) + u32::from(IPPROTO_TCP) + TCP as u32;
    make_reset(frame.at_mut(offset + IPV6)?, pseudo);
    Some(())
}

/// The SYN, with all but its TCP options, stands behind the message: it is the quote.
#[inline(never)]
fn unreachable_v4(ctx: &XdpContext) -> Option<()> {
    const MORE: usize = IPV4 + ICMP;
    let mut frame = resized(ctx, MORE, ETHERNET + MORE + IPV4 + TCP)?;
    // Two views of one frame: what is written lies before what is still to be read.
    let syn = frame;
    answer_ethernet(&mut frame, syn.at::<Ethernet>(MORE)?)?;
    let quote = ETHERNET + MORE;
    let (asked, tcp) = (syn.at::<Ipv4>(quote)?, syn.at::<Tcp>(quote + IPV4)?);
    let ip = frame.at_mut::<Ipv4>(ETHERNET)?;
    (ip[6], ip[7], ip[8], ip[9]) = (asked[8], asked[9], asked[6], asked[7]);
    begin_v4(ip, IPPROTO_ICMP, ICMP + IPV4 + TCP);
    make_message(frame.at_mut(ETHERNET + IPV4)?, HOST_UNREACHABLE, sum(asked) + sum(tcp));
    Some(())
}

#[inline(never)]
fn unreachable_v6(ctx: &XdpContext) -> Option<()> {
    const MORE: usize = IPV6 + ICMP;
    let mut frame = resized(ctx, MORE, ETHERNET + MORE + IPV6 + TCP)?;
    let syn = frame;
    answer_ethernet(&mut frame, syn.at::<Ethernet>(MORE)?)?;
    let quote = ETHERNET + MORE;
    let [src, dst] = *syn.at::<[Addr6; 2]>(quote + IPV6_ADDRESSES)?;
    *frame.at_mut::<[Addr6; 2]>(ETHERNET + IPV6_ADDRESSES)? = [dst, src];
    let ip = frame.at_mut::<Ipv6>(ETHERNET)?;
    begin_v6(ip, IPPROTO_ICMPV6, ICMP + IPV6 + TCP);
    let pseudo = sum(&ip[4..]) + u32::from(IPPROTO_ICMPV6) + (ICMP + IPV6 + TCP) as u32;
    let quoted = quoted_v6(&syn, quote);
    make_message(frame.at_mut(ETHERNET + IPV6)?, ADDRESS_UNREACHABLE, pseudo + quoted);
    Some(())
}

/// Sum of the SYN's headers at `at`.
#[inline(never)]
fn quoted_v6(frame: &Frame, at: usize) -> u32 {
    let (Some(ip), Some(tcp)) = (frame.at::<Ipv6>(at), frame.at::<Tcp>(at + IPV6)) else { return 0 };
    sum(ip) + sum(tcp)
}

/// The frame with room for `more` bytes in front, ended after `length` bytes. When this fails the frame is as it was.
#[inline(always)]
fn resized(ctx: &XdpContext, more: usize, length: usize) -> Option<Frame> {
    let length = if length < SHORTEST { SHORTEST } else { length } as i32;
    let surplus = (ctx.data_end() - ctx.data()) as i32 + more as i32 - length;
    // SAFETY: the context is valid; nothing that was read from the frame before is used after.
    unsafe {
        if more != 0 && bpf_xdp_adjust_head(ctx.as_ptr().cast(), -(more as i32)) != 0 {
            return None;
        }
        if surplus > 0 && bpf_xdp_adjust_tail(ctx.as_ptr().cast(), -surplus) != 0 {
            if more != 0 {
                bpf_xdp_adjust_head(ctx.as_ptr().cast(), more as i32);
            }
            return None;
        }
    }
    Some(Frame::new(ctx.data(), ctx.data_end()))
}

/// Sends the frame back, tags and all.
#[inline(always)]
fn turn_around(frame: &mut Frame) -> Option<()> {
    let ethernet = frame.at_mut::<Ethernet>(0)?;
    for word in 0..3 {
        ethernet.swap(word, word + 3);
    }
    Some(())
}

/// The Ethernet header of the answer, from that of the SYN.
#[inline(always)]
fn answer_ethernet(frame: &mut Frame, asked: &Ethernet) -> Option<()> {
    let ethernet = frame.at_mut::<Ethernet>(0)?;
    for word in 0..3 {
        ethernet[word] = asked[word + 3];
        ethernet[word + 3] = asked[word];
    }
    ethernet[6] = asked[6];
    Some(())
}

/// All of the header but the addresses, which are there.
#[inline(always)]
fn begin_v4(ip: &mut Ipv4, protocol: u8, payload: usize) {
    ip[0] = [PLAIN_IPV4, 0];
    ip[1] = ((IPV4 + payload) as u16).to_be_bytes();
    // Do not fragment; no identification is needed then (RFC 6864).
    ip[2] = [0, 0];
    ip[3] = [0x40, 0];
    ip[4] = [HOPS, protocol];
    ip[5] = [0, 0];
    ip[5] = checksum(sum(ip));
}

/// All of the header but the addresses.
#[inline(always)]
fn begin_v6(ip: &mut Ipv6, protocol: u8, payload: usize) {
    ip[0] = [0x60, 0];
    ip[1] = [0, 0];
    ip[2] = (payload as u16).to_be_bytes();
    ip[3] = [protocol, HOPS];
}

/// Makes the SYN an RST that acknowledges it.
#[inline(always)]
fn make_reset(tcp: &mut Tcp, pseudo: u32) {
    let seq = u32::from(u16::from_be_bytes(tcp[2])) << 16 | u32::from(u16::from_be_bytes(tcp[3]));
    let ack = seq.wrapping_add(1);
    tcp.swap(0, 1);
    (tcp[2], tcp[3]) = ([0, 0], [0, 0]);
    (tcp[4], tcp[5]) = (((ack >> 16) as u16).to_be_bytes(), (ack as u16).to_be_bytes());
    tcp[6] = RESET;
    (tcp[7], tcp[8], tcp[9]) = ([0, 0], [0, 0], [0, 0]);
    tcp[8] = checksum(pseudo + sum(tcp));
}

/// Makes a message; `rest` is the sum of all else that its checksum covers.
#[inline(always)]
fn make_message(icmp: &mut Icmp, kind: [u8; 2], rest: u32) {
    *icmp = [kind, [0, 0], [0, 0], [0, 0]];
    icmp[1] = checksum(rest + sum(icmp));
}

/// Few enough words that the sum does not overflow.
#[inline(always)]
fn sum(words: &[[u8; 2]]) -> u32 {
    let mut sum = 0;
    for word in words {
        sum += u32::from(u16::from_be_bytes(*word));
    }
    sum
}

#[inline(always)]
fn checksum(sum: u32) -> [u8; 2] {
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    (!(folded as u16)).to_be_bytes()
}
