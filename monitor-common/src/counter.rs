//! What the programs count, one number per CPU and reason.

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal, $kind:ident;)*) => {
        /// Index into the counter map. Frames that do not concern us are not counted: that would cost.
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Counter {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Counter {
            /// Every counter, by index.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word that `status`, JSON and metrics use.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Whether each count is something that was lost: an attempt, an answer or a report.
            #[must_use]
            pub const fn is_loss(self) -> bool {
                match self { $(Self::$name => counters!(@$kind),)* }
            }
        }
    };
    (@loss) => { true };
    (@fact) => { false };
}

counters! {
    /// Attempts of watched services that were remembered.
    Attempts = "attempts", fact;
    /// SYNs that repeated a remembered one.
    Retransmits = "retransmits", fact;
    /// Answers (SYN/ACK, or the client's ACK) that matched an attempt.
    Answers = "answers", fact;
    /// SYN/ACKs that matched none: not watched, forged, or seen a second time on their way out.
    AnswersUnmatched = "answers_unmatched", fact;
    /// RSTs that matched an attempt.
    Refusals = "refusals", fact;
    /// ICMP unreachable messages that matched an attempt.
    Unreachables = "unreachables", fact;
    /// ICMP unreachable messages whose quote matched none.
    UnreachablesUnmatched = "unreachables_unmatched", fact;
    /// Attempts whose time-out passed without an answer.
    Expired = "expired", fact;
    /// Of these: the service answered somebody else meanwhile (design rule 2).
    Isolated = "isolated", fact;
    /// Data of established connections that was not acknowledged in time (F-5).
    Stalled = "stalled", fact;
    /// Failures of services that are neither listed nor learned (design rule 3).
    UnknownService = "unknown_service", fact;
    /// Clients that had given up when their answer came, as their RST said.
    GaveUp = "gave_up", fact;
    /// Frames whose headers contradict themselves or end too early.
    Malformed = "malformed", fact;
    /// Reports to the daemon.
    Events = "events", fact;
    /// A report found the ring buffer full: the timer makes it when there is room.
    RingFull = "ring_full", fact;
    /// A report that nobody repeats found no room: that a client goes on or has given up, or more evidence.
    ReportsLost = "reports_lost", loss;
    /// An attempt was forgotten for a newer one in a full bucket, and its fate with it.
    PendingEvicted = "pending_evicted", loss;
    /// An attempt that was reported as failed was forgotten for a newer one in a full bucket: its client may get through
    /// unseen.
    SaidEvicted = "said_evicted", loss;
    /// An attempt was not remembered: every deadline of this CPU was taken.
    DeadlinesFull = "deadlines_full", loss;
    /// An established connection is not followed any more: its bucket was full (F-5).
    FlowsEvicted = "flows_evicted", loss;
    /// A service was not learned: the table is full.
    ServicesFull = "services_full", loss;
}

#[cfg(test)]
mod tests {
    use super::Counter;

    #[test]
    fn the_index_is_the_place_in_the_list() {
        for (index, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(*counter as usize, index, "{}", counter.word());
        }
    }
}
