//! One SMTP session: opened with the privacy that the settings ask for, used for many messages, one recipient each.
//!
//! lettre gives the commands and the answers' grammar; connection, order of commands and what an answer means for the
//! letter are here. (Its pool is not used: it leaves Nagle's algorithm on, and drops the session at every refusal.)

use std::{future::Future, net::SocketAddr, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        Error,
        authentication::Mechanism,
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt, Rset},
        extension::{Extension, MailParameter},
    },
};
use monitor_core::mail::{Attempt, Written};
use tokio::{net::TcpStream, time::timeout};

use super::{
    implicit_tls::ImplicitTls,
    smarthost::{Smarthost, SmtpEncryption},
};

/// The longest time to get a session: connection, TLS, login.
const OPEN_LIMIT: Duration = Duration::from_secs(30);
/// The longest time for one message. RFC 5321 section 4.5.3.2 allows minutes per command; a relay that needs them is
/// better asked again later.
const MESSAGE_LIMIT: Duration = Duration::from_secs(120);
/// The longest time for a farewell.
const QUIT_LIMIT: Duration = Duration::from_secs(2);
/// Messages per connection: mail servers count (OpenSMTPD closes after 100 by default) and balance by connection.
const MESSAGES_PER_SESSION: u32 = 100;

/// An open session, between two messages.
pub(super) struct SmtpSession {
    connection: AsyncSmtpConnection,
    sent: u32,
}

/// What came of one message, and whether the session can take another.
pub(super) enum Handed {
    /// It can.
    AndOpen(Attempt),
    /// It cannot.
    AndClosed(Attempt),
    /// The mail server had closed the session since the last message; this one was not begun.
    NotBegun,
}

impl SmtpSession {
    /// A session with `relay`, or why there is none.
    pub(super) async fn open(relay: &Smarthost) -> Result<Self, String> {
        match timeout(OPEN_LIMIT, open(relay)).await {
            Ok(Ok(connection)) => Ok(Self { connection, sent: 0 }),
            Ok(Err(reason)) => Err(format!("mail server {relay}: {}", shown(&reason))),
            Err(_) => Err(format!("mail server {relay}: no session within {} s", OPEN_LIMIT.as_secs())),
        }
    }

    /// Hands one message over.
    pub(super) async fn hand_over(&mut self, message: &Written) -> Handed {
        match timeout(MESSAGE_LIMIT, self.transaction(message)).await {
            Ok(handed) => handed,
            Err(_) => {
                Handed::AndClosed(Attempt::Deferred(format!("mail server silent for {} s", MESSAGE_LIMIT.as_secs())))
            }
        }
    }

    /// Whether the next message wants a new session.
    pub(super) const fn is_used_up(&self) -> bool {
        self.sent >= MESSAGES_PER_SESSION
    }

    /// Says goodbye.
    pub(super) async fn quit(mut self) {
        // Every answer of the mail server, and none, is fine now.
        let _ = timeout(QUIT_LIMIT, self.connection.quit()).await;
    }

