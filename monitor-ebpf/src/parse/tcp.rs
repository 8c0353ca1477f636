//! The TCP header (RFC 9293 section 3.1).

use core::ops::{BitAnd, BitOr};

use super::field::{Be16, Be32, Plain};

/// The control bits of a TCP header.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TcpFlags(u8);

impl TcpFlags {
    /// The sender has no more data.
    pub const FIN: Self = Self(0x01);
    /// The sender asks for a connection, or accepts it.
    pub const SYN: Self = Self(0x02);
    /// The connection is refused or broken off.
    pub const RST: Self = Self(0x04);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x10);
    /// Of the server that accepts a connection.
    pub const SYN_ACK: Self = Self(Self::SYN.0 | Self::ACK.0);
    /// Of the host that refuses a connection.
    pub const RST_ACK: Self = Self(Self::RST.0 | Self::ACK.0);

    /// Whether one of these is set.
    #[inline(always)]
    #[must_use]
    pub const fn any(self, of: Self) -> bool {
        self.0 & of.0 != 0
    }

    /// Those that say what the segment is for, without PSH, URG and the bits of congestion control.
    #[inline(always)]
    #[must_use]
    pub fn purpose(self) -> Self {
        self & (Self::FIN | Self::SYN | Self::RST | Self::ACK)
    }
}

impl BitAnd for TcpFlags {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for TcpFlags {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

// SAFETY: an integer.
unsafe impl Plain for TcpFlags {}

/// A TCP header, up to its options.
#[repr(C, packed)]
pub struct Tcp {
    /// The sender's port.
    pub source: Be16,
    /// The receiver's port.
    pub dest: Be16,
    /// Sequence number.
    pub seq: Be32,
    /// Acknowledgement number.
    pub ack: Be32,
    /// Four bits of length of the header in words, four others.
    pub data_offset: u8,
    /// The control bits.
    pub flags: TcpFlags,
    /// How much the sender takes.
    pub window: Be16,
    /// Of pseudo header, header and data.
    pub checksum: Be16,
    /// Where urgent data ends.
    pub urgent: Be16,
}

// SAFETY: of plain fields.
unsafe impl Plain for Tcp {}

impl Tcp {
    /// [`Tcp::data_offset`] of a header without options.
    pub const WITHOUT_OPTIONS: u8 = 0x50;
}

/// The part of a TCP header that an ICMP message must quote (RFC 792).
#[repr(C, packed)]
pub struct QuotedTcp {
    /// The sender's port.
    pub source: Be16,
    /// The receiver's port.
    pub dest: Be16,
    /// Sequence number.
    pub seq: Be32,
}

// SAFETY: of plain fields.
unsafe impl Plain for QuotedTcp {}
