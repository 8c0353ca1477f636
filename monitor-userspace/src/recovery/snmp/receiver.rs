//! The socket: datagrams in, acknowledgements out once what they report is committed.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use ipnet::IpNet;
use monitor_core::{
    config::{Key, Mistake, Mistakes, RecoverySettings},
    domain::{MonotonicNs, UnixMs},
    port::Request,
    snmp::{
        LocalEngine, RemoteEngine,
        meaning::Meanings,
        message::{self, TrapContent},
        report_limit::ReportLimit,
        speaker::speaker,
        usm::{InformKey, Now, Taken, User, Usm, UsmRefusal, Verdict},
    },
};
use tokio::{net::UdpSocket, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{counters::Counters, keys};
use crate::{clock::Now as _, port::CoreHandle};

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
}

/// Why a user of SNMPv3 cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The engine id is none.
    #[error("`{0}` is not an engine id")]
    Engine(String),
    /// Keys cannot be made of the pass phrases.
    #[error("{0}")]
    Keys(String),
    /// No random numbers for encryption.
    #[error("the system has no random numbers for SNMPv3: {0}")]
    Random(String),
}

impl UserError {
    /// The mistake that it is in this entry.
    pub(super) fn at(&self, entry: &Key) -> Mistake {
        match self {
            Self::Engine(_) => {
                Mistake::new(entry.to("engine_id"), self.to_string(), "write 5 to 32 bytes in hexadecimal")
            }
            Self::Keys(_) | Self::Random(_) => Mistake::plain(entry.clone(), self.to_string()),
        }
    }
}

/// Whose traps are believed, and what they mean.
pub struct Trust {
    communities: Vec<Vec<u8>>,
    users: Vec<User>,
    meanings: Meanings,
    proxies: Vec<IpNet>,
}

impl Trust {
    /// Reads the users' pass phrases.
    ///
    /// # Errors
    /// Every mistake in what says whose traps are believed.
    pub fn load(settings: &RecoverySettings) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Mistakes::default();
        let meanings = Meanings::new(&settings.trap_oids).map_err(|oid| {
            let index = settings.trap_oids.iter().position(|other| *other == oid).unwrap_or_default();
            let remedy = "write numbers with dots, such as 1.3.6.1.6.3.1.1.5.1";
            Mistake::new(Key::from("recovery.trap_oids").at(index), format!("`{oid}` is not an OID"), remedy)
        });
        let meanings = mistakes.take(meanings);
        let users = mistakes.take_all(keys::load(&settings.snmp_user));
        let trust = || {
            Some(Self {
                communities: settings.communities.iter().map(|community| community.clone().into_bytes()).collect(),
                users: users?,
                meanings: meanings?,
                proxies: settings.trap_proxies.clone(),
            })
        };
        mistakes.or(trust())
    }
}

/// What the store keeps of SNMPv3 engines.
pub struct Engines {
    /// Ours, of this start.
    pub local: LocalEngine,
    /// Those that have sent recoveries.
    pub remote: Vec<RemoteEngine>,
}

/// Receives traps and informs.
pub struct Receiver {
    socket: UdpSocket,
    communities: Vec<Vec<u8>>,
    usm: Option<Usm>,
    reports: ReportLimit,
    meanings: Meanings,
    proxies: Vec<IpNet>,
    core: CoreHandle,
    counters: Arc<Counters>,
    started: Instant,
    /// What waits for a commit.
    commits: JoinSet<Option<Acknowledgement>>,
}

/// The answer to an inform.
struct Acknowledgement {
    datagram: Vec<u8>,
    to: SocketAddr,
    /// To remember that it is committed.
    inform: Option<InformKey>,
}

