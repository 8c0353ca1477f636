//! A SYN to a failed service that the page cannot stand in for is refused at once, where the operator wants that (F-29):
//! the frame is made into its own answer and sent back where it came from.
//!
//! RFC 9293 section 3.5.2 for RST, RFC 792 and RFC 4443 section 3.1 for ICMP. In the server's name: the programs know no
//! address of the gateway's, and hosts take both from anybody that quotes their SYN.

use core::mem::swap;

use aya_ebpf::{
    EbpfContext as _,
    bindings::xdp_action,
    helpers::generated::{bpf_ktime_get_ns, bpf_xdp_adjust_head, bpf_xdp_adjust_tail},
    programs::XdpContext,
};
use monitor_common::{Addr, OtherPorts};
use monitor_ebpf::parse::{
    Be16, Be32, EtherType, Ethernet, Frame, Icmp, IcmpType, Ipv4, Ipv6, Plain, Protocol, Tcp, TcpFlags, UnreachableV4,
    UnreachableV6, ethertype,
};

use super::page;
use crate::state::maps::RB_STANDIN;

const ETHERNET: usize = size_of::<Ethernet>();
const IPV4: usize = size_of::<Ipv4>();
const IPV6: usize = size_of::<Ipv6>();
const TCP: usize = size_of::<Tcp>();
const ICMP: usize = size_of::<Icmp>();

/// The shortest frame of Ethernet, without its checksum: shorter ones are not made.
const SHORTEST: usize = 60;

