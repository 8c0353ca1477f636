//! One POP3 session: opened, asked, closed. Deletions count from its orderly end (RFC 1939 section 6).

use std::{future::Future, io, net::SocketAddr, time::Duration};

use monitor_core::relay::{MailEntry, mail_entries};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    Pop3, Pop3Encryption,
    dots::{Dots, Step},
};

/// The longest silence: for the answer to a command, and between two pieces of it.
const SILENCE: Duration = Duration::from_secs(30);
/// The longest time for one mail or listing, however it trickles: this, and as long as its bytes need at a slow pace.
const TRANSFER: Duration = Duration::from_secs(60);
const LONGEST_TRANSFER: Duration = Duration::from_secs(600);
/// Bytes in a second that a server must manage; half of what a line of 16 kbit/s does.
const PACE: u64 = 1024;
/// RFC 1939 section 3: an answer's line has 512 bytes at most. More of it is thrown away.
const LINE: usize = 512;
const LONGEST_LINE: usize = 64 * 1024;
/// Bytes of a listing that are kept, which is some 90,000 mails; the others come when those are gone.
const LISTING: u64 = 8 << 20;

/// What went wrong in a session.
#[derive(Debug, thiserror::Error)]
pub(in crate::relay) enum SessionError {
    #[error("cannot look the host up: {0}")]
    Lookup(io::Error),
    #[error("the host has no address")]
    NoAddress,
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, io::Error),
    #[error("TLS: {0}")]
    Tls(io::Error),
    #[error("no encryption: the password is not sent in clear to {0}; write pop3+starttls:// or pop3s://")]
    InClear(SocketAddr),
    #[error("bytes in clear behind the answer to STLS")]
    Injected,
    #[error("{0}")]
    Broken(#[from] io::Error),
    #[error("silent for {} s", SILENCE.as_secs())]
    Silent,
    #[error("no end after {} s", .0.as_secs())]
    Slow(Duration),
    #[error("the connection ended in the middle of an answer")]
    Cut,
    #[error("{0} refused: {1}")]
    Refused(&'static str, String),
    #[error("not POP3: {0}")]
    Protocol(String),
    #[error("larger than it may be, and no end")]
    Endless,
}

impl SessionError {
    /// Whether the session goes on.
    pub(in crate::relay) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(..))
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An open mailbox.
pub(in crate::relay) struct Pop3Session {
    stream: BufReader<Box<dyn Stream>>,
}

impl Pop3Session {
    /// Connects, encrypts and logs in.
    pub(in crate::relay) async fn open(mailbox: &Pop3) -> Result<Self, SessionError> {
        let (stream, peer) = connect(mailbox).await?;
        let mut session = if mailbox.url.encryption == Pop3Encryption::Implicit {
            Self { stream: BufReader::new(encrypted(mailbox, Box::new(stream)).await?) }
        } else {
            Self { stream: BufReader::new(Box::new(stream)) }
        };
        timeout(TRANSFER, session.answer("the connection")).await.map_err(|_| SessionError::Slow(TRANSFER))??;
        match mailbox.url.encryption {
            Pop3Encryption::StartTls => {
                session.ask("STLS", "STLS").await?;
                // Whoever wrote these before the handshake is not the server.
                if !session.stream.buffer().is_empty() {
                    return Err(SessionError::Injected);
                }
                session.stream = BufReader::new(encrypted(mailbox, session.stream.into_inner()).await?);
            }
            Pop3Encryption::None if !peer.ip().is_loopback() => return Err(SessionError::InClear(peer)),
            Pop3Encryption::None | Pop3Encryption::Implicit => {}
        }
        session.ask("USER", &format!("USER {}", mailbox.user)).await?;
        session.ask("PASS", &format!("PASS {}", mailbox.password)).await?;
        Ok(session)
    }

    /// Every mail, in the mailbox's order. A server need not know UIDL (RFC 1939 section 7), and one of the two lists will do.
    pub(in crate::relay) async fn entries(&mut self) -> Result<Vec<MailEntry>, SessionError> {
        let names = self.listing("UIDL").await;
        if names.as_ref().is_err_and(|error| !error.is_refusal()) {
            return names.map(|_| Vec::new());
        }
        match (names, self.listing("LIST").await) {
            (Ok(names), Ok(sizes)) => Ok(mail_entries(Some(&names), Some(&sizes))),
            (Err(_), Ok(sizes)) => Ok(mail_entries(None, Some(&sizes))),
            (Ok(names), Err(error)) if error.is_refusal() => Ok(mail_entries(Some(&names), None)),
            (_, Err(error)) => Err(error),
        }
    }

    async fn listing(&mut self, command: &'static str) -> Result<Vec<u8>, SessionError> {
        self.ask(command, command).await?;
        Ok(self.content(LISTING, LONGEST_TRANSFER).await?.0)
    }

    /// One mail, byte for byte; `None`: it has more than `most` bytes, whatever the server said.
    pub(in crate::relay) async fn fetch(
        &mut self,
        entry: &MailEntry,
        most: u64,
    ) -> Result<Option<Vec<u8>>, SessionError> {
        self.ask("RETR", &format!("RETR {}", entry.number)).await?;
        let needs = Duration::from_secs(entry.size.unwrap_or(0) / PACE);
        let (content, is_all) = self.content(most, (TRANSFER + needs).min(LONGEST_TRANSFER)).await?;
        // What follows a dot that no server has doubled is taken for the answer to the next command.
        if !self.stream.buffer().is_empty() {
            return Err(SessionError::Protocol("more than one answer to RETR".to_owned()));
        }
        Ok(is_all.then_some(content))
    }

    /// Marks it as deleted.
    pub(in crate::relay) async fn delete(&mut self, entry: &MailEntry) -> Result<(), SessionError> {
        self.ask("DELE", &format!("DELE {}", entry.number)).await.map(drop)
    }

    /// The orderly end: what was marked is deleted.
    pub(in crate::relay) async fn quit(mut self) -> Result<(), SessionError> {
        self.ask("QUIT", "QUIT").await.map(drop)
    }

    async fn ask(&mut self, name: &'static str, line: &str) -> Result<String, SessionError> {
        let line = format!("{line}\r\n");
        let stream = self.stream.get_mut();
        within(SILENCE, async move {
            stream.write_all(line.as_bytes()).await?;
            stream.flush().await
        })
        .await?;
        timeout(TRANSFER, self.answer(name)).await.map_err(|_| SessionError::Slow(TRANSFER))?
    }

    /// The text behind `+OK`.
    async fn answer(&mut self, name: &'static str) -> Result<String, SessionError> {
        let (mut line, mut length, mut is_whole) = (Vec::new(), 0, false);
        while !is_whole {
            let piece = within(SILENCE, self.stream.fill_buf()).await?;
            if piece.is_empty() {
                return Err(SessionError::Cut);
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            is_whole = end.is_some();
            let end = end.map_or(piece.len(), |at| at + 1);
            line.extend_from_slice(&piece[..end.min(LINE - line.len())]);
            length += end;
            self.stream.consume(end);
            if length > LONGEST_LINE {
                return Err(SessionError::Protocol("an endless line".to_owned()));
            }
        }
        let line: String = String::from_utf8_lossy(&line).trim_end().chars().filter(|c| !c.is_control()).collect();
        let begins = |word: &str| line.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        if begins("+OK") {
            Ok(line)
        } else if begins("-ERR") {
            Err(SessionError::Refused(name, line))
        } else {
            Err(SessionError::Protocol(line))
        }
    }

    /// A multi-line answer: at most `most` bytes of it, and whether that is all.
    async fn content(&mut self, most: u64, limit: Duration) -> Result<(Vec<u8>, bool), SessionError> {
        let mut dots = Dots::new(most);
        let read = async {
            loop {
                let piece = within(SILENCE, self.stream.fill_buf()).await?;
                if piece.is_empty() {
                    return Err(SessionError::Cut);
                }
                let length = piece.len();
                match dots.take(piece) {
                    Step::More => self.stream.consume(length),
                    Step::End(bytes) => {
                        self.stream.consume(bytes);
                        return Ok(());
                    }
                    Step::Endless => return Err(SessionError::Endless),
                }
            }
        };
        timeout(limit, read).await.map_err(|_| SessionError::Slow(limit))??;
        Ok(dots.finish())
    }
}

async fn connect(mailbox: &Pop3) -> Result<(TcpStream, SocketAddr), SessionError> {
    let mut failed = SessionError::NoAddress;
    let url = &mailbox.url;
    for addr in tokio::net::lookup_host((url.host.as_str(), url.port)).await.map_err(SessionError::Lookup)? {
        match timeout(SILENCE / 3, crate::outgoing::connect(addr)).await {
            Ok(Ok(stream)) => return Ok((stream, addr)),
            Ok(Err(error)) => failed = SessionError::Connect(addr, error),
            Err(_) => failed = SessionError::Connect(addr, io::ErrorKind::TimedOut.into()),
        }
    }
    Err(failed)
}

async fn encrypted(mailbox: &Pop3, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, SessionError> {
    let connector = TlsConnector::from(std::sync::Arc::clone(&mailbox.tls));
    let shaken = timeout(SILENCE, connector.connect(mailbox.name.clone(), stream)).await;
    Ok(Box::new(shaken.map_err(|_| SessionError::Silent)?.map_err(SessionError::Tls)?))
}

async fn within<T>(limit: Duration, reading: impl Future<Output = io::Result<T>>) -> Result<T, SessionError> {
    Ok(timeout(limit, reading).await.map_err(|_| SessionError::Silent)??)
}
