//! The end of a turn: what it led to is in the store first, and acted on then.
//!
//! In: a [`Turn`]. Out, in this order: one transaction; letters that are due, marks in the kernel, questions and probes; answers to
//! those who wait for all that.

use std::{collections::HashSet, time::Duration};

use anyhow::{Result, bail};
use monitor_core::{
    domain::Service,
    outage::{Actions, Change, Intake, Mark, Phase},
    port::Clock,
};
use monitor_store::{Applied, Batch, LocalStore, ReadUpTo};
use tokio::time::timeout;

use super::{Core, Turn, is_guarded};
use crate::kernel::{EventSource, KernelPort};

/// Pause before a transaction that failed is tried again. Events wait in the ring buffer meanwhile, and behind it in the
/// kernel's tables.
const RETRY: Duration = Duration::from_secs(1);

impl<K: KernelPort, E: EventSource, C: Clock> Core<K, E, C> {
    /// Commits, then acts.
    pub(super) async fn finish(&mut self, mut turn: Turn) -> Result<()> {
        let read = ReadUpTo { ring: self.ring, position: self.events.position(), steady: Some(self.steady) };
        loop {
            let Turn { actions, learned, answers, seen, questions } = turn;
            if !learned.is_empty() {
                self.retry(|store| {
                    let learned = learned.clone();
                    async move { store.store().learn(learned).await }
                })
                .await?;
            }
            if !actions.changes.is_empty() || !seen.is_empty() {
                self.announce(&actions);
                let batch = Batch { changes: actions.changes.clone(), seen, read: Some(read) };
                let applied: Applied = self
                    .retry(|store| {
                        let batch = batch.clone();
                        async move { store.apply_batch(batch).await }
                    })
                    .await?;
                if applied.letters > 0 {
                    tracing::info!(letters = applied.letters, untold = applied.untold, "people are told");
                    self.wiring.letters.notify_one();
                }
            }
            self.events.release();
            for question in questions {
                // Full: so much is silent that the first few answers will do.
                let _ = self.wiring.questions.try_send(question);
            }
            turn = self.act(&actions)?;
            for (reply, answer) in answers {
                // Whoever waited may have given up; the request is committed all the same.
                let _ = reply.send(answer);
            }
            if turn.actions == Actions::default() {
                return Ok(());
            }
        }
    }

    /// Marks, then what the kernel knows after them (design rule 7), then probes. Answers that slipped in between make another
    /// turn.
    fn act(&mut self, actions: &Actions) -> Result<Turn> {
        for mark in &actions.marks {
            if let Err(error) = self.kernel.mark(*mark) {
                // The outage is in the store; without the mark, further SYNs are found failed by their time-out.
                tracing::error!(?mark, %error, "the kernel does not take the mark");
            }
        }
        let mut again = Turn::default();
        for service in &actions.race_checks {
            if let Some(state) = self.kernel.service(*service)?
                && let Some(observation) = Intake::answers_after_mark(*service, &state, self.offset)
            {
                self.observe(observation, &mut again);
            }
        }
        for service in &actions.probes {
            if !is_guarded(&self.guarded, &self.kernel, *service) {
                // Full: the machine asks again at the next interval.
                let _ = self.wiring.probes.try_send(*service);
            }
        }
        Ok(again)
    }

    /// Does it until it works: nothing that was observed is given up, and the ring buffer holds what comes meanwhile.
    ///
    /// # Errors
    /// The daemon is to stop and the store takes no changes. The next start finds what is not committed in the ring buffer.
    async fn retry<T, F, Why>(&mut self, mut action: impl FnMut(LocalStore) -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Why>>,
        Why: std::fmt::Display,
    {
        loop {
            match action(self.store.clone()).await {
                Ok(done) => {
                    if self.store_error.take().is_some() {
                        tracing::info!("the store takes changes again");
                    }
                    return Ok(done);
                }
                Err(error) if self.stopping.is_cancelled() => {
                    bail!("the store does not take changes ({error}); the kernel keeps what is not in it");
                }
                Err(error) => {
                    let said = error.to_string();
                    // Once, not each second: the journal may be on the same full disk.
                    if self.store_error.as_ref() != Some(&said) {
                        tracing::error!("the store does not take changes; trying again: {said}");
                        self.store_error = Some(said);
                        self.publish();
                    }
                    let _ = timeout(RETRY, self.stopping.cancelled()).await;
                }
            }
        }
    }

    /// Says in the log what opens and closes, and has the names of new outages' servers looked up.
    fn announce(&self, actions: &Actions) {
        let mut opened: HashSet<Service> = actions
            .marks
            .iter()
            .filter_map(|mark| if let Mark::Failed(service) = mark { Some(*service) } else { None })
            .collect();
        for change in &actions.changes {
            match change {
                Change::Put(outage) if outage.phase == Phase::Open && opened.remove(&outage.service) => {
                    tracing::info!(outage = %outage.id, service = %outage.service, evidence = %outage.evidence, "outage");
                    // Full: the name is looked up when the first letter is written.
                    let _ = self.wiring.opened.try_send((outage.id, outage.service));
                }
                Change::Close(closing) => {
                    tracing::info!(outages = ?closing.outages, evidence = %closing.evidence, "recovered");
                }
                Change::Discard { outage, .. } => tracing::info!(%outage, "outage discarded"),
                _ => {}
            }
        }
    }
}
