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
    /// The outer one of two VLAN tags.
    pub const SERVICE_VLAN: Self = Self(0x88a8);
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

/// A VLAN tag, behind the EtherType that says so.
#[repr(C, packed)]
struct VlanTag {
    _priority_and_id: Be16,
    ethertype: Be16,
}

// SAFETY: of plain fields.
unsafe impl Plain for VlanTag {}

/// The EtherType behind up to two VLAN tags, and where its payload begins.
#[inline(always)]
#[must_use]
pub fn ethertype(frame: &Frame) -> Option<(EtherType, usize)> {
    let mut ethertype = EtherType(frame.at::<Ethernet>(0)?.ethertype.get());
    let mut offset = size_of::<Ethernet>();
    // No loop: each of the two tags has a fixed offset, which keeps the path of an untagged frame short.
    if ethertype == EtherType::VLAN || ethertype == EtherType::SERVICE_VLAN {
        ethertype = EtherType(frame.at::<VlanTag>(offset)?.ethertype.get());
        offset += size_of::<VlanTag>();
        if ethertype == EtherType::VLAN || ethertype == EtherType::SERVICE_VLAN {
            ethertype = EtherType(frame.at::<VlanTag>(offset)?.ethertype.get());
            offset += size_of::<VlanTag>();
        }
    }
    Some((ethertype, offset))
}
