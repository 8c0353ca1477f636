//! How the daemon changes a service's state: in place, by a program, so that an answer that is noted at the same moment
//! is never overwritten (design rule 7).

use crate::ServiceKey;

/// Input of [`crate::program::MARK`], behind [`MarkRequest::OFFSET`] unused bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarkRequest {
    /// Which service; one that is not known is added.
    pub key: ServiceKey,
    /// When it was marked failed; 0: it is not failed.
    pub failed_ns: u64,
    /// When its outage ended ([`crate::ServiceState::ended_ns`]); 0: as before.
    pub ended_ns: u64,
    /// See [`crate::ServiceState::report_until_ns`].
    pub report_until_ns: u64,
    /// [`crate::ServiceFlags`] to set.
    pub set: u32,
    /// [`crate::ServiceFlags`] to clear.
    pub clear: u32,
}

const _: () = assert!(size_of::<MarkRequest>() == 56);

impl MarkRequest {
    /// The request stands behind what the kernel takes for an Ethernet header.
    pub const OFFSET: usize = 16;
}

#[cfg(feature = "user")]
mod user {
    use super::MarkRequest;

    impl MarkRequest {
        /// The frame to run the program on.
        #[must_use]
        pub fn frame(&self) -> Vec<u8> {
            let mut frame = vec![0; Self::OFFSET];
            frame.extend_from_slice(&self.key.addr.bytes);
            frame.extend_from_slice(&self.key.port.to_ne_bytes());
            frame.extend_from_slice(&[0; 6]);
            frame.extend_from_slice(&self.failed_ns.to_ne_bytes());
            frame.extend_from_slice(&self.ended_ns.to_ne_bytes());
            frame.extend_from_slice(&self.report_until_ns.to_ne_bytes());
            frame.extend_from_slice(&self.set.to_ne_bytes());
            frame.extend_from_slice(&self.clear.to_ne_bytes());
            frame
        }
    }
}
