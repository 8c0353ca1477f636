//! What became of each datagram, by reason.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        /// One count per reason.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $name: AtomicU64,)*
        }

        impl Counters {
            /// Every count with its word.
            #[must_use]
            pub fn words(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.load(Ordering::Relaxed)),)*]
            }
        }
    };
}

counters! {
    /// Datagrams.
    received,
    /// Traps and informs that were reported as a recovery.
    recoveries,
    /// Informs that were acknowledged.
    acknowledged,
    /// Engine discoveries, and whatever else takes another engine for the authority.
    discoveries,
    /// Reports, such as the answers to discoveries, that a source did not get because it had so many.
    reports_limited,
    /// Notifications whose OID does not mean recovery.
    not_recovery,
    /// Datagrams that are not SNMP, or not a notification.
    malformed,
    /// v1 and v2c with a community that is not configured.
    bad_community,
    /// v3 of a user that is not configured, or not for the engine that sent it.
    unknown_user,
    /// v3 with less or more security than its user is configured with.
    wrong_level,
    /// v3 whose digest is wrong.
    wrong_digest,
    /// v3 that cannot be decrypted.
    undecryptable,
    /// v3 outside of the time window.
    not_in_window,
    /// v3 that was received before.
    replayed,
    /// v3 of an engine that reports more recoveries within 150 s than are remembered.
    window_full,
}

impl Counters {
    /// Counts one.
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
