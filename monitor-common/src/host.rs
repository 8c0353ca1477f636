//! Hosts that speak again.

/// A host with host-level evidence.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostState {
    /// When it was last reported as seen; 0: not yet.
    pub reported_ns: u64,
}

#[cfg(feature = "user")]
mod user {
    // SAFETY: `repr(C)`, one integer.
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::HostState {}
}
