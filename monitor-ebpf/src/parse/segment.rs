//! A TCP segment, taken out of its frame once for everything that looks at it.

use monitor_common::{Addr, Arrival, Attempt, Flow};

use super::{
    direction::Direction,
    tcp::{Tcp, TcpFlags},
};

/// A segment, from its sender to its receiver. The verifier checks the global functions that take one for any content, and
/// for a null pointer.
#[repr(C)]
pub struct Segment {
    /// From whom.
    pub src: Addr,
    /// To whom.
    pub dst: Addr,
    /// The sender's port.
    pub source: u16,
    /// The receiver's port.
    pub dest: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Where it came in or goes out.
    pub ifindex: u32,
    /// Hash of the flow of the attempt that it speaks of, once a guard has needed it; 0 until then.
    pub hash: u64,
    /// Bytes from the TCP header to the end of the packet; 0 when the IP header contradicts itself.
    pub bytes: u16,
    /// The guard of its port, an index + 1; 0: none.
    pub guard: u8,
    /// Four bits of length of the TCP header in words, four others.
    data_offset: u8,
    /// The control bits.
    pub flags: TcpFlags,
    /// 0: it leaves, 1: it arrived, 2: it leaves, and this host may be the client. One byte: two would be stored at once, at a
    /// place that is not aligned for that.
    way: u8,
    _pad: [u8; 2],
}

/// [`Segment::way`] of what arrived.
const ARRIVED: u8 = 1;

impl Segment {
    /// The segment with this header. `bytes`: from the header to the end of the packet.
    #[inline(always)]
    #[must_use]
    pub fn new(
        (src, dst): (Addr, Addr),
        tcp: &Tcp,
        bytes: usize,
        guard: u8,
        direction: Direction,
        ifindex: u32,
    ) -> Self {
        Self {
            src,
            dst,
            source: tcp.source.get(),
            dest: tcp.dest.get(),
            seq: tcp.seq.get(),
            ack: tcp.ack.get(),
            ifindex,
            hash: 0,
            bytes: u16::try_from(bytes).unwrap_or(0),
            guard,
            data_offset: tcp.data_offset,
            flags: tcp.flags,
            way: match direction {
                Direction::Egress => 0,
                Direction::Ingress => ARRIVED,
                Direction::Own => 2,
            },
            _pad: [0; 2],
        }
    }

    /// Whether it arrived; otherwise it leaves.
    #[inline(always)]
    #[must_use]
    pub const fn has_arrived(&self) -> bool {
        self.way == ARRIVED
    }

    /// Whether it may be a client's: it arrived, or this host is the client. What else leaves was seen when it arrived.
    #[inline(always)]
    #[must_use]
    pub const fn may_be_clients(&self) -> bool {
        self.way != 0
    }

    /// Length of its TCP header, as the header says.
    #[inline(always)]
    #[must_use]
    pub const fn header_length(&self) -> u16 {
        (self.data_offset >> 4) as u16 * 4
    }

    /// Bytes behind its TCP header; 0 where lengths contradict each other.
    #[inline(always)]
    #[must_use]
    pub const fn data_length(&self) -> u16 {
        self.bytes.saturating_sub(self.header_length())
    }

    /// Its connection, where the server is this host: the sender of what arrived is the client.
    #[inline(always)]
    #[must_use]
    pub const fn flow(&self) -> Flow {
        if self.has_arrived() {
            Flow { client: self.src, server: self.dst, client_port: self.source, server_port: self.dest, _pad: 0 }
        } else {
            Flow { client: self.dst, server: self.src, client_port: self.dest, server_port: self.source, _pad: 0 }
        }
    }

    /// The attempt that it speaks of: of its sender, with this SYN, or of its receiver, with a SYN that it acknowledges.
    #[inline(always)]
    #[must_use]
    pub const fn attempt(&self, from_server: bool) -> Attempt {
        if from_server {
            Attempt {
                client: self.dst,
                server: self.src,
                client_port: self.dest,
                server_port: self.source,
                seq: self.ack.wrapping_sub(1),
                seen_ns: 0,
                hash: self.hash,
                detail: 0,
                arrival: Arrival::of_syn(self.ifindex),
            }
        } else {
            Attempt {
                client: self.src,
                server: self.dst,
                client_port: self.source,
                server_port: self.dest,
                seq: self.seq,
                seen_ns: 0,
                hash: self.hash,
                detail: self.data_length() as u32,
                arrival: Arrival::of_syn(self.ifindex),
            }
        }
    }
}
