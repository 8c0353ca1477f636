//! What the machine's tests share: a service, its clients, their attempts, and what becomes of a machine's actions.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::net::IpAddr;

use super::Machine;
use crate::{
    domain::{AttemptMask, ClientAddr, ClockOffset, Moment, MonotonicNs, OutageId, Service, UnixMs},
    outage::{
        Actions, AnsweredAttempt, AnswersSeen, Change, Closing, FailedAttempt, Failure, Mark, Observation, Outage,
        Restored, Rules, Standing,
    },
};

pub(super) const T0: UnixMs = UnixMs(1_000_000);

pub(super) fn ms(later: i64) -> UnixMs {
    UnixMs(T0.0 + later)
}

pub(super) fn service(text: &str) -> Service {
    text.parse().unwrap()
}

pub(super) fn client(n: u8) -> ClientAddr {
    ClientAddr::new(IpAddr::from([10, 0, 1, n]))
}

pub(super) fn web() -> Service {
    service("10.0.2.7:80")
}

/// Of every attempt here: each client makes one.
pub(super) const MASK: AttemptMask = AttemptMask::of(40_000, 1);

/// The path shows answers; of this service there was none.
pub(super) const ANSWERS: AnswersSeen = AnswersSeen { last: None, count: 0, on_path: true, silence: None };

pub(super) fn attempt(evidence: Failure, service: Service, n: u8, at: UnixMs) -> FailedAttempt {
    FailedAttempt {
        client: client(n),
        service,
        mask: MASK,
        evidence,
        seen: MonotonicNs(u64::try_from(at.0).unwrap() * 1_000_000),
        at,
        said: MonotonicNs(u64::try_from(at.0).unwrap() * 1_000_000),
        trying_until: UnixMs::default(),
        attempts: u32::from(evidence != Failure::KnownFailed),
        standing: Standing::Learned,
        known: true,
        answers: Some(ANSWERS),
    }
}

/// The kernel's clock began with the wall clock.
pub(super) const OFFSET: ClockOffset = ClockOffset::from_nanoseconds(0);

pub(super) fn now(wall: UnixMs) -> Moment {
    Moment { wall, offset: OFFSET, steady: OFFSET, known: OFFSET.kernel(wall) }
}

pub(super) fn restored(rules: Rules, outages: Vec<Outage>, next_outage: OutageId) -> (Machine, Actions) {
    let restored = Restored { outages, ended: Vec::new(), next_outage };
    Machine::restore(rules, restored, &now(T0))
}

pub(super) fn machine(rules: Rules) -> Machine {
    restored(rules, Vec::new(), OutageId(1)).0
}

/// An answer at `at`, of an attempt that began a millisecond before.
pub(super) fn answered(service: Service, client: Option<ClientAddr>, at: UnixMs) -> Observation {
    let when = OFFSET.kernel(at);
    let seen = MonotonicNs(when.0.saturating_sub(1_000_000));
    let attempt = client.map(|client| AnsweredAttempt { client, mask: MASK, seen, withdrawn: 0 });
    Observation::Answered { service, attempt, at, when }
}

/// The marks that a recovery takes back.
pub(super) fn ended(service: Service, at: UnixMs) -> Mark {
    Mark::Ended { service, until: OFFSET.kernel(at), report_until: MonotonicNs::default() }
}

pub(super) fn fail(machine: &mut Machine, attempt: FailedAttempt) -> Actions {
    machine.observe(&now(attempt.at), Observation::Failed(attempt))
}

pub(super) fn open(machine: &mut Machine, evidence: Failure, service: Service) -> Actions {
    fail(machine, attempt(evidence, service, 1, T0))
}

pub(super) fn closings(actions: &Actions) -> Vec<&Closing> {
    actions
        .changes
        .iter()
        .filter_map(|change| if let Change::Close(closing) = change { Some(closing) } else { None })
        .collect()
}

pub(super) fn waits(actions: &Actions) -> Vec<ClientAddr> {
    actions
        .changes
        .iter()
        .filter_map(|change| if let Change::Wait { client, .. } = change { Some(*client) } else { None })
        .collect()
}
