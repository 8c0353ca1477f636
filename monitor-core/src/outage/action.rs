//! What the machine wants done, in three kinds that the shell carries out in this order:
//! changes are committed to the store, then the kernel is told, then what it knows is looked at and probes are sent.

use std::{net::IpAddr, time::Duration};

use monitor_common::step;
use serde::{Deserialize, Serialize};

use super::evidence::{Failure, Level, Recovery};
use crate::domain::{AttemptMask, ClientAddr, ClockStep, MonotonicNs, OutageId, Service, UnixMs};

/// Where an outage stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "phase")]
pub enum Phase {
    /// Failures were seen, fewer than the configured minimum (design rule 8).
    Suspected,
    /// The service is failed; further SYNs add their clients at once (F-4).
    Open,
    /// Evidence of recovery was seen; clients are told at `until` if nothing fails before (design rule 8).
    Settling {
        /// When to close.
        #[serde(rename = "settle_until")]
        until: UnixMs,
        /// What said that it is back. An outage has evidence of its own, and both are fields of one object.
        #[serde(rename = "settle_evidence")]
        evidence: Recovery,
        /// When that was seen: the time of recovery that mails name.
        #[serde(rename = "settle_recovered")]
        recovered: UnixMs,
    },
}

/// An outage by the kernel's clock, which alone says what belongs to it (design rule 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The latest SYN that the service answered before its first failed attempt.
    pub from: MonotonicNs,
    /// When it answered again, or was said to be back; `None`: not yet.
    pub until: Option<MonotonicNs>,
    /// The latest failed attempt that this gateway's kernel has reported; `None`: others have reported all of them.
    pub latest: Option<LatestAttempt>,
}

impl Span {
    /// Whether an attempt whose SYN was first seen then belongs to the outage, if it failed. As exact as the kernel keeps
    /// that time of all attempts.
    #[must_use]
    pub fn holds(&self, seen: MonotonicNs) -> bool {
        step(self.from.0) <= step(seen.0) && !self.is_over_before(seen)
    }

    /// Whether an attempt that went on between these two times may have been counted here.
    #[must_use]
    pub fn meets(&self, from: MonotonicNs, until: MonotonicNs) -> bool {
        step(self.from.0) <= step(until.0) && !self.is_over_before(from)
    }

    /// Whether the outage was over when this SYN was first seen.
    #[must_use]
    pub fn is_over_before(&self, seen: MonotonicNs) -> bool {
        self.until.is_some_and(|until| step(until.0) < step(seen.0))
    }
}

/// What the kernel knew when it reported the latest failed attempt at a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatestAttempt {
    /// When its SYN passed, or, if somebody has said that it failed, when that was said.
    pub seen: MonotonicNs,
    /// How often the service had answered, modulo 2^32.
    pub answers: u32,
}

/// An outage as the store keeps it and the machine is restored from (design rule: state is in the store first).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// Its name.
    pub id: OutageId,
    /// The failed service.
    pub service: Service,
    /// Time of the first failed attempt.
    pub since: UnixMs,
    /// Time of the latest failed attempt, or of the latest client that asked to be told.
    pub latest: UnixMs,
    /// The first evidence.
    pub evidence: Failure,
    /// The strongest level of evidence so far: `Host` once any host-level evidence was seen.
    pub level: Level,
    /// Failed attempts so far.
    pub failures: u64,
    /// The same by the kernel's clock, which says nothing elsewhere.
    #[serde(skip)]
    pub span: Span,
    /// Until when one of its clients may still get through by repeating its SYN; 0: nobody may.
    #[serde(default)]
    pub trying_until: UnixMs,
    /// Where it stands.
    #[serde(flatten)]
    pub phase: Phase,
}

impl Outage {
    /// The wall clock has stepped.
    pub(super) fn clock_stepped(&mut self, step: &ClockStep) {
        for time in [&mut self.since, &mut self.latest, &mut self.trying_until] {
            *time = time.moved(step);
        }
        if let Phase::Settling { until, recovered, .. } = &mut self.phase {
            (*until, *recovered) = (until.moved(step), recovered.moved(step));
        }
    }
}

/// A change of durable state. All changes of one batch are one transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Insert or update the outage's row.
    Put(Outage),
    /// Add the client to the outage's waiting list, or update its entry: each client once, first attempt kept, latest
    /// attempt and count advanced (F-7).
    Wait {
        /// Whose list.
        outage: OutageId,
        /// Who waits.
        client: ClientAddr,
        /// Time of this attempt.
        at: UnixMs,
        /// Until when the client may still get through by repeating the attempt's SYN.
        #[serde(default)]
        trying_until: UnixMs,
        /// Attempts to add to the count; 0: it is made, and its fate is to come, or the client only asks.
        attempts: u32,
        /// Evidence of this attempt; it never replaces a more telling one ([`Failure::tells_more_than`]).
        evidence: Failure,
        /// Which attempt it is.
        #[serde(default)]
        mask: AttemptMask,
    },
    /// Take attempts back that did not fail after all, from the first list that has counted them; a client without any left
    /// leaves that list, unless it asked.
    Withdraw {
        /// Whose list.
        outage: OutageId,
        /// And these, if that one has not.
        #[serde(default)]
        instead: Vec<OutageId>,
        /// Whose attempts.
        client: ClientAddr,
        /// How many; 0: an attempt of which nothing is known but that it was made.
        attempts: u32,
        /// Which attempts.
        #[serde(default)]
        mask: AttemptMask,
    },
    /// The client got through by itself meanwhile (design rule 8): it is not told when `skip_connected` is on, unless
    /// it fails again later ([`Change::Wait`] clears the mark).
    Connected {
        /// Whose list.
        outage: OutageId,
        /// Who got through.
        client: ClientAddr,
        /// When.
        at: UnixMs,
    },
    /// Close these outages together, empty their waiting lists and write one outbox row per recipient (design rule 6).
    /// Who may still get through stays on the list.
    Close(Closing),
    /// The outages are closed. Tell who has stayed on their lists and cannot get through any more.
    Settle {
        /// As when they were closed.
        closing: Closing,
        /// Nobody is to stay: this is the last of it.
        last: bool,
    },
    /// Another gateway has closed the outage, and tells. Its list may still change, as after [`Change::Close`].
    EndedElsewhere {
        /// Which.
        outage: OutageId,
        /// When.
        at: UnixMs,
        /// The same by the kernel's clock.
        until: MonotonicNs,
    },
    /// End the outage without telling anybody: never confirmed, or everyone in it has aged out (F-8). The waiting
    /// list is emptied.
    Discard {
        /// Which.
        outage: OutageId,
        /// When.
        at: UnixMs,
    },
    /// Remove waiting entries whose latest attempt is older than this, of every outage (F-8).
    Purge {
        /// Entries with a latest attempt before this go.
        older_than: UnixMs,
    },
}