impl Receiver {
    /// Listens on `addr`.
    pub async fn bind(addr: SocketAddr, trust: Trust, engines: Engines, core: CoreHandle) -> Result<Self, SnmpError> {
        let Trust { communities, users, meanings, proxies } = trust;
        let usm = Usm::new(users, engines.local, engines.remote);
        let socket = UdpSocket::bind(addr).await.map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => SnmpError::Taken { ip: addr.ip(), port: addr.port() },
            _ => SnmpError::Listen { addr, source },
        })?;
        Ok(Self {
            socket,
            communities,
            usm,
            reports: ReportLimit::default(),
            meanings,
            proxies,
            core,
            counters: Arc::default(),
            started: Instant::now(),
            commits: JoinSet::new(),
        })
    }

    /// What became of each datagram.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Receives until `cancel`. An inform that is not acknowledged by then is sent again by its sender.
    pub async fn run(mut self, cancel: CancellationToken) -> io::Result<()> {
        let mut buffer = vec![0; LARGEST];
        loop {
            let received = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                Some(done) = self.commits.join_next() => {
                    if let Ok(Some(acknowledgement)) = done {
                        self.acknowledge(acknowledgement).await;
                    }
                    continue;
                }
                received = self.socket.recv_from(&mut buffer) => received,
            };
            match received {
                Ok((length, source)) => self.take(&buffer[..length], source).await,
                // An ICMP error that an earlier acknowledgement drew: of that datagram, not of this socket.
                Err(error) => tracing::debug!(%error, "receiving a trap"),
            }
        }
    }

    async fn take(&mut self, datagram: &[u8], source: SocketAddr) {
        Counters::count(&self.counters.received);
        if message::is_v3(datagram) {
            return self.take_v3(datagram, source).await;
        }
        let Some(notification) = message::decode(datagram) else { return Counters::count(&self.counters.malformed) };
        if !self.communities.contains(&notification.community) {
            return Counters::count(&self.counters.bad_community);
        }
        let answer =
            notification.acknowledgement.map(|datagram| Acknowledgement { datagram, to: source, inform: None });
        self.notified(&notification.notice, None, None, answer, source).await;
    }

    async fn take_v3(&mut self, datagram: &[u8], source: SocketAddr) {
        let Some(usm) = &mut self.usm else { return Counters::count(&self.counters.unknown_user) };
        let running = self.started.elapsed();
        let engine = u32::try_from(running.as_secs()).unwrap_or(u32::MAX);
        let now = Now { unix: UnixMs::now(), engine };
        match usm.take(datagram, now, |oid| self.meanings.is_recovery(oid)) {
            Verdict::Refused { why, report } => {
                Counters::count(match why {
                    UsmRefusal::Malformed => &self.counters.malformed,
                    UsmRefusal::UnknownEngine => &self.counters.discoveries,
                    UsmRefusal::UnknownUser => &self.counters.unknown_user,
                    UsmRefusal::WrongLevel => &self.counters.wrong_level,
                    UsmRefusal::WrongDigest => &self.counters.wrong_digest,
                    UsmRefusal::Undecryptable => &self.counters.undecryptable,
                    UsmRefusal::NotInWindow => &self.counters.not_in_window,
                    UsmRefusal::Replayed => &self.counters.replayed,
                    UsmRefusal::WindowFull => &self.counters.window_full,
                });
                let Some(report) = report else { return };
                if !self.reports.allows(source.ip(), running) {
                    return Counters::count(&self.counters.reports_limited);
                }
                self.send(&report, source).await;
            }
            Verdict::Again { acknowledgement } => {
                Counters::count(&self.counters.replayed);
                self.acknowledge(Acknowledgement { datagram: acknowledgement, to: source, inform: None }).await;
            }
            Verdict::Taken(Taken { notice, server, seen, acknowledgement, inform }) => {
                let answer = acknowledgement.map(|datagram| Acknowledgement { datagram, to: source, inform });
                self.notified(&notice, server, seen, answer, source).await;
            }
        }
    }

    /// Reports a recovery to the core. An inform is answered after the commit: its sender then knows that nothing can
    /// lose it any more, and sends it again until then.
    async fn notified(
        &mut self,
        notice: &TrapContent,
        server: Option<IpAddr>,
        seen: Option<RemoteEngine>,
        answer: Option<Acknowledgement>,
        source: SocketAddr,
    ) {
        if !self.meanings.is_recovery(&notice.oid) {
            Counters::count(&self.counters.not_recovery);
            // It was received, and nothing follows from it: there is no commit to wait for.
            if let Some(answer) = answer {
                self.acknowledge(answer).await;
            }
            return;
        }
        Counters::count(&self.counters.recoveries);
        let host = server.unwrap_or_else(|| speaker(source.ip(), notice.agent, &self.proxies));
        tracing::info!(%host, %source, "recovery trap");
        let trap = Request::Trap { host, at: MonotonicNs::now(), seen };
        if let Ok(pending) = self.core.send(trap).await
            && let Some(answer) = answer
        {
            self.commits.spawn(async { pending.committed().await.is_ok().then_some(answer) });
        }
    }

    async fn acknowledge(&mut self, answer: Acknowledgement) {
        if let (Some(usm), Some(inform)) = (&mut self.usm, answer.inform) {
            usm.committed(inform);
        }
        if self.send(&answer.datagram, answer.to).await {
            Counters::count(&self.counters.acknowledged);
        }
    }

    async fn send(&self, datagram: &[u8], to: SocketAddr) -> bool {
        let sent = self.socket.send_to(datagram, to).await;
        if let Err(error) = &sent {
            tracing::warn!(%to, %error, "an SNMP sender is not answered");
        }
        sent.is_ok()
    }
}
