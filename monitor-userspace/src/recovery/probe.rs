//! Gentle probes: one TCP connect to a failed service, closed at once, nothing sent (F-14).

use std::{sync::Arc, time::Duration};

use monitor_core::{
    domain::{MonotonicNs, Service},
    outage::Observation,
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{clock::Now as _, port::CoreHandle};

/// Probes under way at the same time.
const AT_ONCE: usize = 64;

/// Takes services from `wanted` and reports whether each accepts a connection within `limit`.
pub async fn run(mut wanted: mpsc::Receiver<Service>, core: CoreHandle, limit: Duration, cancel: CancellationToken) {
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
        let core = core.clone();
        probes.spawn(async move {
            let connected = connects(service, limit).await;
            drop(permit);
            core.tell(Observation::Probed { service, connected, at: MonotonicNs::now() }).await;
        });
    }
}

/// Whether the service accepts a connection. A refusal, ICMP and silence are all no.
async fn connects(service: Service, limit: Duration) -> bool {
    matches!(timeout(limit, crate::outgoing::connect(service.socket_addr())).await, Ok(Ok(_)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use tokio::{net::TcpListener, sync::mpsc};
    use tokio_util::sync::CancellationToken;

    use monitor_core::{domain::Service, outage::Observation, port::Request};

    use crate::port;

    #[tokio::test]
    async fn a_listening_service_connects_and_a_closed_one_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (wanted, receiver) = mpsc::channel(2);
        let (core, mut requests) = port::queue();
        let cancel = CancellationToken::new();
        let task = tokio::spawn(super::run(receiver, core, Duration::from_secs(5), cancel.clone()));
        for (addr, expected) in [(here, true), (gone, false)] {
            wanted.send(Service::new(addr.ip(), addr.port())).await.unwrap();
            let request = requests.recv().await.unwrap().request;
            assert!(
                matches!(request, Request::Observed(Observation::Probed { connected, .. }) if connected == expected),
                "{request:?}"
            );
        }
        cancel.cancel();
        task.await.unwrap();
    }
}
