//! One POP3 session: opened, asked, closed. Deletions count from its orderly end (RFC 1939 section 6).

use std::{future::Future, io, net::SocketAddr, time::Duration};

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
/// The longest time for one mail or listing, however it trickles.
const TRANSFER: Duration = Duration::from_secs(600);
/// RFC 1939 section 3: an answer's line has 512 bytes at most.
const LINE: usize = 512;
/// Bytes of a listing; each mail has a line of at most 90 bytes.
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
    #[error("no end after {} s", TRANSFER.as_secs())]
    Slow,
    #[error("the connection ended in the middle of an answer")]
    Cut,
    #[error("{0} refused: {1}")]
    Refused(&'static str, String),
    #[error("not POP3: {0}")]
    Protocol(String),
    #[error("larger than it may be")]
    TooLarge,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A mail in the mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::relay) struct Entry {
    /// Its number in this session.
    pub(in crate::relay) number: u32,
    /// Its name in every session (RFC 1939 section 7, UIDL).
    pub(in crate::relay) uid: String,
    /// Its bytes, as the server counts them.
    pub(in crate::relay) size: u64,
}

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
        session.answer("the connection").await?;
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

    /// Every mail, in the mailbox's order.
    pub(in crate::relay) async fn entries(&mut self) -> Result<Vec<Entry>, SessionError> {
        self.ask("UIDL", "UIDL").await?;
        let names = self.content(LISTING).await?;
        self.ask("LIST", "LIST").await?;
        let sizes = self.content(LISTING).await?;
        entries(&names, &sizes).ok_or_else(|| SessionError::Protocol("a wrong listing".to_owned()))
    }

    /// One mail, byte for byte.
    pub(in crate::relay) async fn fetch(&mut self, entry: &Entry, most: u64) -> Result<Vec<u8>, SessionError> {
        self.ask("RETR", &format!("RETR {}", entry.number)).await?;
        self.content(most).await
    }

    /// Marks it as deleted.
    pub(in crate::relay) async fn delete(&mut self, entry: &Entry) -> Result<(), SessionError> {
        self.ask("DELE", &format!("DELE {}", entry.number)).await.map(drop)
    }

    /// The orderly end: what was marked is deleted.
    pub(in crate::relay) async fn quit(mut self) -> Result<(), SessionError> {
        self.ask("QUIT", "QUIT").await.map(drop)
    }

    async fn ask(&mut self, name: &'static str, line: &str) -> Result<String, SessionError> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.get_mut().flush().await?;
        self.answer(name).await
    }

    /// The text behind `+OK`.
    async fn answer(&mut self, name: &'static str) -> Result<String, SessionError> {
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            let piece = within(SILENCE, self.stream.fill_buf()).await?;
            if piece.is_empty() {
                return Err(SessionError::Cut);
            }
            let end = piece.iter().position(|byte| *byte == b'\n').map_or(piece.len(), |at| at + 1);
            line.extend_from_slice(&piece[..end]);
            self.stream.consume(end);
            if line.len() > LINE {
                return Err(SessionError::Protocol("an endless line".to_owned()));
            }
        }
        let line: String = String::from_utf8_lossy(&line).trim_end().chars().filter(|c| !c.is_control()).collect();
        if line == "+OK" || line.starts_with("+OK ") {
            Ok(line)
        } else if line.starts_with("-ERR") {
            Err(SessionError::Refused(name, line))
        } else {
            Err(SessionError::Protocol(line))
        }
    }

    async fn content(&mut self, most: u64) -> Result<Vec<u8>, SessionError> {
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
                    Step::TooLarge => return Err(SessionError::TooLarge),
                }
            }
        };
        timeout(TRANSFER, read).await.map_err(|_| SessionError::Slow)??;
        Ok(dots.finish())
    }
}

/// Both listings by number; `None`: they are not listings, or do not fit together.
fn entries(names: &[u8], sizes: &[u8]) -> Option<Vec<Entry>> {
    let names: Vec<(u32, String)> = listing(names)?;
    let sizes: std::collections::HashMap<u32, u64> =
        listing(sizes)?.into_iter().map(|(number, size)| Some((number, size.parse().ok()?))).collect::<Option<_>>()?;
    names.into_iter().map(|(number, uid)| Some(Entry { number, uid, size: *sizes.get(&number)? })).collect()
}

fn listing(content: &[u8]) -> Option<Vec<(u32, String)>> {
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.to_owned()))
    };
    std::str::from_utf8(content).ok()?.lines().map(line).collect()
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
