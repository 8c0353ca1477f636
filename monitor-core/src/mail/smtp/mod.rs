//! SMTP as its client must understand it (RFC 5321): the bytes of a reply, how long each is waited for, and what it says
//! of the letter.
//!
//! In: bytes that a mail server sent, and the [`SmtpPhase`] in which it sent them. Out: a [`Reply`], and the
//! [`Attempt`](super::Attempt) that it makes of this try. No sockets and no clock here.

mod data;
mod extensions;
mod limits;
mod refusal;
mod reply;

pub use self::{
    data::data,
    extensions::Extensions,
    limits::SmtpLimits,
    refusal::{Client, Login, Sender, broken, meaning},
    reply::{Reply, ReplyReader, ReplyStep, escaped},
};

/// What the client has sent last: a reply is judged, and waited for, by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SmtpPhase {
    /// Nothing: the server speaks first.
    Banner,
    /// `EHLO` or `HELO`.
    Hello,
    /// `STARTTLS` (RFC 3207).
    StartTls,
    /// `AUTH` (RFC 4954), or an answer to its challenge.
    Auth,
    /// `MAIL FROM`.
    Mail,
    /// `RCPT TO`.
    Rcpt,
    /// `DATA`.
    Data,
    /// The dot behind the message: from here on the server may have taken the letter.
    Dot,
    /// `RSET`.
    Reset,
    /// `QUIT`.
    Quit,
}

impl SmtpPhase {
    /// All of them, in the order of a session.
    pub const ALL: [Self; 10] = [
        Self::Banner,
        Self::Hello,
        Self::StartTls,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Dot,
        Self::Reset,
        Self::Quit,
    ];
}

/// As a person reads it in `status`.
impl std::fmt::Display for SmtpPhase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Banner => "greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL FROM",
            Self::Rcpt => "RCPT TO",
            Self::Data => "DATA",
            Self::Dot => "end of the message",
            Self::Reset => "RSET",
            Self::Quit => "QUIT",
        })
    }
}
