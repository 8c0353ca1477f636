//! The outbox worker: due letters to the delivery workers, outcomes back to the store in batches.
//!
//! It never forgets a letter: what it took and did not record is due again when its lease is over, or at the next
//! start.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use monitor_core::{
    domain::{MonotonicNs, UnixMs},
    mail::{Letter, LetterId, Outcome, Pacer},
};
use monitor_store::StoreError;
use tokio::{
    sync::{Mutex, Notify, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{delivery::Delivery, delivery_worker::DeliveryWorker, lease::Lease, queue::LetterQueue};
use crate::clock::Now as _;

/// Letters read from the store at once.
const TAKE: usize = 512;
/// Letters in memory at most: those that delivery workers have, and those that the pacer holds back. With more than
/// this held for one service, letters about others wait too.
const IN_HAND: usize = 8192;
/// Pause after the store failed.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// The store is asked again for letters that are due at this time at the earliest; new ones come with a wake-up.
const STORE_REST: Duration = Duration::from_millis(5);
/// The store is asked at least this often: nobody relies on a wake-up that got lost, or on a clock that does not jump.
const LOOK: Duration = Duration::from_secs(60);

/// How long a stop waits for letters that are on their way. Less than what systemd waits before it kills.
const FINISH: Duration = Duration::from_secs(20);
/// And then for what delivery workers say of those that they break off.
const BREAK_OFF: Duration = Duration::from_secs(1);

/// Delivers what is due until it is cancelled.
pub struct OutboxWorker<Q> {
    outbox: Q,
    delivery: Arc<Delivery>,
    wake: Arc<Notify>,
    finish: Duration,
}

/// The worker while it runs.
struct Running<Q> {
    outbox: Q,
    pacer: Pacer,
    lease: Lease,
    queue: mpsc::Sender<Letter>,
    /// Taken, and its outcome not yet recorded.
    in_hand: HashSet<LetterId>,
    /// To be recorded.
    outcomes: Vec<(LetterId, Outcome)>,
    /// When to ask the store for letters.
    look: Instant,
}

/// Frees what an earlier worker had taken, as soon as the store can be reached; `false`: cancelled before.
async fn release<Q: LetterQueue>(outbox: &Q, cancel: &CancellationToken) -> Result<bool, StoreError> {
    loop {
        let released = tokio::select! {
            () = cancel.cancelled() => return Ok(false),
            released = outbox.release_leases() => released,
        };
        match released {
            Ok(()) => return Ok(true),
            Err(StoreError::Closed) => return Err(StoreError::Closed),
            Err(error) => tracing::debug!(%error, "outbox"),
        }
        tokio::select! {
            () = cancel.cancelled() => return Ok(false),
            () = tokio::time::sleep(STORE_PAUSE) => {}
        }
    }
}

/// Waits for the delivery workers to finish what they have begun, for so long at most; then has them break it off.
async fn finish(
    outcomes: &mut Vec<(LetterId, Outcome)>,
    results: &mut mpsc::Receiver<(LetterId, Outcome)>,
    mut limit: Duration,
    break_off: &CancellationToken,
) {
    loop {
        let finish = async { while results.recv_many(outcomes, TAKE).await > 0 {} };
        if tokio::time::timeout(limit, finish).await.is_ok() || break_off.is_cancelled() {
            return;
        }
        tracing::warn!(
            "the mail server is slow: letters on their way are broken off and sent again after the next start"
        );
        break_off.cancel();
        limit = BREAK_OFF;
    }
}

impl<Q: LetterQueue> OutboxWorker<Q> {
    /// `wake`: whoever adds letters to the outbox calls `notify_one` on it after the commit.
    #[must_use]
    pub fn new(outbox: Q, delivery: Arc<Delivery>, wake: Arc<Notify>) -> Self {
        Self { outbox, delivery, wake, finish: FINISH }
    }

    /// How long a stop waits for letters that are on their way, in place of 20 s.
    #[must_use]
    pub const fn finish_within(mut self, limit: Duration) -> Self {
        self.finish = limit;
        self
    }

    /// Runs until `cancel`; then finishes the letters that delivery workers have begun, for 20 s at most, records them
    /// and returns. Of one gateway only one worker may run on an outbox: at its start it frees what an earlier one had
    /// taken.
    ///
    /// # Errors
    /// [`StoreError::Closed`]; other errors of the store are logged, and what failed is done again.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), StoreError> {
        if !release(&self.outbox, &cancel).await? {
            return Ok(());
        }
        // Room for everything in hand: handing over and reporting back never wait.
        let (queue, letters) = mpsc::channel(IN_HAND);
        let (results_in, mut results) = mpsc::channel(IN_HAND);
        let letters = Arc::new(Mutex::new(letters));
        let mut workers = JoinSet::new();
        let (lease, break_off) = (Lease::new(self.outbox.lease()), CancellationToken::new());
        for _ in 0..self.delivery.connections {
            let worker = DeliveryWorker {
                delivery: Arc::clone(&self.delivery),
                outbox: self.outbox.clone(),
                letters: Arc::clone(&letters),
                results: results_in.clone(),
                lease: lease.clone(),
                cancel: cancel.clone(),
                break_off: break_off.clone(),
            };
            workers.spawn(worker.run());
        }
        drop(results_in);
        let mut running = Running {
            outbox: self.outbox,
            pacer: Pacer::new(self.delivery.rate),
            lease,
            queue,
            in_hand: HashSet::new(),
            outcomes: Vec::new(),
            look: Instant::now(),
        };
        loop {
            let wait_until = match running.step().await {
                Ok(instant) => instant,
                Err(StoreError::Closed) => return Err(StoreError::Closed),
                Err(error) => {
                    // Who shares the database says so.
                    if !matches!(error, StoreError::Unreachable(_)) {
                        tracing::error!(%error, "outbox");
                    }
                    Instant::now() + STORE_PAUSE
                }
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                got = results.recv_many(&mut running.outcomes, TAKE) => {
                    if got == 0 {
                        tracing::error!("every delivery worker has ended; no mail is sent until a restart");
                        break;
                    }
                }
                () = self.wake.notified() => running.look = Instant::now(),
                () = tokio::time::sleep_until(wait_until.into()) => {}
            }
        }
        drop(running.queue);
        finish(&mut running.outcomes, &mut results, self.finish, &break_off).await;
        workers.shutdown().await;
        if running.outcomes.is_empty() { Ok(()) } else { running.outbox.record(running.outcomes).await }
    }
}

impl<Q: LetterQueue> Running<Q> {
    /// Records, releases, takes; returns when there is something to do again if nothing happens before.
    async fn step(&mut self) -> Result<Instant, StoreError> {
        self.record().await?;
        self.renew().await?;
        for letter in self.pacer.release(MonotonicNs::now()) {
            self.hand_out(letter);
        }
        if self.look <= Instant::now() {
            self.take().await?;
        }
        let next = if self.lease.holds() { self.look.min(self.lease.renew_at()) } else { self.look };
        let now = MonotonicNs::now();
        Ok(self.pacer.next_deadline().map_or(next, |held| next.min(Instant::now() + held.since(now))))
    }

    /// Keeps what is in hand. Where that could not be done in time, it may be in other hands: it is given up first.
    async fn renew(&mut self) -> Result<(), StoreError> {
        let since = Instant::now();
        if self.lease.holds() && since < self.lease.renew_at() {
            return Ok(());
        }
        if !self.lease.holds() {
            for letter in self.pacer.give_up() {
                self.in_hand.remove(&letter.id);
            }
            // Delivery workers give back what they have not begun.
            if !self.in_hand.is_empty() {
                self.look = since + STORE_PAUSE;
                return Ok(());
            }
            // Those that nobody has taken meanwhile are due again.
            self.outbox.release_leases().await?;
            self.lease.renew(since);
            self.look = since;
            return Ok(());
        }
        self.outbox.renew_leases(UnixMs::now() + self.lease.length()).await?;
        self.lease.renew(since);
        Ok(())
    }

    async fn record(&mut self) -> Result<(), StoreError> {
        if self.outcomes.is_empty() {
            return Ok(());
        }
        self.outbox.record(self.outcomes.clone()).await?;
        let now_due = |outcome: &Outcome| matches!(outcome, Outcome::Retry { .. });
        let retry = self.outcomes.iter().any(|(_, outcome)| now_due(outcome));
        let was_full = self.is_full();
        for (id, _) in self.outcomes.drain(..) {
            self.in_hand.remove(&id);
        }
        if retry || (was_full && !self.is_full()) {
            self.look = Instant::now();
        }
        Ok(())
    }

    async fn take(&mut self) -> Result<(), StoreError> {
        if self.is_full() || !self.lease.holds() {
            self.look = Instant::now() + LOOK;
            return Ok(());
        }
        let limit = TAKE.min(IN_HAND - self.in_hand.len());
        let letters =
            self.outbox.take_due(UnixMs::now(), u32::try_from(limit).unwrap_or(u32::MAX), self.lease.length()).await?;
        let all_taken = letters.len() < limit;
        for letter in letters {
            if self.in_hand.insert(letter.id)
                && let Some(letter) = self.pacer.admit(MonotonicNs::now(), letter)
            {
                self.hand_out(letter);
            }
        }
        if all_taken {
            let due = self.outbox.next_due().await?;
            let wait = due.map_or(LOOK, |due| due.since(UnixMs::now()).clamp(STORE_REST, LOOK));
            self.look = Instant::now() + wait;
        }
        Ok(())
    }

    fn hand_out(&mut self, letter: Letter) {
        if let Err(error) = self.queue.try_send(letter) {
            // Cannot happen: the queue has room for all that is in hand. Its lease would bring the letter back.
            tracing::error!(%error, "letter not handed to a delivery worker");
        }
    }

    fn is_full(&self) -> bool {
        self.in_hand.len() >= IN_HAND
    }
}
