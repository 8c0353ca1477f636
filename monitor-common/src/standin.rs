//! What the daemon tells the programs that answer in a failed server's name, and the marks that keep its packets apart.

/// TCP port of the services that the page stands in for (F-21).
pub const STAND_IN_PORT: u16 = 80;

/// TCP port of the services that it stands in for where it has a certificate.
pub const STAND_IN_TLS_PORT: u16 = 443;

/// How long after its last SYN a server's page connections are looked for; the page ends them before.
pub const STEERED_FOR_NS: u64 = 600_000_000_000;

/// Entries of [`crate::map::STEERED`], a power of two.
pub const STEERED_SLOTS: usize = 256;

/// Mark of packets that are steered to the page: a routing rule of the daemon's delivers them here instead of forwarding
/// them.
pub const STEERED: u32 = 0x7262_0001;

/// Mark of packets that the page sends in a server's name. They are no answer of the server's, and nothing else routes by
/// this mark: the first mark on them would send them back to the page.
pub const SENT_FOR_SERVER: u32 = 0x7262_0002;

/// What becomes of a SYN to another port of a failed service (F-29): values of [`StandIn::other_ports`].
pub struct OtherPorts;

impl OtherPorts {
    /// It passes.
    pub const SILENT: u32 = 0;
    /// It is answered by RST.
    pub const RESET: u32 = 1;
    /// It is answered by ICMP host unreachable.
    pub const ICMP: u32 = 2;
}

/// One entry, never pinned: without the daemon there is nothing to steer to.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandIn {
    /// Until when the daemon counts as alive. After that everything passes: without the daemon the server's recovery would
    /// go unnoticed, and its SYNs would be withheld for ever.
    pub alive_until_ns: u64,
    /// Ports of the listeners on the loopback addresses; 0: none.
    pub port_v4: u16,
    /// For IPv6.
    pub port_v6: u16,
    /// [`OtherPorts`].
    pub other_ports: u32,
    /// Whether the page has certificates: 1, else 0. Which servers they are for is in [`crate::map::STAND_IN_TLS`].
    pub tls: u32,
    /// Zero.
    pub _pad: u32,
}

const _: () = assert!(size_of::<StandIn>() == 24);

#[cfg(feature = "user")]
mod user {
    // SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::StandIn {}
}
