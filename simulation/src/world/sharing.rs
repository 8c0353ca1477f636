//! Gateways that share a database: each hands on what it has committed, asks about silence, and hears what the others have
//! seen. A copy of the order of steps of the daemon's replicator (`monitor-userspace/src/daemon/replication.rs`).

use std::path::PathBuf;

use anyhow::Result;
use monitor_common::{Addr, Attempt};
use monitor_core::{
    domain::{MonotonicNs, UnixMs},
    outage::{Observation, Question},
};
use monitor_store::{Following, Gateway as Name, LocalStore, Location, NotificationPolicy, SharedStore};

use super::{Happening, World, gateway::Gateway};
use crate::{book, disk::Disk, plan::Plan, time::SECOND};

/// Between two looks at the shared database.
const LOOK: u64 = SECOND;

/// Batches that are handed on at once.
const BATCHES: u32 = 16;

/// The database that gateways share.
pub(crate) struct Shared {
    pub(crate) store: SharedStore,
    pub(crate) database: PathBuf,
}

impl Shared {
    /// `None`: there is one gateway.
    pub(crate) fn open(plan: &Plan, disk: &Disk) -> Result<Option<Self>> {
        if plan.gateways < 2 {
            return Ok(None);
        }
        let database = disk.fresh()?;
        let location = Location::from(database.as_path());
        let (store, _) = SharedStore::at_or_later(&location, NotificationPolicy::default())?;
        disk.wait(store.store().put_addresses(book::addresses(plan.scenario.clients)))?;
        Ok(Some(Self { store, database }))
    }
}

/// The name of a gateway.
pub(crate) fn name(number: usize) -> Name {
    Name { name: format!("gateway-{number}"), host: format!("host-{number}") }
}

impl World<'_> {
    /// One look of a gateway's replicator, while its daemon lives.
    pub(crate) fn shares(&mut self, gateway: usize) -> Result<()> {
        self.queue.push(self.now + LOOK, Happening::Shares { gateway });
        if self.gateways[gateway].daemon.is_none() || self.store_refuses() {
            return Ok(());
        }
        let Some(shared) = self.shared.as_ref().map(|shared| shared.store.clone()) else { return Ok(()) };
        let (disk, wall, name) = (self.disk, self.clocks().wall(), name(gateway));
        let store = self.gateways[gateway].store.clone();
        self.pushes(gateway, &store, &shared)?;
        let questions = std::mem::take(&mut self.gateways[gateway].questions);
        if !questions.is_empty() {
            disk.wait(shared.ask(name.clone(), questions, wall))?;
        }
        let following = disk.wait(shared.follow(name, wall))?;
        self.follows(gateway, &shared, following)?;
        if let Some(mailer) = &mut self.gateways[gateway].mailer {
            mailer.wake(self.now);
        }
        self.schedule_mail(gateway, self.now);
        Ok(())
    }

    fn pushes(&mut self, gateway: usize, store: &LocalStore, shared: &SharedStore) -> Result<()> {
        loop {
            let batches = self.disk.wait(store.to_share(BATCHES))?;
            let Some(last) = batches.last().map(|batch| batch.number) else { return Ok(()) };
            for batch in batches {
                let wall = self.clocks().wall();
                self.disk.wait(shared.share(name(gateway), batch, wall))?;
            }
            self.disk.wait(store.was_shared(last))?;
        }
    }

    fn follows(&mut self, gateway: usize, shared: &SharedStore, following: Following) -> Result<()> {
        let Following { opened, ended, asked, answered, .. } = following;
        let known: Vec<(i64, UnixMs)> = asked
            .into_iter()
            .filter_map(|(number, question)| Some((number, self.hears(gateway, &question)?)))
            .collect();
        if !known.is_empty() {
            self.disk.wait(shared.answer(known))?;
        }
        for (question, well) in answered {
            let (Question { service, client, attempts, .. }, mask) = (question, question.mask());
            self.say(gateway, Observation::AnsweredElsewhere { service, client, mask, attempts, well });
        }
        for outage in opened {
            self.say(gateway, Observation::OpenElsewhere(outage));
        }
        for end in ended {
            self.say(gateway, Observation::EndedElsewhere { outage: end.outage, at: end.ended });
        }
        Ok(())
    }

    /// Up to when the service is known to have been well, at this gateway.
    fn hears(&self, gateway: usize, question: &Question) -> Option<UnixMs> {
        let Gateway { path, .. } = &self.gateways[gateway];
        let attempt = Attempt {
            client: Addr::from(question.client.ip()),
            server: Addr::from(question.service.addr()),
            client_port: question.client_port,
            server_port: question.service.port(),
            seq: question.seq,
            ..Attempt::default()
        };
        let state = path.service(attempt.server, attempt.server_port).copied().unwrap_or_default();
        let last = (state.last_answer_ns != 0).then(|| self.clocks().offset.unix(MonotonicNs(state.last_answer_ns)));
        question.well(path.has_unmatched(&attempt), last)
    }
}
