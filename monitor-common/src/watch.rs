//! The watch list: which addresses, and which of their ports.

/// Ports that one network may list.
pub const MAX_PORTS: usize = 14;

/// What is watched of the addresses in one network.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WatchRule {
    /// 1: any port, its service being learned when it first answers; 0: only `ports`.
    pub learn: u16,
    /// How many of `ports` count.
    pub port_count: u16,
    /// Listed ports.
    pub ports: [u16; MAX_PORTS],
}

const _: () = assert!(size_of::<WatchRule>() == 32);

impl WatchRule {
    /// Whether `port` is listed.
    #[inline(always)]
    #[must_use]
    pub fn lists(&self, port: u16) -> bool {
        // The verifier prefers a loop with a fixed end, so every place is compared; unused places hold 0.
        let mut listed = false;
        let mut index = 0;
        while index < MAX_PORTS {
            listed |= self.ports[index] == port;
            index += 1;
        }
        listed && port != 0
    }
}

#[cfg(feature = "user")]
mod user {
    // SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::WatchRule {}
}
