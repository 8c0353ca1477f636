//! From a configured mail server to a session: connection, greeting, EHLO, STARTTLS, login.

use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use monitor_core::mail::{
    Attempt,
    smtp::{Client, Extensions, Reply, SmtpPhase, broken, meaning},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::connection::{Fault, SmtpConnection, Stream};
use crate::notify::smarthost::{Credentials, Smarthost, SmtpEncryption};

/// The longest time to look the host up.
const LOOKUP: Duration = Duration::from_secs(20);
/// The longest time to connect to one address.
const CONNECT: Duration = Duration::from_secs(10);
/// Of a host with more addresses, the resolver's order decides.
const ADDRESSES: usize = 8;

/// A session that can take letters.
pub(super) struct Opened {
    pub(super) connection: SmtpConnection,
    pub(super) extensions: Extensions,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("cannot look the host up: {0}")]
    Lookup(std::io::Error),
    #[error("the host has no address")]
    NoAddress,
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, std::io::Error),
    #[error("TLS: {0}")]
    Tls(TlsFailure),
    #[error("TLS: {0}; the next try goes without, as smtp:// allows")]
    TlsOffered(TlsFailure),
    #[error("no STARTTLS offered: write smtp:// to do without, or smtps:// for a port with TLS from the start")]
    NoStartTls,
    #[error("login refused: {0}")]
    Login(String),
    #[error("no encryption offered, so the password is not sent: write smtp+starttls:// or smtps://")]
    PasswordInClear,
    /// A reply, or none.
    #[error("{0}")]
    Smtp(String),
}

/// What kept a connection from being encrypted.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsFailure {
    #[error("{0}")]
    Handshake(std::io::Error),
    #[error("no handshake within {} s", .0.as_secs())]
    Silent(Duration),
    #[error("bytes in clear behind the reply to STARTTLS")]
    Injected,
    #[error("{0}")]
    Refused(String),
}

/// Opens a session.
pub(super) async fn open(relay: &Smarthost, client: Client) -> Result<Opened, OpenError> {
    let (stream, peer) = connect(relay).await?;
    let name = relay.helo.name(stream.local_addr().map_err(|error| OpenError::Connect(peer, error))?.ip());
    let mut opening = Opening { relay, client, name };
    let implicit = relay.encryption == SmtpEncryption::Implicit;
    let stream: Box<dyn Stream> =
        if implicit { opening.encrypted(Box::new(stream)).await.map_err(OpenError::Tls)? } else { Box::new(stream) };
    let mut connection = SmtpConnection::new(stream, relay.limits);
    let greeting = connection.reply(SmtpPhase::Banner).await;
    opening.positive(SmtpPhase::Banner, greeting)?;
    let extensions = opening.hello(&mut connection).await?;
    let mut opened = Opened { connection, extensions };
    let wants_tls = match relay.encryption {
        SmtpEncryption::StartTls if !opened.extensions.starttls => return Err(OpenError::NoStartTls),
        SmtpEncryption::StartTls => true,
        SmtpEncryption::WhenOffered => opened.extensions.starttls && !relay.clear.is_in_force(),
        SmtpEncryption::Implicit => false,
    };
    if wants_tls {
        opened = opening.start_tls(opened.connection).await.map_err(|failure| {
            if relay.may_go_in_clear() {
                relay.clear.begin();
                tracing::warn!(server = %relay, %failure, "TLS fails: mails go in clear for an hour");
                OpenError::TlsOffered(failure)
            } else {
                OpenError::Tls(failure)
            }
        })?;
    }
    if let Some(credentials) = &relay.credentials {
        // On this machine nobody is in between, and local relays rarely have certificates.
        if !implicit && !wants_tls && !peer.ip().is_loopback() {
            return Err(OpenError::PasswordInClear);
        }
        opening.log_in(&mut opened, credentials).await.map_err(OpenError::Login)?;
    }
    Ok(opened)
}

/// The steps behind the connection.
struct Opening<'a> {
    relay: &'a Smarthost,
    client: Client,
    /// For EHLO.
    name: String,
}

