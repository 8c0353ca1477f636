//! The gate of a shared address: whether this host may answer for it.

/// A shared address's gate, by [`crate::Addr`]. An address without an entry is not shared.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateState {
    /// The gate is open before this time and closed from then on; 0: closed. The daemon of the active host moves it on with
    /// each beat, so that it passes by itself when that daemon is gone or hangs.
    pub open_until_ns: u64,
    /// Frames that the closed gate has stopped; counted without atomic operations, for people to read.
    pub stopped: u64,
}

const _: () = assert!(size_of::<GateState>() == 16);

/// What others have claimed of a shared address, by [`crate::Addr`]. MAC addresses are numbers, their first byte the highest of six.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// This host's own MAC address on the interface; what comes back from there is no claim. Written by the daemon.
    pub own: u64,
    /// How often another host has said that the address is its own; written by the program, without atomic operations.
    pub count: u64,
    /// The MAC address of the latest claim.
    pub latest: u64,
}

const _: () = assert!(size_of::<Claims>() == 24);

/// How many shared addresses a host can have.
pub const GATE_ENTRIES: usize = 256;

#[cfg(feature = "user")]
mod user {
    // SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::GateState {}
    // SAFETY: as above.
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::Claims {}
}
