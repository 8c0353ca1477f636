//! ARP (RFC 826).

use super::{
    ethernet::EtherType,
    field::{Be16, Be32, Plain},
};

/// Numbers of [`Arp::operation`].
pub struct ArpOperation;

impl ArpOperation {
    /// Who has this address?
    pub const REQUEST: u16 = 1;
}

/// A message for IPv4 over Ethernet, up to what it says of its target. [`Arp::is_for_ipv4`] says whether it is one.
#[repr(C, packed)]
pub struct Arp {
    /// Kind of link-layer address.
    pub hardware: Be16,
    /// Kind of protocol address, as an [`EtherType`].
    pub protocol: Be16,
    /// Length of a link-layer address, and of a protocol address.
    pub lengths: Be16,
    /// [`ArpOperation`].
    pub operation: Be16,
    /// The sender's link-layer address.
    pub sender_mac: [u8; 6],
    /// The sender's address.
    pub sender: Be32,
}

// SAFETY: of plain fields.
unsafe impl Plain for Arp {}

impl Arp {
    /// Where the address asked for lies in a message: the target's link-layer address comes before it.
    pub const TARGET: usize = size_of::<Self>() + size_of::<[u8; 6]>();

    /// Whether the addresses are those of IPv4 and of Ethernet.
    #[inline(always)]
    #[must_use]
    pub const fn is_for_ipv4(&self) -> bool {
        const ETHERNET: u16 = 1;
        const LENGTHS: u16 = 0x0604;
        self.hardware.get() == ETHERNET && self.protocol.get() == EtherType::IPV4.0 && self.lengths.get() == LENGTHS
    }
}
