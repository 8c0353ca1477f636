//! What became of the page's clients, by reason.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// The page was shown.
    Shown,
    /// A program was told.
    Told,
    /// Somebody wants a mail.
    Registered,
    /// Somebody wants none.
    Declined,
    /// An address was taken off the book by its owner.
    Unsubscribed,
    /// What was typed is no mail address.
    NotAnAddress,
    /// The form was not one that this client was given today.
    Forged,
    /// The client, or the address, has answered too often.
    TooOften,
    /// The store took no change.
    NotKept,
    /// The request was too long, too slow or no form.
    BadRequest,
    /// The client had as many connections as one may have.
    ClientLimit,
    /// The oldest of as many connections as all may have made room for another.
    Displaced,
    /// A TLS name without a certificate.
    NoCertificate,
    /// The TLS handshake failed.
    TlsFailed,
}

const WORDS: [(Count, &str); 14] = [
    (Count::Shown, "shown"),
    (Count::Told, "told"),
    (Count::Registered, "registered"),
    (Count::Declined, "declined"),
    (Count::Unsubscribed, "unsubscribed"),
    (Count::NotAnAddress, "not_an_address"),
    (Count::Forged, "forged"),
    (Count::TooOften, "too_often"),
    (Count::NotKept, "not_kept"),
    (Count::BadRequest, "bad_request"),
    (Count::ClientLimit, "client_limit"),
    (Count::Displaced, "displaced"),
    (Count::NoCertificate, "no_certificate"),
    (Count::TlsFailed, "tls_failed"),
];

/// One count per reason, since the start of the daemon.
#[derive(Debug, Default)]
pub struct Counters([AtomicU64; WORDS.len()]);

impl Counters {
    pub(super) fn count(&self, what: Count) {
        self.0[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Every count with its word.
    pub fn words(&self) -> impl Iterator<Item = (&'static str, u64)> {
        WORDS.iter().map(|(count, word)| (*word, self.0[*count as usize].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_has_its_own_place_and_word() {
        for (index, (count, _)) in WORDS.iter().enumerate() {
            assert_eq!(*count as usize, index);
        }
    }
}
