//! A delivery worker, one of several: takes a letter, tries it once, reports what became of it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use monitor_core::{
    domain::UnixMs,
    mail::{Attempt, Letter, LetterId, Outcome, expired, outcome},
};
use tokio::{
    sync::{Mutex, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::clock::Now as _;

use super::{delivery::Delivery, lease::Lease, queue::LetterQueue};

/// How long an unused connection is kept for the next letter.
const IDLE: Duration = Duration::from_secs(5);
/// Long enough to mean "for ever" to a timer.
const FOR_EVER: Duration = Duration::from_secs(365 * 86_400);

/// Takes letters from a queue that all delivery workers share.
pub(super) struct DeliveryWorker<Q> {
    pub(super) delivery: Arc<Delivery>,
    pub(super) outbox: Q,
    pub(super) letters: Arc<Mutex<mpsc::Receiver<Letter>>>,
    pub(super) results: mpsc::Sender<(LetterId, Outcome)>,
    pub(super) lease: Lease,
    pub(super) cancel: CancellationToken,
    /// The stop waits no longer for what was begun.
    pub(super) break_off: CancellationToken,
}

impl<Q: LetterQueue> DeliveryWorker<Q> {
    /// Until cancelled; a letter that was begun is finished first. If that takes too long for the stop, it is broken off: the
    /// next start sends it again at once, or, where it may have been taken, after a pause.
    pub(super) async fn run(self) {
        let mut carrier = self.delivery.carrier();
        loop {
            let patience = if carrier.is_open() { IDLE } else { FOR_EVER };
            let next = async { self.letters.lock().await.recv().await };
            let letter = tokio::select! {
                biased;
                () = self.cancel.cancelled() => break,
                letter = timeout(patience, next) => letter,
            };
            let mut letter = match letter {
                Ok(Some(letter)) => letter,
                Ok(None) => break,
                Err(_) => {
                    carrier.rest().await;
                    continue;
                }
            };
            let id = letter.id;
            let (became, rest) = match expired(&letter, UnixMs::now()) {
                _ if !self.lease.holds() => (given_back(), false),
                Some(dead) => (dead, false),
                None => {
                    self.name_servers(&mut letter).await;
                    let attempt = tokio::select! {
                        biased;
                        attempt = carrier.carry(&self.delivery, &letter, Some(&self.lease)) => attempt,
                        () = self.break_off.cancelled() => match carrier.broken_off() {
                            Some(attempt) => Some(attempt),
                            None => break,
                        },
                    };
                    let rest = matches!(attempt, Some(Attempt::NoSession(_)));
                    (self.became(letter.clone(), attempt), rest)
                }
            };
            tell(&letter, &became);
            if self.results.send((id, became)).await.is_err() {
                break;
            }
            if rest {
                // The mail server, not the letter, is the trouble. The other letters stay queued, untried; each
                // worker asks once per pause, however many letters there are.
                tokio::select! {
                    () = self.cancel.cancelled() => break,
                    () = tokio::time::sleep(self.delivery.backoff.first()) => {}
                }
            }
        }
        carrier.rest().await;
    }

    /// What became of it; `None`: it was not begun.
    fn became(&self, mut letter: Letter, attempt: Option<Attempt>) -> Outcome {
        let Some(attempt) = attempt else { return given_back() };
        if !self.lease.holds() {
            // Whether its lifetime is over is known by the store's times alone.
            letter.expires = UnixMs(i64::MAX);
        }
        outcome(&letter, attempt, UnixMs::now(), self.delivery.backoff)
    }

    /// Fills in names that are not known yet (F-16), and keeps them.
    async fn name_servers(&self, letter: &mut Letter) {
        let mut asked: Option<(IpAddr, Option<String>)> = None;
        for service in letter.services_mut().iter_mut().filter(|service| service.server_name.is_none()) {
            let addr = service.service.addr();
            let name = match &asked {
                Some((known, name)) if *known == addr => name.clone(),
                _ => self.delivery.names().name_of(addr).await,
            };
            asked = Some((addr, name.clone()));
            let Some(name) = name else { continue };
            if let Err(error) = self.outbox.set_server_name(service.outage, name.clone()).await {
                tracing::warn!(outage = %service.outage, %error, "server name not kept");
            }
            service.server_name = Some(name);
        }
    }
}

/// Not begun: another gateway may have it by now, or its times have moved. If none has, it is due.
fn given_back() -> Outcome {
    let reason = "not begun: the database was out of reach for too long, or the clock was set";
    Outcome::Retry { at: UnixMs::now(), reason: reason.to_owned() }
}

/// Says what became of a letter; who it was for, and answers that may quote that, only when debugging.
fn tell(letter: &Letter, became: &Outcome) {
    let letter_id = letter.id.0;
    // A letter with words of its own speaks of none.
    let outage = letter.services().first().map(|service| service.outage.0);
    match became {
        Outcome::Delivered { .. } => tracing::info!(letter = letter_id, outage, "letter delivered"),
        Outcome::Retry { at, .. } => tracing::info!(letter = letter_id, outage, retry_at_ms = at.0, "letter put off"),
        Outcome::Dead { .. } => tracing::warn!(letter = letter_id, outage, "letter given up"),
    }
    if let Outcome::Retry { reason, .. } | Outcome::Dead { reason, .. } = became {
        tracing::debug!(letter = letter_id, to = letter.to, reason, "letter not delivered");
    }
}
