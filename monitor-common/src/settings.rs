//! What the daemon tells the programs at start and at reload.

/// Version of everything in this crate. A pinned map of another layout is replaced, never read.
pub const LAYOUT: u32 = 8;

/// The priority of packets that the daemon's own connections send: they are no client's attempts (F-9d). None of Linux's own
/// classes; a queueing discipline would have to have the handle 5242: to take it for one of its classes.
pub const OWN_CONNECTIONS: u32 = 0x5242_0000;

/// One entry, written by the daemon.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// [`LAYOUT`] of the maps beside it.
    pub layout: u32,
    /// CPUs that have a ring of deadlines.
    pub cpus: u32,
    /// Number of buckets in the far part - 1; the number is a power of two.
    pub bucket_mask: u32,
    /// Deadlines per CPU - 1; the number is a power of two.
    pub deadline_mask: u32,
    /// How long a SYN may stay unanswered (F-3).
    pub syn_timeout_ns: u64,
    /// Random, made once per set of maps, so that no outsider can choose which bucket a flow falls into.
    pub hash_seed: u64,
    /// Number of buckets of established connections - 1; the number is a power of two.
    pub flow_mask: u32,
    /// Explicit padding.
    pub _pad: u32,
}

const _: () = assert!(size_of::<Settings>() == 40);

#[cfg(feature = "user")]
mod user {
    // SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::Settings {}
}
