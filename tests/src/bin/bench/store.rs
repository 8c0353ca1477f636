//! The same work on either engine: SQLite in a file, PostgreSQL on another host of the lab, both durable at each commit.

use std::env;

use anyhow::{Context as _, Result};
use lab::{Lab, MailSink, Postgres};
use monitor_core::config::{Config, StoreSettings};
use monitor_store::{LocalStore, NotificationPolicy};

use crate::recovery::{Folder, closing, mails};

/// Clients that wait, unless `RINGBACK_WAITING` says otherwise.
const CLIENTS: u32 = 1_000_000;

/// Connections to the mail server.
const CONNECTIONS: u16 = 8;

pub(crate) fn run() -> Result<()> {
    let most = match env::var("RINGBACK_WAITING") {
        Ok(most) => most.parse().context("RINGBACK_WAITING: how many clients are to wait, at least 10")?,
        Err(_) => CLIENTS,
    };
    println!("\nstore: waiting clients, their recovery, and their mails to a local smtp-sink");
    for shared in [false, true] {
        on(shared, move |store, folder, smtp| {
            Box::pin(async move {
                let rate = mails(store, folder.path(), smtp, CONNECTIONS).await?;
                println!("{:<38} {rate:>10.0} mails/s on {CONNECTIONS} connections", name(shared));
                Ok(())
            })
        })?;
    }
    for clients in [most / 10, most] {
        for shared in [false, true] {
            println!("{}", name(shared));
            on(shared, move |store, folder, _| {
                Box::pin(async move {
                    let closed = closing(&store, clients).await;
                    drop(folder);
                    closed
                })
            })?;
        }
    }
    Ok(())
}

const fn name(shared: bool) -> &'static str {
    if shared { "PostgreSQL" } else { "SQLite" }
}

type Work = std::pin::Pin<Box<dyn Future<Output = Result<()>>>>;

/// Runs the work on the gateway of a lab, with an empty store.
fn on(shared: bool, work: impl FnOnce(LocalStore, Folder, String) -> Work + Send) -> Result<()> {
    let lab = Lab::builder().build()?;
    let sink = MailSink::start(lab.gateway(), 2525)?;
    let folder = Folder::new()?;
    let server = if shared { Some(Postgres::start_durable(lab.server(1))?) } else { None };
    // Sockets belong to the namespace of the thread that opens them.
    lab.gateway().enter(|| {
        let inside = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let store = match &server {
            None => LocalStore::open(&folder.database())?,
            Some(server) => {
                let settings = StoreSettings { url: Some(server.url()), ..StoreSettings::default() };
                let config = Config { store: settings, ..Config::default() };
                LocalStore::at(&ringback::parts::database(&config)?, NotificationPolicy::default())?
            }
        };
        inside.block_on(work(store, folder, sink.url())).context("on the gateway")
    })?
}
