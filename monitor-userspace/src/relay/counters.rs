//! What became of visits to the mailbox and of the mails in it, by reason, since the start.

use monitor_core::relay::Refusal;

use crate::counters::counters;

counters! {
    /// A visit went well.
    Visit = "visit",
    /// A visit failed.
    VisitFailed = "visit_failed",
    /// A list was stored.
    ListTaken = "list_taken",
    /// A receipt was stored.
    ReceiptTaken = "receipt_taken",
    /// A mail whose deletion only was left.
    TakenBefore = "taken_before",
    /// Forged, cut, under a key that is not alive, or not signed at all.
    RefusedSignature = "refused_signature",
    /// Sent again by somebody.
    RefusedReplayed = "refused_replayed",
    /// Too late.
    RefusedExpired = "refused_expired",
    /// More bytes than are fetched.
    RefusedTooLarge = "refused_too_large",
    /// It could not be fetched; counted when it is named.
    RefusedUnfetched = "refused_unfetched",
    /// Nothing of ours in it.
    RefusedForeign = "refused_foreign",
    /// Anything else.
    RefusedOther = "refused_other",
}

impl From<&Refusal> for Count {
    fn from(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Unsigned | Refusal::WrongSignature | Refusal::WrongKey => Self::RefusedSignature,
            Refusal::Replayed => Self::RefusedReplayed,
            Refusal::Expired => Self::RefusedExpired,
            Refusal::TooLarge | Refusal::Larger(..) => Self::RefusedTooLarge,
            Refusal::Unfetched(..) => Self::RefusedUnfetched,
            Refusal::Absent(_) => Self::RefusedForeign,
            _ => Self::RefusedOther,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted_under_its_own_word() {
        let counters = Counters::default();
        counters.count(Count::RefusedExpired);
        let counted: Vec<_> = counters.words().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("refused_expired", 1)]);
    }
}
