//! ICMP (RFC 792) and ICMPv6 (RFC 4443), with the neighbour messages of the latter (RFC 4861).

use super::field::{Addr6, Be16, Be32, Plain};

/// The type of a message. Both protocols have numbers of their own.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IcmpType(pub u8);

impl IcmpType {
    /// ICMP: destination unreachable.
    pub const UNREACHABLE_V4: Self = Self(3);
    /// ICMPv6: destination unreachable.
    pub const UNREACHABLE_V6: Self = Self(1);
    /// ICMPv6: who has this address?
    pub const NEIGHBOUR_SOLICITATION: Self = Self(135);
    /// ICMPv6: this address is mine.
    pub const NEIGHBOUR_ADVERTISEMENT: Self = Self(136);
}

// SAFETY: an integer.
unsafe impl Plain for IcmpType {}

/// Codes of [`IcmpType::UNREACHABLE_V4`] (RFC 792; from 6 on RFC 1122 section 3.2.2.1, from 13 on RFC 1812 section 5.2.7.1).
pub struct UnreachableV4;

impl UnreachableV4 {
    /// No route to the network.
    pub const NET: u8 = 0;
    /// The host does not answer its router.
    pub const HOST: u8 = 1;
    /// The host does not speak the protocol.
    pub const PROTOCOL: u8 = 2;
    /// Nothing is behind the port.
    pub const PORT: u8 = 3;
    /// The packet's own route does not work.
    pub const SOURCE_ROUTE_FAILED: u8 = 5;
    /// There is no such network.
    pub const NET_UNKNOWN: u8 = 6;
    /// There is no such host.
    pub const HOST_UNKNOWN: u8 = 7;
    /// A filter bars the network.
    pub const NET_PROHIBITED: u8 = 9;
    /// A filter bars the host.
    pub const HOST_PROHIBITED: u8 = 10;
    /// No route to the network for this type of service.
    pub const NET_FOR_SERVICE: u8 = 11;
    /// No way to the host for this type of service.
    pub const HOST_FOR_SERVICE: u8 = 12;
    /// A filter bars the packet.
    pub const PROHIBITED: u8 = 13;
    /// The packet's precedence is not permitted to this host.
    pub const PRECEDENCE_VIOLATION: u8 = 14;
    /// The packet's precedence is too low for this network.
    pub const PRECEDENCE_CUTOFF: u8 = 15;
}

/// Codes of [`IcmpType::UNREACHABLE_V6`] (RFC 4443 section 3.1).
pub struct UnreachableV6;

impl UnreachableV6 {
    /// No route to the destination.
    pub const NO_ROUTE: u8 = 0;
    /// A filter bars the packet.
    pub const PROHIBITED: u8 = 1;
    /// The destination lies beyond the scope of the source's address.
    pub const BEYOND_SCOPE: u8 = 2;
    /// The host does not answer its router.
    pub const ADDRESS: u8 = 3;
    /// Nothing is behind the port.
    pub const PORT: u8 = 4;
    /// A filter bars the source's address.
    pub const SOURCE_POLICY: u8 = 5;
    /// The route to the destination rejects packets.
    pub const REJECT_ROUTE: u8 = 6;
}

/// The header of a message.
#[repr(C, packed)]
pub struct Icmp {
    /// Which message.
    pub kind: IcmpType,
    /// Which of its cases.
    pub code: u8,
    /// Of header and body; in ICMPv6 of the pseudo header too.
    pub checksum: Be16,
    /// What it means depends on the message.
    pub rest: Be32,
}

// SAFETY: of plain fields.
unsafe impl Plain for Icmp {}

/// A neighbour solicitation or advertisement, up to its options.
#[repr(C, packed)]
pub struct NeighbourMessage {
    /// The header.
    pub icmp: Icmp,
    /// The address that it asks for, or announces.
    pub target: Addr6,
}

// SAFETY: of plain fields.
unsafe impl Plain for NeighbourMessage {}

impl NeighbourMessage {
    /// The IPv6 hop limit of an honest one: with any other, a router has forwarded it (RFC 4861 section 7.1).
    pub const HOP_LIMIT: u8 = 255;
}