    async fn transaction(&mut self, message: &Written) -> Handed {
        let (from, to) = (message.envelope.from().cloned(), message.envelope.to());
        let mut parameters = Vec::new();
        let ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
        if !from.iter().chain(to).all(ascii) {
            if !self.connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Handed::AndOpen(Attempt::Deferred("the mail server does not offer SMTPUTF8".to_owned()));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if let Err(error) = self.connection.command(Mail::new(from, parameters)).await {
            if self.sent > 0 && error.status().is_none() {
                return Handed::NotBegun;
            }
            return self.answered(&error).await;
        }
        self.sent += 1;
        for recipient in to {
            if let Err(error) = self.connection.command(Rcpt::new(recipient.clone(), Vec::new())).await {
                return self.answered(&error).await;
            }
        }
        if let Err(error) = self.connection.command(Data).await {
            return self.answered(&error).await;
        }
        // lettre ends the data with CRLF of its own.
        let data = message.bytes.strip_suffix(b"\r\n").unwrap_or(&message.bytes);
        match self.connection.message(data).await {
            Ok(_) => Handed::AndOpen(Attempt::Accepted),
            Err(error) => self.answered(&error).await,
        }
    }

    /// What a refusal or failure means; after a refusal the transaction is taken back (RSET), so that the session can
    /// go on.
    async fn answered(&mut self, error: &Error) -> Handed {
        let attempt = meaning(error);
        let code = error.status().map(u16::from);
        if matches!(code, None | Some(421)) || matches!(attempt, Attempt::NoSession(_)) {
            return Handed::AndClosed(attempt);
        }
        match self.connection.command(Rset).await {
            Ok(_) => Handed::AndOpen(attempt),
            Err(_) => Handed::AndClosed(attempt),
        }
    }
}

/// What a failed command of a transaction says of the letter.
fn meaning(error: &Error) -> Attempt {
    let reason = shown(error);
    match error.status().map(u16::from) {
        // RFC 4954 section 6: "log in first", "not this way". They speak of our settings, not of the letter.
        Some(530 | 534 | 535 | 538) => Attempt::NoSession(reason),
        _ if error.is_permanent() => Attempt::Refused(reason),
        _ => Attempt::Deferred(reason),
    }
}

#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("cannot look the host up: {0}")]
    Lookup(std::io::Error),
    #[error("the host has no address")]
    NoAddress,
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, std::io::Error),
    #[error("TLS: {0}")]
    Tls(Error),
    #[error("no STARTTLS offered: write smtp:// to do without, or smtps:// for a port with TLS from the start")]
    NoStartTls,
    #[error("login refused: {0}")]
    Login(Error),
    #[error("no encryption offered, so the password is not sent: write smtp+starttls:// or smtps://")]
    PasswordInClear,
    #[error(transparent)]
    Smtp(#[from] Error),
}

async fn open(relay: &Smarthost) -> Result<AsyncSmtpConnection, OpenError> {
    let (stream, peer) = connect(relay).await?;
    let (mut connection, mut encrypted) = if relay.encryption == SmtpEncryption::Implicit {
        let stream = ImplicitTls::over(stream, peer, relay.tls.clone()).await.map_err(OpenError::Tls)?;
        (AsyncSmtpConnection::connect_with_transport(Box::new(stream), &relay.hello).await?, true)
    } else {
        (AsyncSmtpConnection::connect_with_transport(Box::new(stream), &relay.hello).await?, false)
    };
    match relay.encryption {
        SmtpEncryption::StartTls if !connection.can_starttls() => return Err(OpenError::NoStartTls),
        SmtpEncryption::StartTls | SmtpEncryption::WhenOffered if connection.can_starttls() => {
            connection.starttls(relay.tls.clone(), &relay.hello).await.map_err(OpenError::Tls)?;
            encrypted = true;
        }
        _ => {}
    }
    if let Some(credentials) = &relay.credentials {
        // On this machine nobody is in between, and local relays rarely have certificates.
        if !encrypted && !peer.ip().is_loopback() {
            return Err(OpenError::PasswordInClear);
        }
        connection.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await.map_err(OpenError::Login)?;
    }
    Ok(connection)
}

async fn connect(relay: &Smarthost) -> Result<(TcpStream, SocketAddr), OpenError> {
    let mut failed = OpenError::NoAddress;
    for addr in tokio::net::lookup_host((relay.host.as_str(), relay.port)).await.map_err(OpenError::Lookup)? {
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

/// A host with several addresses gets a part of [`OPEN_LIMIT`] for each.
async fn or_timed_out(connecting: impl Future<Output = std::io::Result<TcpStream>>) -> std::io::Result<TcpStream> {
    timeout(OPEN_LIMIT / 3, connecting).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

/// An answer as the store and `ringback status` keep it: one line, not too long. What a mail server writes is not ours.
fn shown(error: &impl std::fmt::Display) -> String {
    const LONGEST: usize = 300;
    error.to_string().chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
