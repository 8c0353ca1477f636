//! The Ethernet header and the VLAN tags behind it (IEEE 802.3, 802.1Q).

use super::{
    field::{Be16, Plain},
    frame::Frame,
};

/// What an Ethernet frame carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EtherType(pub u16);

impl EtherType {
    /// An IPv4 packet.
    pub const IPV4: Self = Self(0x0800);
    /// An ARP message.
    pub const ARP: Self = Self(0x0806);
    /// A VLAN tag.
    pub const VLAN: Self = Self(0x8100);
    /// An IPv6 packet.
    pub const IPV6: Self = Self(0x86dd);
    /// The outer one of several VLAN tags.
    pub const SERVICE_VLAN: Self = Self(0x88a8);
    /// A session of PPP over Ethernet.
    const PPPOE_SESSION: Self = Self(0x8864);

    #[inline(always)]
    const fn is_vlan(self) -> bool {
        self.0 == Self::VLAN.0 || self.0 == Self::SERVICE_VLAN.0
    }
}

/// The Ethernet header.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub struct Ethernet {
    /// To whom.
    pub destination: [u8; 6],
    /// From whom.
    pub source: [u8; 6],
    /// The [`EtherType`] of what follows.
    pub ethertype: Be16,
}

// SAFETY: of plain fields.
unsafe impl Plain for Ethernet {}

/// VLAN tags that are walked.
const MOST_TAGS: usize = 3;

/// A VLAN tag, behind the EtherType that says so.
#[repr(C, packed)]
struct VlanTag {
    _priority_and_id: Be16,
    ethertype: Be16,
}

// SAFETY: of plain fields.
unsafe impl Plain for VlanTag {}

/// The header of a PPPoE session frame (RFC 2516 section 4) and the protocol field of the PPP frame in it.
#[repr(C, packed)]
struct PppoeSession {
    version_type: u8,
    code: u8,
    _session: Be16,
    _length: Be16,
    protocol: Be16,
}

// SAFETY: of plain fields.
unsafe impl Plain for PppoeSession {}

impl PppoeSession {
    /// Version 1, type 1, and the code of a session.
    const SESSION: (u8, u8) = (0x11, 0);
    /// PPP's protocol numbers (RFC 1332 section 2.1, RFC 5072 section 2).
    const IPV4: u16 = 0x0021;
    const IPV6: u16 = 0x0057;

    /// The EtherType of what it carries, if that is an IP packet.
    #[inline(always)]
    const fn carries(&self) -> Option<EtherType> {
        if self.version_type != Self::SESSION.0 || self.code != Self::SESSION.1 {
            return None;
        }
        match self.protocol.get() {
            Self::IPV4 => Some(EtherType::IPV4),
            Self::IPV6 => Some(EtherType::IPV6),
            _ => None,
        }
    }
}

/// What a frame carries behind its VLAN tags and, if it is one of a PPPoE session, behind that header too; and where that
/// begins.
#[inline(always)]
#[must_use]
pub fn carried(frame: &Frame) -> Option<(EtherType, usize)> {
    let (ethertype, offset) = ethertype(frame)?;
    if ethertype != EtherType::PPPOE_SESSION {
        return Some((ethertype, offset));
    }
    let session = frame.at::<PppoeSession>(offset)?;
    session.carries().map(|ethertype| (ethertype, offset + size_of::<PppoeSession>()))
}

/// The EtherType behind up to three VLAN tags, and where its payload begins.
#[inline(always)]
#[must_use]
pub fn ethertype(frame: &Frame) -> Option<(EtherType, usize)> {
    let ethertype = EtherType(frame.at::<Ethernet>(0)?.ethertype.get());
    let offset = size_of::<Ethernet>();
    // Each header has its own fixed offsets, without a loop, which keeps the path of an untagged frame short.
    if ethertype.is_vlan() { tagged(frame, offset) } else { Some((ethertype, offset)) }
}

/// The same behind the first tag, which says what `offset` holds.
#[inline(always)]
fn tagged(frame: &Frame, mut offset: usize) -> Option<(EtherType, usize)> {
    let mut ethertype = EtherType::VLAN;
    for _ in 0..MOST_TAGS {
        if !ethertype.is_vlan() {
            break;
        }
        ethertype = EtherType(frame.at::<VlanTag>(offset)?.ethertype.get());
        offset += size_of::<VlanTag>();
    }
    Some((ethertype, offset))
}
