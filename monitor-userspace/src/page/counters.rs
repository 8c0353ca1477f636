//! What became of the page's clients, by reason.

use crate::counters::counters;

counters! {
    /// The page was shown.
    Shown = "shown",
    /// A program was told.
    Told = "told",
    /// Somebody wants a mail.
    Registered = "registered",
    /// Somebody wants none.
    Declined = "declined",
    /// An address was taken off the book by its owner.
    Unsubscribed = "unsubscribed",
    /// What was typed is no mail address.
    NotAnAddress = "not_an_address",
    /// The form was not one that this client was given today.
    Forged = "forged",
    /// The client, or the address, has answered too often.
    TooOften = "too_often",
    /// The store took no change.
    NotKept = "not_kept",
    /// The request was too long, too slow or no form.
    BadRequest = "bad_request",
    /// The oldest of as many connections as one client may have made room for another of it.
    ClientLimit = "client_limit",
    /// The oldest of as many connections as all may have made room for another.
    Displaced = "displaced",
    /// A TLS name without a certificate.
    NoCertificate = "no_certificate",
    /// The TLS handshake failed.
    TlsFailed = "tls_failed",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_under_its_own_word() {
        let counters = Counters::default();
        counters.count(Count::TooOften);
        let counted: Vec<_> = counters.words().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("too_often", 1)]);
    }
}
