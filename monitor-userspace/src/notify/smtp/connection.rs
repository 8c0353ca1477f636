//! A connection to a mail server: commands out, replies in, each within its time and its bounds.

use std::{io, time::Duration};

use futures_util::FutureExt as _;
use monitor_core::mail::smtp::{Reply, ReplyReader, ReplyStep, SmtpLimits, SmtpPhase, escaped};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{Instant, timeout, timeout_at},
};

/// Bytes read at once.
const READ: usize = 4096;
/// A message is sent in pieces of this length, each within `SmtpLimits::block`.
const BLOCK: usize = 64 << 10;
/// Bytes without a code that a server may have sent unasked before the next command.
const UNASKED: usize = 64 << 10;

/// TCP, or TLS over it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Why there is no reply. What a server wrote is shown as [`escaped`] does.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("no reply within {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the mail server closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("a reply without an end")]
    TooLong,
    #[error("`{0}` is no SMTP reply")]
    NoSmtp(String),
    #[error("the mail server said `{0}` without being asked")]
    Unasked(String),
    #[error("the reply breaks off: {0}")]
    Cut(Reply),
}

/// See the module.
pub(super) struct SmtpConnection {
    stream: Box<dyn Stream>,
    /// Read, and not understood yet.
    read: Vec<u8>,
    limits: SmtpLimits,
}

impl SmtpConnection {
    pub(super) fn new(stream: Box<dyn Stream>, limits: SmtpLimits) -> Self {
        Self { stream, read: Vec::new(), limits }
    }

    pub(super) const fn limits(&self) -> &SmtpLimits {
        &self.limits
    }

    /// The stream, to encrypt it. `None`: there are bytes in clear behind the reply to STARTTLS, and whoever wrote them is
    /// not the server (CVE-2011-0411).
    pub(super) fn into_stream(self) -> Option<Box<dyn Stream>> {
        self.read.is_empty().then_some(self.stream)
    }

    /// Sends one command and reads the reply to it. A reply that is there before the command is not taken for its own.
    pub(super) async fn command(&mut self, phase: SmtpPhase, line: &str) -> Result<Reply, Fault> {
        self.nothing_unasked()?;
        self.send(format!("{line}\r\n").as_bytes(), self.limits.reply(phase)).await?;
        self.reply(phase).await
    }

    /// Sends bytes; `limit` is for each block of them.
    pub(super) async fn send(&mut self, bytes: &[u8], limit: Duration) -> Result<(), Fault> {
        for block in bytes.chunks(BLOCK) {
            timeout(limit, self.stream.write_all(block)).await.map_err(|_| Fault::Silent(limit))??;
        }
        Ok(timeout(limit, self.stream.flush()).await.map_err(|_| Fault::Silent(limit))??)
    }

    /// Reads a reply. The digits of one that breaks off count where they end something: a refusal, and any behind the dot.
    pub(super) async fn reply(&mut self, phase: SmtpPhase) -> Result<Reply, Fault> {
        let mut reader = ReplyReader::default();
        let fault = self.read_into(&mut reader, phase).await.err();
        let odd = reader.odd().map(|odd| odd.chars().take(80).collect());
        match (reader.finish(), fault, odd) {
            (Some(reply), None, _) => Ok(reply),
            (Some(reply), Some(_), _) if phase == SmtpPhase::Dot || reply.code >= 400 => Ok(reply),
            (Some(reply), Some(_), _) => Err(Fault::Cut(reply)),
            (None, _, Some(odd)) => Err(Fault::NoSmtp(odd)),
            (None, fault, None) => Err(fault.unwrap_or(Fault::TooLong)),
        }
    }

    async fn read_into(&mut self, reader: &mut ReplyReader, phase: SmtpPhase) -> Result<(), Fault> {
        let limit = self.limits.reply(phase);
        let mut deadline = Instant::now() + limit;
        let mut is_odd = false;
        loop {
            match reader.take(&self.read) {
                ReplyStep::End(bytes) => {
                    self.read.drain(..bytes);
                    return Ok(());
                }
                ReplyStep::TooLong => return Err(Fault::TooLong),
                ReplyStep::More => self.read.clear(),
            }
            if !is_odd && reader.odd().is_some() && phase != SmtpPhase::Dot {
                is_odd = true;
                deadline = deadline.min(Instant::now() + self.limits.odd);
            }
            let mut bytes = [0; READ];
            match timeout_at(deadline, self.stream.read(&mut bytes)).await {
                Err(_) => return Err(Fault::Silent(limit)),
                Ok(Ok(0)) => return Err(Fault::Closed),
                Ok(read) => self.read.extend_from_slice(&bytes[..read?]),
            }
        }
    }

    /// Whether the server has said nothing since its last reply. Otherwise every later reply would be taken for that to
    /// the command before: a letter would count as taken that was not. Lines without a code are no replies.
    pub(super) fn nothing_unasked(&mut self) -> Result<(), Fault> {
        let mut seen = 0;
        loop {
            if let Some(line) = self.read.split(|byte| *byte == b'\n').find(|line| has_code(line)) {
                let said = escaped(&line[..line.len().min(200)]);
                return Err(Fault::Unasked(said.trim_end_matches("\\r").to_owned()));
            }
            // What begins like a code may be one in a moment.
            let begun = self.read.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
            if !begun.is_empty() && begun.len() < 4 && begun.iter().all(u8::is_ascii_digit) {
                return Err(Fault::Unasked(escaped(&self.read)));
            }
            seen += self.read.len();
            if seen > UNASKED {
                return Err(Fault::TooLong);
            }
            self.read.clear();
            let mut bytes = [0; READ];
            match self.stream.read(&mut bytes).now_or_never() {
                None => return Ok(()),
                Some(Ok(0)) => return Err(Fault::Closed),
                Some(read) => self.read.extend_from_slice(&bytes[..read?]),
            }
        }
    }
}

fn has_code(line: &[u8]) -> bool {
    let mut reader = ReplyReader::default();
    // Bounded by what was read at once.
    reader.take(line);
    reader.finish().is_some()
}
