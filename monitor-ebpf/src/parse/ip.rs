//! The headers of IPv4 (RFC 791) and IPv6 (RFC 8200), and where their payload begins.

use monitor_common::Addr;

use super::{
    field::{Addr6, Be16, Be32, Plain},
    frame::Frame,
};

/// Extension headers that are walked; a longer chain is passed unread (RFC 8200 knows five kinds).
const MAX_EXTENSIONS: usize = 6;

/// What an IP packet carries: IPv4's protocol, IPv6's next header.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Protocol(pub u8);

impl Protocol {
    /// ICMP.
    pub const ICMP: Self = Self(1);
    /// TCP.
    pub const TCP: Self = Self(6);
    /// ICMPv6.
    pub const ICMPV6: Self = Self(58);

    const HOP_BY_HOP: Self = Self(0);
    const ROUTING: Self = Self(43);
    const FRAGMENT: Self = Self(44);
    const AUTHENTICATION: Self = Self(51);
    const DESTINATION_OPTIONS: Self = Self(60);

    /// Whether it is an extension header of IPv6 that is walked, or a fragment.
    #[inline(always)]
    #[must_use]
    pub const fn is_extension(self) -> bool {
        matches!(
            self,
            Self::HOP_BY_HOP | Self::ROUTING | Self::FRAGMENT | Self::AUTHENTICATION | Self::DESTINATION_OPTIONS
        )
    }
}

// SAFETY: an integer.
unsafe impl Plain for Protocol {}

/// An IPv4 header, up to its options.
#[repr(C, packed)]
pub struct Ipv4 {
    /// Four bits of version, four of length in words.
    pub version_ihl: u8,
    /// Type of service.
    pub tos: u8,
    /// Length of header and payload.
    pub total_len: Be16,
    /// Identification, for fragments.
    pub id: Be16,
    /// Three flags, and 13 bits of fragment offset.
    pub fragment: Be16,
    /// Time to live.
    pub ttl: u8,
    /// What it carries.
    pub protocol: Protocol,
    /// Of the header.
    pub checksum: Be16,
    /// From whom.
    pub src: Be32,
    /// To whom.
    pub dst: Be32,
}

// SAFETY: of plain fields.
unsafe impl Plain for Ipv4 {}

/// An IPv6 header, without its extension headers.
#[repr(C, packed)]
pub struct Ipv6 {
    /// Four bits of version, four of traffic class.
    pub version_class: u8,
    /// The rest of traffic class, and flow label.
    pub class_flow: [u8; 3],
    /// Length of all that follows.
    pub payload_len: Be16,
    /// What it carries: a payload, or an extension header.
    pub next_header: Protocol,
    /// Hops that are left.
    pub hop_limit: u8,
    /// From whom.
    pub src: Addr6,
    /// To whom.
    pub dst: Addr6,
}

// SAFETY: of plain fields.
unsafe impl Plain for Ipv6 {}

/// What all extension headers but the fragment header begin with.
#[repr(C, packed)]
struct Extension {
    next_header: Protocol,
    length: u8,
}

// SAFETY: of plain fields.
unsafe impl Plain for Extension {}

#[repr(C, packed)]
struct FragmentHeader {
    _next_header: Protocol,
    _reserved: u8,
    offset_flags: Be16,
    _id: Be32,
}

// SAFETY: of plain fields.
unsafe impl Plain for FragmentHeader {}

/// What follows an IP header.
pub enum Payload {
    /// The upper-layer protocol and where it begins.
    At(Protocol, usize),
    /// A later fragment, or a protocol behind headers that are not walked: its ports cannot be seen.
    Hidden,
    /// The header contradicts itself or ends too early.
    Malformed,
}

impl Ipv4 {
    /// A header of version 4 with no options.
    pub const VERSION_WITHOUT_OPTIONS: u8 = 0x45;

    /// [`Ipv4::fragment`]: routers must not cut this packet.
    pub const DO_NOT_FRAGMENT: u16 = 0x4000;

    /// Where the payload of this header at `offset` begins.
    #[inline(always)]
    #[must_use]
    pub fn payload(&self, offset: usize) -> Payload {
        const FRAGMENT_OFFSET: u16 = 0x1fff;
        let length = usize::from(self.version_ihl & 0x0f) * 4;
        if self.version_ihl >> 4 != 4 || length < size_of::<Self>() {
            return Payload::Malformed;
        }
        if self.fragment.get() & FRAGMENT_OFFSET != 0 {
            return Payload::Hidden;
        }
        Payload::At(self.protocol, offset + length)
    }

    /// Sender and receiver.
    #[inline(always)]
    #[must_use]
    pub const fn ends(&self) -> (Addr, Addr) {
        (Addr::from_v4(self.src.native()), Addr::from_v4(self.dst.native()))
    }
}

/// The version of an IP packet with nothing before it; both versions have as many bytes as a header of version 4.
#[inline(always)]
#[must_use]
pub fn ip_version(frame: &Frame) -> Option<u8> {
    frame.at::<Ipv4>(0).map(|ip| ip.version_ihl >> 4)
}

impl Ipv6 {
    /// [`Ipv6::version_class`] of version 6, with no traffic class.
    pub const VERSION_WITHOUT_CLASS: u8 = 0x60;

    /// Where the payload of this header at `offset` begins, behind its extension headers.
    #[inline(always)]
    #[must_use]
    pub fn payload(&self, frame: &Frame, offset: usize) -> Payload {
        if self.version_class >> 4 != 6 {
            return Payload::Malformed;
        }
        let at = offset + size_of::<Self>();
        match self.next_header {
            protocol @ (Protocol::TCP | Protocol::ICMPV6) => Payload::At(protocol, at),
            first => behind_extensions(frame, first, at),
        }
    }

    /// Sender and receiver.
    #[inline(always)]
    #[must_use]
    pub fn ends(&self) -> (Addr, Addr) {
        (self.src.into(), self.dst.into())
    }
}

/// Walks extension headers. A function of its own: few frames have any, and the loop would be copied into every path.
#[inline(never)]
fn behind_extensions(frame: &Frame, first: Protocol, start: usize) -> Payload {
    const FRAGMENT_OFFSET: u16 = 0xfff8;
    let mut next = first;
    let mut at = start;
    // One turn more: it finds what is behind the last header.
    for _ in 0..=MAX_EXTENSIONS {
        let length = match next {
            Protocol::TCP | Protocol::ICMPV6 => return Payload::At(next, at),
            Protocol::HOP_BY_HOP
            | Protocol::ROUTING
            | Protocol::DESTINATION_OPTIONS
            | Protocol::AUTHENTICATION
            | Protocol::FRAGMENT => {
                let Some(header) = frame.at::<Extension>(at) else { return Payload::Malformed };
                let length = match next {
                    Protocol::FRAGMENT => {
                        let Some(fragment) = frame.at::<FragmentHeader>(at) else { return Payload::Malformed };
                        if fragment.offset_flags.get() & FRAGMENT_OFFSET != 0 {
                            return Payload::Hidden;
                        }
                        size_of::<FragmentHeader>()
                    }
                    Protocol::AUTHENTICATION => (usize::from(header.length) + 2) * 4,
                    _ => (usize::from(header.length) + 1) * 8,
                };
                next = header.next_header;
                length
            }
            _ => return Payload::Hidden,
        };
        at += length;
    }
    Payload::Hidden
}
