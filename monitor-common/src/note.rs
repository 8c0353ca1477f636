//! What was reported already, so that a client that retries all the time costs the daemon little.

use crate::{Addr, Attempt};

/// A client and the failed service that it wants.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoteKey {
    /// The client.
    pub client: Addr,
    /// The server.
    pub server: Addr,
    /// The service's port.
    pub server_port: u16,
    /// Keys are compared byte by byte; two fields as in [`crate::ServiceKey`].
    pub _pad: u16,
    /// As above.
    pub _pad2: u32,
}

const _: () = assert!(size_of::<NoteKey>() == 40);

impl NoteKey {
    /// The client and the service of this attempt.
    #[inline(always)]
    #[must_use]
    pub const fn of(attempt: &Attempt) -> Self {
        Self { client: attempt.client, server: attempt.server, server_port: attempt.server_port, _pad: 0, _pad2: 0 }
    }
}

/// The latest report of a client.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// When it was reported.
    pub reported_ns: u64,
    /// Sequence number of the latest attempt: recognises its retransmissions and ICMP that quotes it.
    pub seq: u32,
    /// Attempts since that report.
    pub unreported: u32,
    /// The [`crate::Evidence`] reported, as a number.
    pub evidence: u32,
    /// Source port of the latest attempt.
    pub client_port: u16,
    /// Explicit padding.
    pub _pad: u16,
}

const _: () = assert!(size_of::<Note>() == 24);

/// A host with host-level evidence.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostState {
    /// When it was last reported as seen; 0: not yet.
    pub reported_ns: u64,
}

#[cfg(feature = "user")]
mod user {
    // SAFETY: `repr(C)`, integers only, no implicit padding (sizes asserted above).
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::NoteKey {}
    // SAFETY: as above.
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::Note {}
    // SAFETY: as above.
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::HostState {}
}
