//! Measured, never attached: the programs' own path with another flow in each run.
//!
//! `BPF_PROG_TEST_RUN` gives one frame again and again and keeps what the program writes into it; so the frame itself counts
//! the flows, in its source address. What is measured is [`decide`] as it is, and for the answer of a pair [`ipv4`].

use core::mem::MaybeUninit;

use crate::{
    decide::{Side, decide, ipv4, passage},
    frame::{Be16, Be32, Frame},
};

/// The frame that the benchmark gives: Ethernet, IPv4 without options, TCP.
#[repr(C, packed)]
struct Segment {
    _ethernet: [u8; 14],
    _ip: [u8; 12],
    src: Be32,
    dst: Be32,
    source: Be16,
    dest: Be16,
    seq: Be32,
    ack: Be32,
    _data_offset: u8,
    flags: u8,
}

const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;

/// A SYN of the next flow.
#[inline(always)]
pub(crate) fn new_syn(frame: &mut Frame, ifindex: u32) {
    let Some(segment) = frame.at_mut::<Segment>(0) else { return };
    segment.src = segment.src.plus_one();
    decide(frame, Side::Ingress, ifindex);
}

/// A SYN of the next flow, and its answer.
#[inline(always)]
pub(crate) fn pair(frame: &mut Frame, ifindex: u32) {
    new_syn(frame, ifindex);
    turn_round(frame, SYN_ACK);
    // Not the whole of `decide` once more: the verifier would follow each of its ways behind each of the first one's.
    let mut answer = MaybeUninit::uninit();
    if let Some(answer) = ipv4(frame, size_of::<[u8; 14]>(), Side::Ingress, ifindex, &mut answer) {
        passage(answer);
    }
    turn_round(frame, SYN);
}

/// The same segment from the other end.
#[inline(always)]
fn turn_round(frame: &mut Frame, flags: u8) {
    let Some(segment) = frame.at_mut::<Segment>(0) else { return };
    (segment.src, segment.dst) = (segment.dst, segment.src);
    (segment.source, segment.dest) = (segment.dest, segment.source);
    segment.ack = segment.seq.plus_one();
    segment.flags = flags;
}
