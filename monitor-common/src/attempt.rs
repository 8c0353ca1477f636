//! One connection request, and the ring in which requests wait for their deadline.

use crate::{Addr, Arrival};

/// A connection request: the four-tuple and sequence number of its SYN, seen from the client whichever way the frame
/// travels. A copy of this, one cache line, waits for its deadline. The fields that are 0 at first do not lie
/// side by side: the compiler would call a function to clear them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// The sender of the SYN.
    pub client: Addr,
    /// Its destination.
    pub server: Addr,
    /// Source port.
    pub client_port: u16,
    /// Destination port.
    pub server_port: u16,
    /// Sequence number of the SYN.
    pub seq: u32,
    /// When the SYN was seen.
    pub seen_ns: u64,
    /// Where the SYN came in. If it is data ([`Arrival::is_data`]), `seq` is the number that acknowledges it.
    pub arrival: Arrival,
    /// Of a SYN: how many bytes of data it carries. Of data: how often the service had answered when it was seen, by
    /// [`crate::ServiceState::answers`].
    pub detail: u32,
    /// Hash of the flow: finds the bucket and the tag again.
    pub hash: u64,
}

const _: () = assert!(size_of::<Attempt>() == 64);

/// Where one CPU's ring of [`Attempt`]s begins and ends: counts that only grow. `tail` is moved by that CPU, `head` by
/// the timer. One cache line, so that CPUs do not disturb each other.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Attempts that have left.
    pub head: u64,
    /// Fills the cache line between the two writers.
    pub _pad: [u64; 7],
    /// Attempts that have entered.
    pub tail: u64,
    /// Fills the cache line.
    pub _pad2: [u64; 7],
}

const _: () = assert!(size_of::<Cursor>() == 128);

#[cfg(feature = "user")]
mod user {
    // SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::Cursor {}
    // SAFETY: as above.
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::Attempt {}
}
