//! Services that have answered, are listed, or are failed.

use crate::Addr;

/// `address:port`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServiceKey {
    /// The server.
    pub addr: Addr,
    /// TCP port.
    pub port: u16,
    /// Keys are compared byte by byte. Two fields: to clear an array of three, the compiler calls a function.
    pub _pad: u16,
    /// As above.
    pub _pad2: u32,
}

const _: () = assert!(size_of::<ServiceKey>() == 24);

impl ServiceKey {
    /// The service on `port` of `addr`.
    #[inline(always)]
    #[must_use]
    pub const fn new(addr: Addr, port: u16) -> Self {
        Self { addr, port, _pad: 0, _pad2: 0 }
    }
}

/// Bits of [`ServiceState::flags`] and [`crate::Event::standing`].
pub struct ServiceFlags;

impl ServiceFlags {
    /// The watch list names this port.
    pub const LISTED: u32 = 1;
    /// It has answered, on this path or before a restart.
    pub const ANSWERED: u32 = 2;
}

/// What is known of a service.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceState {
    /// When it last answered anybody on this path, a clock tick early at most; 0: never since the map was made.
    pub last_answer_ns: u64,
    /// When the daemon marked it failed; 0: it is not.
    pub failed_ns: u64,
    /// [`ServiceFlags`].
    pub flags: u32,
    /// How often it has answered, modulo 2^32: exact where two times would be too close to compare.
    pub answers: u32,
    /// When its latest outage ended; 0: none that is known. Attempts up to then are the daemon's to judge.
    pub ended_ns: u64,
    /// Until when every answer is reported, failed or not.
    pub report_until_ns: u64,
    /// The latest SYN that it answered. It was up when that arrived, so an earlier one that was not answered is its client's own
    /// trouble (design rule 2).
    pub answered_syn_ns: u64,
    /// Its latest silence, if it was longer than [`crate::SILENCE_NS`]: from the latest SYN that it answered before …
    pub silent_from_ns: u64,
    /// … to the first answer after that; both 0: none.
    pub silent_to_ns: u64,
}

const _: () = assert!(size_of::<ServiceState>() == 64);

#[cfg(feature = "user")]
mod user {
    // SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::ServiceKey {}
    // SAFETY: as above.
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::ServiceState {}
}
