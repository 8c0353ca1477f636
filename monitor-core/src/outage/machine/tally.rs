//! What the machine saw and did nothing about, by reason.

use serde::{Deserialize, Serialize};

/// Counts since the machine was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Unanswered attempts at a service that answered somebody else meanwhile (design rule 2).
    pub isolated: u64,
    /// Failures of services that are neither listed nor learned (design rule 3).
    pub unknown_service: u64,
    /// Unanswered attempts whose answer another gateway has seen.
    #[serde(default)]
    pub answered_elsewhere: u64,
    /// Unanswered attempts on a path where answers are never seen (design rule 3).
    pub cannot_tell: u64,
    /// Refused attempts, with `refused_is_failure` off (F-6).
    pub refused_ignored: u64,
    /// Failures of clients that are not in the address book, with `remember = "known"` (F-7).
    pub unknown_client: u64,
    /// Failures of such clients beyond `outage.max_unknown`.
    #[serde(default)]
    pub too_many_unknown: u64,
    /// Reports that speak of an outage which is over.
    pub stale: u64,
    /// Failures that were reported after the end of their outage and joined it.
    #[serde(default)]
    pub late: u64,
    /// Evidence of recovery for what is not failed.
    pub not_failed: u64,
    /// Host-level evidence of recovery for an outage whose evidence is of the service only (design rule 5).
    pub wrong_level: u64,
}
