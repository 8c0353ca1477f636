//! What became of visits to the mailbox and of the mails in it, by reason, since the start.

use std::sync::atomic::{AtomicU64, Ordering};

use super::seal::Refusal;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// A visit went well.
    Visit,
    /// A visit failed.
    VisitFailed,
    /// A list was stored.
    ListTaken,
    /// A receipt was stored.
    ReceiptTaken,
    /// A mail whose deletion only was left.
    TakenBefore,
    /// Forged, cut, under a key that is not alive, or not signed at all.
    RefusedSignature,
    /// Sent again by somebody.
    RefusedReplayed,
    /// Too late.
    RefusedExpired,
    /// More bytes than are fetched.
    RefusedTooLarge,
    /// Nothing of ours in it.
    RefusedForeign,
    /// Anything else.
    RefusedOther,
}

const WORDS: [(Count, &str); 11] = [
    (Count::Visit, "visit"),
    (Count::VisitFailed, "visit_failed"),
    (Count::ListTaken, "list_taken"),
    (Count::ReceiptTaken, "receipt_taken"),
    (Count::TakenBefore, "taken_before"),
    (Count::RefusedSignature, "refused_signature"),
    (Count::RefusedReplayed, "refused_replayed"),
    (Count::RefusedExpired, "refused_expired"),
    (Count::RefusedTooLarge, "refused_too_large"),
    (Count::RefusedForeign, "refused_foreign"),
    (Count::RefusedOther, "refused_other"),
];

impl From<&Refusal> for Count {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Unsigned | Refusal::WrongSignature | Refusal::WrongKey => Self::RefusedSignature,
            Refusal::Replayed => Self::RefusedReplayed,
            Refusal::Expired => Self::RefusedExpired,
            Refusal::TooLarge => Self::RefusedTooLarge,
            Refusal::Absent(_) => Self::RefusedForeign,
            _ => Self::RefusedOther,
        }
    }
}

/// One count per reason.
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
    fn every_count_is_at_its_own_word() {
        for (index, (count, word)) in WORDS.iter().enumerate() {
            assert_eq!(*count as usize, index, "{word}");
        }
    }
}