/// One recovery: the outages that end by the same evidence at the same time. A person who waits in several of them
/// gets one mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// At least one; ascending.
    pub outages: Vec<OutageId>,
    /// Time of the recovery.
    pub recovered: UnixMs,
    /// The same by the kernel's clock: attempts that began later do not belong to these outages.
    #[serde(default)]
    pub until: MonotonicNs,
    /// What said so.
    pub evidence: Recovery,
    /// Up to when all answers are known. Clients that may get through later stay on the list.
    #[serde(default)]
    pub known: UnixMs,
    /// Clients whose latest attempt is before this are not told (F-8).
    pub tell_since: UnixMs,
    /// Leave out clients that got through by themselves.
    pub skip_connected: bool,
}

/// What the kernel is to be told, after the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Report further SYNs to this service at once, and its answers.
    Failed(Service),
    /// The service is not failed any more.
    Recovered(Service),
    /// The same, of a service whose outage has ended: attempts that began before are still to be reported.
    Ended {
        /// Which.
        service: Service,
        /// When its outage ended.
        until: MonotonicNs,
        /// Until when all its answers are to be reported; zero: only those of attempts that were reported.
        report_until: MonotonicNs,
    },
    /// Report ARP and neighbour advertisements of this host.
    HostFailed(IpAddr),
    /// No longer.
    HostRecovered(IpAddr),
}

/// Everything the machine wants done after one observation or tick.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    /// To the store, in order, in one transaction.
    pub changes: Vec<Change>,
    /// To the kernel, in order, after the commit.
    pub marks: Vec<Mark>,
    /// Services that were just marked failed and may have answered between their last failed attempt and the mark, which
    /// nobody reports. What the kernel knows after the mark is the answer: [`super::Observation::AnswersAfterMark`] (design
    /// rule 7).
    pub race_checks: Vec<Service>,
    /// Services to try to connect to; each is answered by [`super::Observation::Probed`].
    pub probes: Vec<Service>,
}

impl Actions {
    /// Adds what is to be done afterwards.
    pub fn append(&mut self, mut later: Self) {
        self.changes.append(&mut later.changes);
        self.marks.append(&mut later.marks);
        self.race_checks.append(&mut later.race_checks);
        self.probes.append(&mut later.probes);
    }

    /// Whether the client is put onto a waiting list.
    #[must_use]
    pub fn list(&self, client: ClientAddr) -> bool {
        self.changes.iter().any(|change| matches!(change, Change::Wait { client: listed, .. } if *listed == client))
    }
}

/// The operator's choices that the rules depend on (design rule 8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether a refused attempt is a failed one (F-6).
    pub refused_is_failure: bool,
    /// Only clients that are in the address book are remembered (F-7).
    pub only_known_clients: bool,
    /// Attempts of clients without an address on record that one outage lists: forged ones must not fill the disk.
    pub max_unknown: u64,
    /// Failed attempts that open an outage, at least 1.
    pub min_failures: u32,
    /// Different clients that open an outage, at least 1.
    pub min_clients: u32,
    /// A refusal of one client alone opens an outage only if a probe is not accepted either (V-1).
    pub confirm_refusals: bool,
    /// A suspicion that is not confirmed within this time is discarded.
    pub suspect_for: Duration,
    /// How long a recovered service must stay without a failure before clients are told; zero: at once.
    pub settle: Duration,
    /// Attempts older than this are not told, and are purged (F-8).
    pub max_age: Duration,
    /// Leave out clients that got through by themselves.
    pub skip_connected: bool,
    /// A trap is believed only if a probe confirms it.
    pub confirm_traps: bool,
    /// First pause between probes of a failed service; `None`: no probes (F-14).
    pub probe_interval: Option<Duration>,
    /// The longest pause that back-off leads to.
    pub probe_max_interval: Duration,
    /// How long other gateways, which may have seen the answer, are asked before silence opens an outage; `None`: there are
    /// none.
    pub ask: Option<Duration>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            refused_is_failure: true,
            only_known_clients: false,
            max_unknown: 1_000_000,
            min_failures: 1,
            min_clients: 1,
            confirm_refusals: true,
            suspect_for: Duration::from_secs(60),
            settle: Duration::ZERO,
            max_age: Duration::from_secs(24 * 3600),
            skip_connected: false,
            confirm_traps: false,
            probe_interval: None,
            probe_max_interval: Duration::from_secs(300),
            ask: None,
        }
    }
}
