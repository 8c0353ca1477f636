//! What is reported to us, in the machine's words.
//!
//! In: an event of the kernel or what a guard found, and what is known besides. Out: facts for the machine, services that
//! were learned, questions for other gateways. Nothing in here knows of a clock, a map or a table.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use monitor_common::{Event, EventKind, Evidence, ServiceFlags, ServiceState, trying_until_ns};

use super::{AnsweredAttempt, AnswersSeen, FailedAttempt, Failure, Observation, Question, Recovery, Silence, Standing};
use crate::domain::{AttemptMask, ClientAddr, ClockOffset, MonotonicNs, Service, UnixMs};

/// What is known besides the event.
#[derive(Clone, Copy)]
pub struct Background<'a> {
    /// The wall clock, by the kernel's.
    pub offset: ClockOffset,
    /// The same when the process started: [`crate::domain::Moment::steady`].
    pub steady: ClockOffset,
    /// Whether the client is in the address book.
    pub in_book: &'a dyn Fn(ClientAddr) -> bool,
    /// Whether a guard of this host decides who may connect to the service.
    pub is_guarded: &'a dyn Fn(Service) -> bool,
}

/// What an event means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A service answered for the first time (design rule 3): it is to be remembered.
    Learned {
        /// Which.
        service: Service,
        /// When.
        at: UnixMs,
    },
    /// An attempt failed.
    Failed {
        /// The attempt.
        attempt: FailedAttempt,
        /// What other gateways are to be asked if the machine has doubts about the service then: silence at this gateway is
        /// none if the answer took another way.
        question: Option<Question>,
    },
    /// A service answered a client.
    Answered {
        /// Which.
        service: Service,
        /// What.
        attempt: AnsweredAttempt,
        /// When.
        at: UnixMs,
        /// The same by the kernel's clock.
        when: MonotonicNs,
    },
    /// A host spoke.
    HostSeen {
        /// Which.
        host: IpAddr,
        /// How.
        evidence: Recovery,
        /// When.
        at: UnixMs,
    },
}

impl Meaning {
    /// What the machine is to be told, if anything.
    #[must_use]
    pub const fn observation(self) -> Option<Observation> {
        match self {
            Self::Learned { .. } => None,
            Self::Failed { attempt, .. } => Some(Observation::Failed(attempt)),
            Self::Answered { service, attempt, at, when } => {
                Some(Observation::Answered { service, attempt: Some(attempt), at, when })
            }
            Self::HostSeen { host, evidence, at } => Some(Observation::HostSeen { host, evidence, at }),
        }
    }
}

/// A connection to a guarded port that was ended, because the application behind it did not pass its checks (D-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardFinding {
    /// Who had connected.
    pub client: ClientAddr,
    /// To what.
    pub service: Service,
    /// When its request passed, by the kernel's clock.
    pub seen: MonotonicNs,
    /// When the check ended.
    pub at: UnixMs,
    /// 0: the kernel has reported the attempt already.
    pub attempts: u32,
}

impl GuardFinding {
    /// The same as an attempt that failed. A guarded service is one that the operator has named, so it may have an outage.
    #[must_use]
    pub const fn attempt(self, known: bool) -> FailedAttempt {
        let Self { client, service, seen, at, attempts } = self;
        FailedAttempt {
            client,
            service,
            mask: AttemptMask::ANY,
            evidence: Failure::Sick,
            seen,
            at,
            said: seen,
            // The guard has ended it.
            trying_until: at,
            attempts,
            standing: Standing::Listed,
            known,
            answers: None,
        }
    }
}

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Intake {
    answers_seen: bool,
    newest: u64,
}

impl Intake {
    /// Whether this path has ever shown an answer (design rule 3); once true, it stays.
    #[must_use]
    pub const fn answers_seen(self) -> bool {
        self.answers_seen
    }

    /// This path shows answers: it is known by other means.
    pub const fn note_answers(&mut self) {
        self.answers_seen = true;
    }

    /// The newest kernel time among the events that were taken.
    #[must_use]
    pub const fn newest(self) -> u64 {
        self.newest
    }

