//! The recovery of a service that a million clients wait for: the closing transaction, its memory, and the mails from the
//! real store to a local mail server.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab::{Lab, MailSink};
use monitor_core::{
    config::{self, ConfigError},
    domain::{AttemptMask, ClientAddr, ClientNet, ClockOffset, Moment, MonotonicNs, OutageId, Service, UnixMs},
    mail::{AddressEntry, Origin},
    outage::{AnswersSeen, Change, FailedAttempt, Failure, Machine, Observation, Restored, Rules, Standing, Target},
};
use monitor_store::LocalStore;
use ringback::{
    clock::Now as _,
    notify::{Delivery, Mail, OutboxWorker},
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::report::peak_memory;

/// Clients that wait.
const CLIENTS: u32 = 1_000_000;

/// Attempts in one transaction, as in the daemon.
const BATCH: usize = 4096;

/// Mails that are sent, of as many clients.
const MAILS: u32 = 20_000;

pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("\nrecovery of a service, each waiting client with a mail address of its own");
    for clients in [CLIENTS / 10, CLIENTS] {
        let folder = Folder::new()?;
        runtime.block_on(closing(&LocalStore::open(&folder.database())?, clients))?;
    }
    for connections in [1, 8] {
        let lab = Lab::builder().build()?;
        let sink = MailSink::start(lab.gateway(), 2525)?;
        let folder = Folder::new()?;
        // Sockets belong to the namespace of the thread that opens them.
        let rate = lab.gateway().enter(|| {
            let inside = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let store = LocalStore::open(&folder.database())?;
            inside.block_on(mails(store, folder.path(), sink.url(), connections))
        })??;
        println!("{:<38} {rate:>10.0} mails/s on {connections} connections", "outbox in the store, local smtp-sink");
    }
    Ok(())
}

/// A folder that goes with the value.
pub(crate) struct Folder(std::path::PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("ringback-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn database(&self) -> std::path::PathBuf {
        self.0.join("ringback.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left lies in the system's folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn service() -> Service {
    Service::new(Ipv4Addr::new(10, 0, 2, 7).into(), 80)
}

fn client(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0b00_0000 | number).into()
}

/// An open outage with this many waiting clients, each in the address book. Returns the machine and the time it took to
/// bring the attempts to the disk.
async fn waiting(store: &LocalStore, clients: u32) -> Result<(Machine, Duration)> {
    let book = (0..clients).map(|number| AddressEntry {
        client: ClientNet::new(client(number).into()),
        mail: format!("client{number}@example.test"),
        language: None,
        origin: Origin::Operator,
        registered: UnixMs::now(),
    });
    store.store().put_addresses(book.collect()).await?;
    let restored = Restored { outages: Vec::new(), ended: Vec::new(), next_outage: OutageId(1) };
    let (mut machine, _) = Machine::restore(Rules::default(), restored, &now());
    let begun = Instant::now();
    let mut changes: Vec<Change> = Vec::new();
    // Each attempt is reported twice: that it is made, and that it failed.
    let hints = (1..clients).map(|number| attempt(number, Failure::KnownFailed));
    let reports = std::iter::once(attempt(0, Failure::Refused)).chain(hints);
    for report in reports.chain((1..clients).map(|number| attempt(number, Failure::Unanswered))) {
        changes.extend(machine.observe(&now(), Observation::Failed(report)).changes);
        if changes.len() >= BATCH {
            store.apply(std::mem::take(&mut changes)).await?;
        }
    }
    store.apply(changes).await?;
    Ok((machine, begun.elapsed()))
}

/// An attempt of a client that cannot get through any more.
fn attempt(number: u32, evidence: Failure) -> FailedAttempt {
    FailedAttempt {
        client: ClientAddr::new(client(number)),
        service: service(),
        mask: AttemptMask::of(40_000, number),
        evidence,
        seen: MonotonicNs(1),
        at: UnixMs::now(),
        said: MonotonicNs(1),
        trying_until: UnixMs(0),
        attempts: u32::from(evidence != Failure::KnownFailed),
        standing: Standing::Learned,
        known: true,
        answers: Some(AnswersSeen { last: None, count: 0, on_path: true, silence: None }),
    }
}

fn now() -> Moment {
    let offset = ClockOffset::from_nanoseconds(0);
    let wall = UnixMs::now();
    Moment { wall, offset, steady: offset, known: offset.kernel(wall) }
}

/// Fills and closes an empty store.
pub(crate) async fn closing(store: &LocalStore, clients: u32) -> Result<()> {
    let (mut machine, filled) = waiting(store, clients).await?;
    let before = peak_memory()?;
    let changes = close(&mut machine);
    let begun = Instant::now();
    let applied = store.apply(changes).await?;
    let took = begun.elapsed();
    anyhow::ensure!(applied.letters == u64::from(clients), "{applied:?}");
    println!(
        "{:<38} {:>10.0} attempts/s to the disk; closed in {:.2} s; {} MiB more at the peak ({} MiB in all)",
        format!("{clients} waiting clients"),
        f64::from(clients) / filled.as_secs_f64(),
        took.as_secs_f64(),
        (peak_memory()? - before) >> 20,
        peak_memory()? >> 20,
    );
    Ok(())
}

fn close(machine: &mut Machine) -> Vec<Change> {
    let signal = Observation::Signal { target: Target::Service(service()), at: MonotonicNs::now() };
    machine.observe(&now(), signal).changes
}

/// Mails per second from an empty store.
pub(crate) async fn mails(store: LocalStore, state_dir: &Path, smtp: String, connections: u16) -> Result<f64> {
    let (mut machine, _) = waiting(&store, MAILS).await?;
    let settings = config::Notify { smtp: Some(smtp), connections, reverse_dns: false, ..Default::default() };
    let mail = Mail::load(&settings, state_dir).map_err(ConfigError::from)?;
    let delivery = Arc::new(Delivery::of_mails(mail));
    store.apply(close(&mut machine)).await?;
    let outbox = store.store().outbox();
    let begun = Instant::now();
    let cancel = CancellationToken::new();
    let worker = OutboxWorker::new(outbox.clone(), delivery, Arc::new(Notify::new()));
    let task = tokio::spawn(worker.run(cancel.clone()));
    while outbox.counts().await?.delivered < u64::from(MAILS) {
        anyhow::ensure!(begun.elapsed() < Duration::from_secs(120), "{:?}", outbox.counts().await?);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let rate = f64::from(MAILS) / begun.elapsed().as_secs_f64();
    cancel.cancel();
    task.await??;
    Ok(rate)
}
