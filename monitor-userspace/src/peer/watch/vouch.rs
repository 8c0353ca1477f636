//! Whether an application works (O-5): a connection, an HTTP answer or a command, tried again and again.
//!
//! In: what the configuration names. Out: a flag that the thread of the heartbeats reads.

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::config::Application;

/// The latest finding. Without an application the daemon vouches for itself.
#[derive(Clone, Debug)]
pub(crate) struct Vouch(Arc<AtomicBool>);

impl Vouch {
    /// For nothing but the daemon itself.
    pub(crate) fn always() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    /// Whether it worked at the last try.
    pub(crate) fn works(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Tries the application every `period` until `cancel`; a try may take as long. Before the first one it does not work.
    pub(crate) fn of(application: &Application, period: Duration, cancel: CancellationToken) -> Self {
        let works = Self(Arc::new(AtomicBool::new(false)));
        let (found, application) = (works.clone(), application.clone());
        tokio::spawn(async move {
            let mut turn = interval(period);
            turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while cancel.run_until_cancelled(turn.tick()).await.is_some() {
                let answered = timeout(period, answers(&application)).await.unwrap_or(false);
                if found.0.swap(answered, Ordering::Relaxed) != answered {
                    tracing::info!(%application, works = answered, "the application");
                }
            }
        });
        works
    }
}

async fn answers(application: &Application) -> bool {
    match application {
        Application::Tcp(addr) => TcpStream::connect(addr).await.is_ok(),
        Application::Http(addr, path) => status(*addr, path).await.is_some_and(|status| (200..400).contains(&status)),
        Application::Command(words) => {
            let Some((program, arguments)) = words.split_first() else { return false };
            let mut command = tokio::process::Command::new(program);
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
            command.status().await.is_ok_and(|status| status.success())
        }
    }
}

/// The status of the answer to a GET.
async fn status(addr: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(addr).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {addr}\r\nUser-Agent: ringback\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.ok()?;
    let text = std::str::from_utf8(&answer).ok()?;
    text.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()
}
