//! The kernel's rooms: the programs, the guards that decide with them, and the page that answers for failed servers.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use monitor_core::config::Config;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{stores::Stores, supervise::Tasks};
use crate::{
    guard::{self, GuardLine},
    kernel::{self, Events, Kernel},
    listener::FileShares,
    page::{self, Limits, Page},
    port::CoreHandle,
};

/// Attached to the interfaces, and not listened to by the core yet.
pub(super) struct Watching {
    pub(super) kernel: Kernel,
    pub(super) events: Events,
    /// What the guards publish.
    pub(super) guards: watch::Receiver<Vec<GuardLine>>,
    pub(super) page: Option<Page>,
    /// How much one client may ask for.
    pub(super) limits: Arc<Limits>,
}

impl Watching {
    /// Starts the guards among `tasks`, until `cancel`.
    pub(super) async fn start(
        config: &Config,
        stores: &Stores,
        core: &CoreHandle,
        (page, shares): (watch::Receiver<Arc<page::PageInForce>>, FileShares),
        (tasks, cancel): (&mut Tasks, &CancellationToken),
    ) -> Result<Self> {
        let (mut kernel, events) = Kernel::start(&config.watch, !config.guard.is_empty())?;
        // The guards decide before there is anything to decide on: from the first frame that the programs see, nothing
        // passes unchecked, however long attaching takes.
        let guards = guards(config, stores, &mut kernel, core, (tasks, cancel)).await?;
        kernel.attach(&config.watch).await?;
        if !config.standin.enabled {
            kernel::remove_stand_in(&config.watch.pin_dir)?;
        }
        let limits = Arc::new(Limits::new(&config.standin, shares.page));
        let page = if page::is_wanted(&config.standin) {
            let maps = kernel.take_stand_in()?;
            if config.standin.enabled {
                kernel.attach_stand_in(&config.watch)?;
            }
            let surroundings = page::Surroundings {
                store: stores.store.clone(),
                core: core.clone(),
                limits: Arc::clone(&limits),
                in_force: page,
                state_dir: config.store.state_dir.clone(),
            };
            Some(Page::start(maps, surroundings).await?)
        } else {
            None
        };
        Ok(Self { kernel, events, guards, page, limits })
    }
}

/// Starts the guards, if there are any; says what they publish.
async fn guards(
    config: &Config,
    stores: &Stores,
    kernel: &mut Kernel,
    core: &CoreHandle,
    (tasks, cancel): (&mut Tasks, &CancellationToken),
) -> Result<watch::Receiver<Vec<GuardLine>>> {
    if config.guard.is_empty() {
        return Ok(watch::channel(Vec::new()).1);
    }
    let outages = stores.local.store().outages(false, u32::MAX).await.context("reading the outages")?;
    let failed: Vec<_> = outages.into_iter().map(|record| record.outage.service).collect();
    let (worker, lines) = guard::Worker::new(kernel.take_guards()?, &config.guard, &failed, core.clone())?;
    tasks.spawn("guards", worker.run(cancel.clone()));
    Ok(lines)
}