/// Routers that the answer may pass.
const HOPS: u8 = 64;

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
    let frame = Frame::from(ctx);
    let (ethertype, offset) = ethertype(&frame)?;
    let by_icmp = standin.other_ports == OtherPorts::ICMP;
    // A tagged frame would need a longer header in front of the message: it is not answered by ICMP.
    if by_icmp && offset != ETHERNET {
        return None;
    }
    match ethertype {
        EtherType::IPV4 => {
            let ip = frame.at::<Ipv4>(offset)?;
            // With options the quote would lie elsewhere; they are practically not in use.
            if ip.version_ihl != Ipv4::VERSION_WITHOUT_OPTIONS
                || ip.protocol != Protocol::TCP
                || is_the_pages(&frame, offset + IPV4, &ip.ends().1, standin.port_v4)
            {
                return None;
            }
            if by_icmp { unreachable_v4(ctx)? } else { reset_v4(ctx, offset)? }
        }
        EtherType::IPV6 => {
            let ip = frame.at::<Ipv6>(offset)?;
            if ip.next_header != Protocol::TCP || is_the_pages(&frame, offset + IPV6, &ip.ends().1, standin.port_v6) {
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
    listener != 0 && page::is_of(standin, server, tcp.dest.get())
}

#[inline(never)]
fn reset_v4(ctx: &XdpContext, offset: usize) -> Option<()> {
    let mut frame = resized(ctx, 0, offset + IPV4 + TCP)?;
    turn_around(&mut frame)?;
    let ip = frame.at_mut::<Ipv4>(offset)?;
    swap(&mut ip.src, &mut ip.dst);
    begin_v4(ip, Protocol::TCP, TCP);
    let pseudo = pseudo_v4(ip, Protocol::TCP, TCP);
    make_reset(frame.at_mut(offset + IPV4)?, pseudo);
    Some(())
}

#[inline(never)]
fn reset_v6(ctx: &XdpContext, offset: usize) -> Option<()> {
    let mut frame = resized(ctx, 0, offset + IPV6 + TCP)?;
    turn_around(&mut frame)?;
    let ip = frame.at_mut::<Ipv6>(offset)?;
    swap(&mut ip.src, &mut ip.dst);
    begin_v6(ip, Protocol::TCP, TCP);
    let pseudo = pseudo_v6(ip, Protocol::TCP, TCP);
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
    (ip.src, ip.dst) = (asked.dst, asked.src);
    begin_v4(ip, Protocol::ICMP, ICMP + IPV4 + TCP);
    let message = frame.at_mut(ETHERNET + IPV4)?;
    make_message(message, IcmpType::UNREACHABLE_V4, UnreachableV4::HOST, sum(asked) + sum(tcp));
    Some(())
}

#[inline(never)]
fn unreachable_v6(ctx: &XdpContext) -> Option<()> {
    const MORE: usize = IPV6 + ICMP;
    let mut frame = resized(ctx, MORE, ETHERNET + MORE + IPV6 + TCP)?;
    let syn = frame;
    answer_ethernet(&mut frame, syn.at::<Ethernet>(MORE)?)?;
    let quote = ETHERNET + MORE;
    let asked = syn.at::<Ipv6>(quote)?;
    let ip = frame.at_mut::<Ipv6>(ETHERNET)?;
    (ip.src, ip.dst) = (asked.dst, asked.src);
    begin_v6(ip, Protocol::ICMPV6, ICMP + IPV6 + TCP);
    let rest = pseudo_v6(ip, Protocol::ICMPV6, ICMP + IPV6 + TCP) + quoted_v6(&syn, quote);
    let message = frame.at_mut(ETHERNET + IPV6)?;
    make_message(message, IcmpType::UNREACHABLE_V6, UnreachableV6::ADDRESS, rest);
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
    Some(Frame::from(ctx))
}

/// Sends the frame back, tags and all.
#[inline(always)]
fn turn_around(frame: &mut Frame) -> Option<()> {
    let ethernet = frame.at_mut::<Ethernet>(0)?;
    swap(&mut ethernet.destination, &mut ethernet.source);
    Some(())
}

/// The Ethernet header of the answer, from that of the SYN.
#[inline(always)]
fn answer_ethernet(frame: &mut Frame, asked: &Ethernet) -> Option<()> {
    let ethernet = frame.at_mut::<Ethernet>(0)?;
    *ethernet = Ethernet { destination: asked.source, source: asked.destination, ethertype: asked.ethertype };
    Some(())
}

/// All of the header but the addresses, which are there.
#[inline(always)]
fn begin_v4(ip: &mut Ipv4, protocol: Protocol, payload: usize) {
    ip.version_ihl = Ipv4::VERSION_WITHOUT_OPTIONS;
    ip.tos = 0;
    ip.total_len = Be16::new((IPV4 + payload) as u16);
    // No identification is needed for what is not fragmented (RFC 6864).
    ip.id = Be16::new(0);
    ip.fragment = Be16::new(Ipv4::DO_NOT_FRAGMENT);
    ip.ttl = HOPS;
    ip.protocol = protocol;
    ip.checksum = Be16::new(0);
    ip.checksum = checksum(sum(ip));
}

/// All of the header but the addresses.
#[inline(always)]
fn begin_v6(ip: &mut Ipv6, protocol: Protocol, payload: usize) {
    ip.version_class = Ipv6::VERSION_WITHOUT_CLASS;
    ip.class_flow = [0; 3];
    ip.payload_len = Be16::new(payload as u16);
    ip.next_header = protocol;
    ip.hop_limit = HOPS;
}

/// Sum of the pseudo header, which a checksum behind this header covers.
#[inline(always)]
fn pseudo_v4(ip: &Ipv4, protocol: Protocol, payload: usize) -> u32 {
    sum(&ip.src) + sum(&ip.dst) + u32::from(protocol.0) + payload as u32
}

#[inline(always)]
fn pseudo_v6(ip: &Ipv6, protocol: Protocol, payload: usize) -> u32 {
    sum(&ip.src) + sum(&ip.dst) + u32::from(protocol.0) + payload as u32
}

/// Makes the SYN an RST that acknowledges it.
#[inline(always)]
fn make_reset(tcp: &mut Tcp, pseudo: u32) {
    swap(&mut tcp.source, &mut tcp.dest);
    tcp.ack = tcp.seq.plus_one();
    tcp.seq = Be32::new(0);
    tcp.data_offset = Tcp::WITHOUT_OPTIONS;
    tcp.flags = TcpFlags::RST_ACK;
    tcp.window = Be16::new(0);
    tcp.checksum = Be16::new(0);
    tcp.urgent = Be16::new(0);
    tcp.checksum = checksum(pseudo + sum(tcp));
}

/// Makes a message; `rest` is the sum of all else that its checksum covers.
#[inline(always)]
fn make_message(icmp: &mut Icmp, kind: IcmpType, code: u8, rest: u32) {
    *icmp = Icmp { kind, code, checksum: Be16::new(0), rest: Be32::new(0) };
    icmp.checksum = checksum(rest + sum(icmp));
}

/// Sum of a header's 16-bit words in network byte order (RFC 1071). Headers have few enough that it does not overflow.
#[inline(always)]
fn sum<T: Plain>(header: &T) -> u32 {
    const { assert!(align_of::<T>() == 1 && size_of::<T>().is_multiple_of(2)) };
    let words = core::ptr::from_ref(header).cast::<Be16>();
    let mut sum = 0;
    for index in 0..size_of::<T>() / size_of::<Be16>() {
        // SAFETY: inside the header; any two bytes are a word.
        sum += u32::from(unsafe { *words.add(index) }.get());
    }
    sum
}

#[inline(always)]
fn checksum(sum: u32) -> Be16 {
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    Be16::new(!(folded as u16))
}
