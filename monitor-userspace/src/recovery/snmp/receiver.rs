//! The socket: datagrams in, acknowledgements out once what they report is committed.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, atomic::AtomicU64},
};

use ipnet::IpNet;
use tokio::{
    net::UdpSocket,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use super::{counters::Counters, meaning::Meanings, message, speaker::speaker};
use crate::{
    config::RecoverySettings,
    outage::{Observation, UnixMs},
    recovery::Reported,
};

/// The largest UDP payload.
const LARGEST: usize = 65_507;

/// Why traps cannot be received.
#[derive(Debug, thiserror::Error)]
pub enum SnmpError {
    /// Somebody else listens there.
    #[error(
        "UDP port {port} on {ip} is taken (does snmptrapd or another trap receiver run?): stop it, or change recovery.trap_listen"
    )]
    Taken {
        /// The address.
        ip: IpAddr,
        /// The port.
        port: u16,
    },
    /// It cannot be listened on.
    #[error("cannot receive traps on {addr}: {source}; check recovery.trap_listen")]
    Listen {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Not an OID.
    #[error("recovery.trap_oids: `{0}` is not an OID: write numbers with dots, such as 1.3.6.1.6.3.1.1.5.1")]
    Oid(String),
}

/// Receives traps and informs.
pub struct Receiver {
    socket: Arc<UdpSocket>,
    communities: Vec<Vec<u8>>,
    meanings: Meanings,
    proxies: Vec<IpNet>,
    reported: mpsc::Sender<Reported>,
    counters: Arc<Counters>,
}

impl Receiver {
    /// Listens on `addr`.
    pub async fn bind(
        addr: SocketAddr,
        settings: &RecoverySettings,
        reported: mpsc::Sender<Reported>,
    ) -> Result<Self, SnmpError> {
        let meanings = Meanings::new(&settings.trap_oids).map_err(SnmpError::Oid)?;
        let socket = UdpSocket::bind(addr).await.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => SnmpError::Taken { ip: addr.ip(), port: addr.port() },
            _ => SnmpError::Listen { addr, source },
        })?;
        Ok(Self {
            socket: Arc::new(socket),
            communities: settings.communities.iter().map(|community| community.clone().into_bytes()).collect(),
            meanings,
            proxies: settings.trap_proxies.clone(),
            reported,
            counters: Arc::default(),
        })
    }

    /// What became of each datagram.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Receives until `cancel`.
    pub async fn run(self, cancel: CancellationToken) -> io::Result<()> {
        let mut buffer = vec![0; LARGEST];
        loop {
            let received = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                received = self.socket.recv_from(&mut buffer) => received,
            };
            match received {
                Ok((length, source)) => self.take(&buffer[..length], source).await,
                // An ICMP error that an earlier acknowledgement drew: of that datagram, not of this socket.
                Err(error) => tracing::debug!(%error, "receiving a trap"),
            }
        }
    }

    async fn take(&self, datagram: &[u8], source: SocketAddr) {
        let count = |counter: &AtomicU64| Counters::count(counter);
        count(&self.counters.received);
        let Some(notification) = message::decode(datagram) else { return count(&self.counters.malformed) };
        if !self.communities.contains(&notification.community) {
            return count(&self.counters.bad_community);
        }
        if !self.meanings.is_recovery(&notification.oid) {
            count(&self.counters.not_recovery);
            // It was received, and nothing follows from it: there is no commit to wait for.
            return self.acknowledge(notification.acknowledgement, source, None);
        }
        count(&self.counters.recoveries);
        let host = speaker(source.ip(), notification.agent, &self.proxies);
        tracing::info!(%host, %source, "recovery trap");
        let (committed, done) = oneshot::channel();
        let observation = Observation::Trap { host, at: UnixMs::now() };
        if self.reported.send(Reported { observation, committed }).await.is_ok() {
            self.acknowledge(notification.acknowledgement, source, Some(done));
        }
    }

    /// Answers an inform, after the commit: its sender then knows that nothing can lose it any more, and sends it again
    /// until then.
    fn acknowledge(&self, answer: Option<Vec<u8>>, to: SocketAddr, committed: Option<oneshot::Receiver<()>>) {
        let Some(answer) = answer else { return };
        let (socket, counters) = (Arc::clone(&self.socket), Arc::clone(&self.counters));
        tokio::spawn(async move {
            if let Some(committed) = committed
                && committed.await.is_err()
            {
                return;
            }
            match socket.send_to(&answer, to).await {
                Ok(_) => Counters::count(&counters.acknowledged),
                Err(error) => tracing::warn!(%to, %error, "an inform is not acknowledged"),
            }
        });
    }
}
