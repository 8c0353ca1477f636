//! Which way a frame passes this host.

/// Which way a frame passes this host.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It arrived.
    Ingress,
    /// It leaves: only here are the answers, refusals and ICMP messages seen that this host itself sends.
    Egress,
    /// It leaves, this host has made it, and this host's own attempts count.
    Own,
}
