//! What gateways that share traffic ask each other: whether an attempt was answered where the one who asks does not see it.

use crate::domain::{ClientAddr, Service, UnixMs};

/// One attempt that nobody was seen to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// What was tried.
    pub service: Service,
    /// Who tried.
    pub client: ClientAddr,
    /// From which port.
    pub client_port: u16,
    /// The SYN's sequence number: only an answer of just that SYN acknowledges it.
    pub seq: u32,
    /// When the SYN passed.
    pub since: UnixMs,
    /// Attempts of this client that the report stood for.
    pub attempts: u32,
}
