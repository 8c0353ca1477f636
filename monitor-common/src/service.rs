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
}

const _: () = assert!(size_of::<ServiceState>() == 24);

#[cfg(feature = "user")]
mod user {
    // SAFETY: `repr(C)`, integers only, no implicit padding (sizes asserted above).
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::ServiceKey {}
    // SAFETY: as above.
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::ServiceState {}
}
