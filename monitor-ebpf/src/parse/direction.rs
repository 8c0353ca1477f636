//! Which way a frame passes this host.

/// Which way a frame passes this host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It arrived.
    Ingress,
    /// It leaves: only here are the answers, refusals and ICMP messages seen that this host itself sends.
    Egress,
}
