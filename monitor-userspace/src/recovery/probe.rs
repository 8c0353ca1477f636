//! Gentle probes: one TCP connect to a failed service, closed at once, nothing sent (F-14).

use std::{sync::Arc, time::Duration};

use monitor_core::{
    domain::{Service, UnixMs},
    outage::Observation,
};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::Reported;
use crate::clock::Now as _;

/// Probes under way at the same time.
const AT_ONCE: usize = 64;

/// Takes services from `wanted` and reports whether each accepts a connection within `limit`.
pub async fn run(
    mut wanted: mpsc::Receiver<Service>,
    reported: mpsc::Sender<Reported>,
    limit: Duration,
    cancel: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut probes = JoinSet::new();
    loop {
        let service = tokio::select! {
            () = cancel.cancelled() => break,
            Some(service) = wanted.recv() => service,
            Some(_) = probes.join_next() => continue,
            else => break,
        };
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
        let reported = reported.clone();
        probes.spawn(async move {
            let connected = connects(service, limit).await;
            drop(permit);
            let (committed, _) = oneshot::channel();
            let observation = Observation::Probed { service, connected, at: UnixMs::now() };
            // The core is gone when the daemon stops.
            let _ = reported.send(Reported { observation, seen: None, committed }).await;
        });
    }
}

/// Whether the service accepts a connection. A refusal, ICMP and silence are all no.
async fn connects(service: Service, limit: Duration) -> bool {
    matches!(timeout(limit, TcpStream::connect(service.socket_addr())).await, Ok(Ok(_)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use tokio::{net::TcpListener, sync::mpsc};
    use tokio_util::sync::CancellationToken;

    use monitor_core::{domain::Service, outage::Observation};

    #[tokio::test]
    async fn a_listening_service_connects_and_a_closed_one_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (wanted, receiver) = mpsc::channel(2);
        let (reported, mut observations) = mpsc::channel(2);
        let cancel = CancellationToken::new();
        let task = tokio::spawn(super::run(receiver, reported, Duration::from_secs(5), cancel.clone()));
        for (addr, expected) in [(here, true), (gone, false)] {
            wanted.send(Service::new(addr.ip(), addr.port())).await.unwrap();
            let observation = observations.recv().await.unwrap().observation;
            assert!(
                matches!(observation, Observation::Probed { connected, .. } if connected == expected),
                "{observation:?}"
            );
        }
        cancel.cancel();
        task.await.unwrap();
    }
}
