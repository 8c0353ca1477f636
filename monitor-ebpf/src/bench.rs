//! The bench programs, which are measured and never attached: the programs' own path with another flow in each run.
//!
//! `BPF_PROG_TEST_RUN` gives a program one frame again and again and keeps what the program writes into it; so the frame
//! itself counts the flows, in its source address. What is measured is [`decide`] as it is, and [`ipv4`] for the answer of
//! a pair.

use core::mem::{MaybeUninit, swap};

use monitor_ebpf::parse::{Direction, Ethernet, Frame, Ipv4, Plain, Tcp, TcpFlags};

use crate::decide::{decide, ipv4, verdict};

/// The frame that the benchmark gives.
#[repr(C, packed)]
struct TcpFrame {
    _ethernet: Ethernet,
    ip: Ipv4,
    tcp: Tcp,
}

// SAFETY: of plain fields.
unsafe impl Plain for TcpFrame {}

/// A SYN of the next flow.
#[inline(always)]
pub(crate) fn new_syn(frame: &mut Frame, ifindex: u32) {
    let Some(TcpFrame { ip, .. }) = frame.at_mut(0) else { return };
    ip.src = ip.src.plus_one();
    decide(frame, Direction::Ingress, ifindex);
}

/// A SYN of the next flow, and its answer.
#[inline(always)]
pub(crate) fn pair(frame: &mut Frame, ifindex: u32) {
    new_syn(frame, ifindex);
    turn_round(frame, TcpFlags::SYN_ACK);
    // Not the whole of `decide` once more: the verifier would follow each of its ways behind each of the first one's.
    let mut answer = MaybeUninit::uninit();
    if let Some(answer) = ipv4(frame, size_of::<Ethernet>(), Direction::Ingress, ifindex, &mut answer) {
        verdict(answer);
    }
    turn_round(frame, TcpFlags::SYN);
}

/// The same segment from the other end.
#[inline(always)]
fn turn_round(frame: &mut Frame, flags: TcpFlags) {
    let Some(TcpFrame { ip, tcp, .. }) = frame.at_mut(0) else { return };
    swap(&mut ip.src, &mut ip.dst);
    swap(&mut tcp.source, &mut tcp.dest);
    tcp.ack = tcp.seq.plus_one();
    tcp.flags = flags;
}
