//! A TCP segment, taken out of its frame once for everything that looks at it.

use monitor_common::{Addr, Arrival, Attempt, Flow};

use crate::{decide::Side, frame::Tcp};

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const ACK: u8 = 0x10;

/// A segment, from its sender to its receiver. The global functions that take one are checked by the verifier for any
/// content, and for a null pointer.
#[repr(C)]
pub struct Segment {
    pub(crate) src: Addr,
    pub(crate) dst: Addr,
    pub(crate) source: u16,
    pub(crate) dest: u16,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) ifindex: u32,
    /// Hash of the flow of the attempt that it speaks of, once a guard has needed it; 0 until then.
    pub(crate) hash: u64,
    /// Bytes from the TCP header to the end of the packet; 0 when the IP header contradicts itself.
    pub(crate) bytes: u16,
    /// The guard of its port, an index + 1; 0: none.
    pub(crate) guard: u8,
    /// Four bits of length of the TCP header in words, four others.
    pub(crate) data_offset: u8,
    pub(crate) flags: u8,
    /// 1: it arrived, 0: it leaves.
    pub(crate) arrived: u8,
    pub(crate) _pad: [u8; 2],
}

impl Segment {
    #[inline(always)]
    pub(crate) fn new((src, dst): (Addr, Addr), tcp: &Tcp, bytes: usize, guard: u8, side: Side, ifindex: u32) -> Self {
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
            arrived: u8::from(side == Side::Ingress),
            _pad: [0; 2],
        }
    }

    /// Its connection, where the server is this host: who sent what arrived is the client.
    #[inline(always)]
    pub(crate) const fn flow(&self) -> Flow {
        if self.arrived != 0 {
            Flow { client: self.src, server: self.dst, client_port: self.source, server_port: self.dest, _pad: 0 }
        } else {
            Flow { client: self.dst, server: self.src, client_port: self.dest, server_port: self.source, _pad: 0 }
        }
    }

    /// The attempt that it speaks of: of its sender, with this SYN, or of its receiver, with a SYN that it acknowledges.
    #[inline(always)]
    pub(crate) const fn attempt(&self, from_server: bool) -> Attempt {
        if from_server {
            Attempt {
                client: self.dst,
                server: self.src,
                client_port: self.dest,
                server_port: self.source,
                seq: self.ack.wrapping_sub(1),
                seen_ns: 0,
                hash: self.hash,
                answers: 0,
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
                answers: 0,
                arrival: Arrival::of_syn(self.ifindex),
            }
        }
    }
}