    /// Takes one event of the kernel.
    pub fn take(&mut self, event: &Event, known: &Background<'_>) -> Meaning {
        self.newest = self.newest.max(event.at_ns);
        self.answers_seen |= event.answered_syn_ns != 0 || event.kind == EventKind::Learned;
        let service = Service::new(IpAddr::from(event.server), event.server_port);
        let client = ClientAddr::new(IpAddr::from(event.client));
        let at = known.offset.unix(MonotonicNs(event.at_ns));
        match event.kind {
            EventKind::Learned => Meaning::Learned { service, at },
            EventKind::Failed => self.failed(event, client, service, known),
            EventKind::Answered => {
                let (mask, seen) = (AttemptMask::of(event.client_port, event.seq), MonotonicNs(event.seen_ns));
                let attempt = AnsweredAttempt { client, mask, seen, withdrawn: event.attempts };
                Meaning::Answered { service, attempt, at, when: MonotonicNs(event.at_ns) }
            }
            EventKind::HostSeen => {
                let evidence = match event.evidence {
                    Evidence::NeighbourAdvertisement => Recovery::NeighbourAdvertisement,
                    _ => Recovery::Arp,
                };
                Meaning::HostSeen { host: service.addr(), evidence, at }
            }
        }
    }

    /// What the kernel's state of a service that was just marked failed says (design rule 7); `None`: it has never answered.
    #[must_use]
    pub fn answers_after_mark(service: Service, state: &ServiceState, offset: ClockOffset) -> Option<Observation> {
        let last = (state.last_answer_ns != 0).then_some(MonotonicNs(state.last_answer_ns))?;
        Some(Observation::AnswersAfterMark { service, count: state.answers, last, at: offset.unix(last) })
    }

    fn failed(self, event: &Event, client: ClientAddr, service: Service, known: &Background<'_>) -> Meaning {
        let evidence = match failure(event.evidence) {
            // The kernel sends the RST that a guard's checks lead to, and sees only that.
            Failure::Refused if (known.is_guarded)(service) => Failure::Sick,
            evidence => evidence,
        };
        let at = known.offset.unix(MonotonicNs(event.seen_ns));
        let attempt = FailedAttempt {
            client,
            service,
            mask: AttemptMask::of(event.client_port, event.seq),
            evidence,
            seen: MonotonicNs(event.seen_ns),
            at,
            said: MonotonicNs(event.at_ns),
            trying_until: known.steady.unix(MonotonicNs(trying_until(event, evidence))),
            attempts: event.attempts,
            standing: standing(event.standing),
            known: (known.in_book)(client),
            answers: Some(AnswersSeen {
                last: (event.answered_syn_ns != 0).then_some(MonotonicNs(event.answered_syn_ns)),
                count: event.answers,
                on_path: self.answers_seen,
                silence: silence(event),
            }),
        };
        let question = Question {
            service,
            client,
            client_port: event.client_port,
            seq: event.seq,
            since: at,
            attempts: event.attempts,
        };
        Meaning::Failed { attempt, question: (evidence == Failure::Unanswered).then_some(question) }
    }
}

/// Until when the client may still get through by repeating its SYN, by the kernel's clock.
fn trying_until(event: &Event, evidence: Failure) -> u64 {
    if evidence.is_final() { event.at_ns } else { trying_until_ns(event.seen_ns, event.latest_ns.max(event.seen_ns)) }
}

/// The silence that holds the whole attempt.
fn silence(event: &Event) -> Option<Silence> {
    // The SYN of a client that had given up may be the first that was answered again.
    let latest = if event.evidence == Evidence::GaveUp { event.seen_ns } else { event.latest_ns };
    let holds = event.silent_from_ns < event.seen_ns && latest < event.silent_to_ns;
    holds.then_some(Silence { from: MonotonicNs(event.silent_from_ns), to: MonotonicNs(event.silent_to_ns) })
}

const fn failure(evidence: Evidence) -> Failure {
    match evidence {
        Evidence::Refused => Failure::Refused,
        Evidence::HostUnreachable => Failure::HostUnreachable,
        Evidence::NetUnreachable => Failure::NetUnreachable,
        Evidence::PortUnreachable => Failure::PortUnreachable,
        Evidence::Prohibited => Failure::Prohibited,
        Evidence::KnownFailed => Failure::KnownFailed,
        Evidence::Stalled => Failure::Stalled,
        Evidence::GaveUp => Failure::GaveUp,
        // The programs report nothing else as a failure.
        Evidence::Unanswered
        | Evidence::SynAck
        | Evidence::ClientAck
        | Evidence::Arp
        | Evidence::NeighbourAdvertisement => Failure::Unanswered,
    }
}

const fn standing(flags: u32) -> Standing {
    if flags & ServiceFlags::LISTED != 0 {
        Standing::Listed
    } else if flags & ServiceFlags::ANSWERED != 0 {
        Standing::Learned
    } else {
        Standing::Unknown
    }
}