impl Opening<'_> {
    /// The reply, if it is 2yz.
    fn positive(&self, phase: SmtpPhase, reply: Result<Reply, Fault>) -> Result<Reply, OpenError> {
        match reply {
            Ok(reply) if reply.is_positive() => Ok(reply),
            other => Err(OpenError::Smtp(self.reason(phase, other))),
        }
    }

    fn reason(&self, phase: SmtpPhase, reply: Result<Reply, Fault>) -> String {
        let attempt = match reply {
            Ok(reply) => meaning(phase, &reply, self.client),
            Err(fault) => broken(phase, &fault.to_string()),
        };
        said(attempt)
    }

    /// EHLO, or HELO where the server does not know that (RFC 5321 section 3.2).
    async fn hello(&mut self, connection: &mut SmtpConnection) -> Result<Extensions, OpenError> {
        match connection.command(SmtpPhase::Hello, &format!("EHLO {}", self.name)).await {
            Ok(reply) if reply.is_positive() => Ok(Extensions::of(&reply)),
            Ok(reply) if reply.is_permanent() && reply.is_whole => {
                let reply = connection.command(SmtpPhase::Hello, &format!("HELO {}", self.name)).await;
                self.positive(SmtpPhase::Hello, reply).map(|_| Extensions::default())
            }
            other => Err(OpenError::Smtp(self.reason(SmtpPhase::Hello, other))),
        }
    }

    /// STARTTLS, the handshake, and EHLO again (RFC 3207 section 4.2).
    async fn start_tls(&mut self, mut connection: SmtpConnection) -> Result<Opened, TlsFailure> {
        let refused = |error: OpenError| TlsFailure::Refused(error.to_string());
        let reply = connection.command(SmtpPhase::StartTls, "STARTTLS").await;
        self.positive(SmtpPhase::StartTls, reply).map_err(refused)?;
        let stream = connection.into_stream().ok_or(TlsFailure::Injected)?;
        let mut connection = SmtpConnection::new(self.encrypted(stream).await?, self.relay.limits);
        let extensions = self.hello(&mut connection).await.map_err(refused)?;
        Ok(Opened { connection, extensions })
    }

    async fn encrypted(&self, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, TlsFailure> {
        let limit = self.relay.limits.tls;
        let connector = TlsConnector::from(Arc::clone(&self.relay.tls));
        let shaken = timeout(limit, connector.connect(self.relay.name.clone(), stream)).await;
        Ok(Box::new(shaken.map_err(|_| TlsFailure::Silent(limit))?.map_err(TlsFailure::Handshake)?))
    }

    /// AUTH (RFC 4954) by PLAIN or, where there is only that, LOGIN.
    async fn log_in(&self, opened: &mut Opened, credentials: &Credentials) -> Result<(), String> {
        let Credentials { user, password } = credentials;
        let plain = STANDARD.encode(format!("\0{user}\0{password}"));
        let (command, answers) = match opened.extensions {
            // A server that has not taken the answer along asks for it.
            Extensions { auth_plain: true, .. } => (format!("AUTH PLAIN {plain}"), vec![plain]),
            Extensions { auth_login: true, .. } => {
                ("AUTH LOGIN".to_owned(), vec![STANDARD.encode(user), STANDARD.encode(password)])
            }
            _ => return Err("the mail server offers neither AUTH PLAIN nor AUTH LOGIN".to_owned()),
        };
        let mut reply = opened.connection.command(SmtpPhase::Auth, &command).await;
        for answer in answers {
            if !matches!(&reply, Ok(reply) if reply.is_intermediate()) {
                break;
            }
            reply = opened.connection.command(SmtpPhase::Auth, &answer).await;
        }
        match reply {
            Ok(reply) if reply.is_positive() => Ok(()),
            other => Err(self.reason(SmtpPhase::Auth, other)),
        }
    }
}

/// The reason in it.
pub(super) fn said(attempt: Attempt) -> String {
    match attempt {
        Attempt::Accepted => String::new(),
        Attempt::Refused(said) | Attempt::Deferred(said) | Attempt::NoSession(said) | Attempt::Unknown(said) => said,
    }
}

async fn connect(relay: &Smarthost) -> Result<(TcpStream, SocketAddr), OpenError> {
    let lookup = timeout(LOOKUP, tokio::net::lookup_host((relay.host.as_str(), relay.port))).await;
    let found = lookup.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())).map_err(OpenError::Lookup)?;
    let mut failed = OpenError::NoAddress;
    for addr in found.take(ADDRESSES) {
        match or_timed_out(crate::outgoing::connect(addr)).await {
            Ok(stream) => {
                // Commands and answers alternate: waiting for more to send only costs time.
                stream.set_nodelay(true).map_err(|error| OpenError::Connect(addr, error))?;
                return Ok((stream, addr));
            }
            Err(error) => failed = OpenError::Connect(addr, error),
        }
    }
    Err(failed)
}

async fn or_timed_out(connecting: impl Future<Output = std::io::Result<TcpStream>>) -> std::io::Result<TcpStream> {
    timeout(CONNECT, connecting).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

/// What stands behind EHLO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::notify) enum Helo {
    /// A name of the settings, or a full one of this host.
    Name(String),
    /// The address that we connect from (RFC 5321 section 4.1.4): of a host without a full name.
    Address,
}

impl Helo {
    fn name(&self, from: IpAddr) -> String {
        match (self, from.to_canonical()) {
            (Self::Name(name), _) => name.clone(),
            (Self::Address, IpAddr::V4(addr)) => format!("[{addr}]"),
            (Self::Address, IpAddr::V6(addr)) => format!("[IPv6:{addr}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: R-2
    #[test]
    fn a_host_without_a_full_name_is_its_address() {
        for (from, name) in [
            ([192, 0, 2, 1].into(), "[192.0.2.1]"),
            (IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]), "[IPv6:2001:db8::1]"),
            (IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x201]), "[192.0.2.1]"),
        ] {
            assert_eq!(Helo::Address.name(from), name);
            assert_eq!(Helo::Name("gw.example.net".to_owned()).name(from), "gw.example.net");
        }
    }
}
