//! A client that asks to be told: it waits like one that has tried (F-24, B-2).

use std::time::Duration;

use monitor_core::{
    domain::{ClientAddr, MonotonicNs, Service, UnixMs},
    outage::{FailedAttempt, Failure, Observation, Standing},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::Reported;
use crate::clock::Now as _;

/// What is not in the store by then counts as not kept.
const LIMIT: Duration = Duration::from_secs(5);

/// Puts the client onto the waiting list of the service's outage, if there is one. `on_record`: it has just said where it
/// is told. `None`: the core does not say that this is committed.
pub async fn wait(
    reported: &mpsc::Sender<Reported>,
    client: ClientAddr,
    service: Service,
    on_record: bool,
) -> Option<()> {
    let (committed, done) = oneshot::channel();
    let attempt = FailedAttempt {
        client,
        service,
        evidence: Failure::KnownFailed,
        seen: MonotonicNs::now(),
        last_answer: None,
        at: UnixMs::now(),
        // It has not tried, or its SYN was counted when it passed.
        attempts: 0,
        standing: Standing::Learned,
        answers_seen: true,
        known: on_record,
    };
    let observation = Observation::Failed(attempt);
    reported.send(Reported { observation, seen: None, committed }).await.ok()?;
    timeout(LIMIT, done).await.ok()?.ok()
}
