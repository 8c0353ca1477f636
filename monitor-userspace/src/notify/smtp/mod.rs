//! One SMTP session: opened with the privacy that the settings ask for, used for many messages, one recipient each.
//!
//! `connection` sends commands and reads replies within their times and bounds, `opening` leads to a session; here is one
//! message. What a reply means is the core's (`monitor_core::mail::smtp`). No published client reads replies as the core
//! does: docs/decisions.md says why.

mod connection;
mod opening;

use monitor_core::mail::{
    Attempt, Written,
    smtp::{Client, Extensions, Login, Reply, Sender, SmtpPhase, broken, data, meaning},
};

use self::{
    connection::{Fault, SmtpConnection},
    opening::{Opened, open},
};
use super::{lease::Lease, smarthost::Smarthost};

pub(super) use self::opening::Helo;

/// Messages per connection: mail servers count (OpenSMTPD closes after 100 by default) and balance by connection.
const MESSAGES_PER_SESSION: u32 = 100;

/// An open session, between two messages.
pub(super) struct SmtpSession {
    connection: SmtpConnection,
    extensions: Extensions,
    /// The mail server, as messages name it.
    relay: String,
    login: Login,
    sent: u32,
    at: At,
}

/// How far the message in hand has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Not to its end: it cannot have been taken.
    Before,
    /// The dot behind it is on its way, and no reply has come.
    Dot,
}

/// What came of one message, and whether the session can take another.
pub(super) enum Handed {
    /// It can.
    AndOpen(Attempt),
    /// It cannot.
    AndClosed(Attempt),
    /// The mail server had closed the session since the last message; this one was not begun.
    NotBegun,
    /// The letter's lease has ended meanwhile; the message was not sent, and the session is over.
    GivenBack,
}

/// Why a message was not taken.
enum Stopped {
    Said(SmtpPhase, Reply),
    Broke(SmtpPhase, Fault),
    NotBegun,
    GivenBack,
    /// No command can say it.
    Unsayable(Attempt),
}

impl SmtpSession {
    /// A session with `relay`, or why there is none.
    pub(super) async fn open(relay: &Smarthost) -> Result<Self, String> {
        let login = relay.login();
        let client = Client { sender: Sender::Null, login };
        let Opened { connection, extensions } =
            open(relay, client).await.map_err(|error| format!("mail server {relay}: {error}"))?;
        Ok(Self { connection, extensions, relay: relay.to_string(), login, sent: 0, at: At::Before })
    }

    /// Hands one message over. A slow mail server may take longer than the letter is ours: that is looked at before the
    /// message is sent.
    pub(super) async fn hand_over(&mut self, message: &Written, lease: Option<&Lease>) -> Handed {
        let client = Client {
            sender: if message.envelope.from().is_some() { Sender::Named } else { Sender::Null },
            login: self.login,
        };
        let stopped = match self.transaction(message, lease).await {
            Ok(reply) => {
                let accepted = meaning(SmtpPhase::Dot, &reply, client);
                return if reply.is_whole { Handed::AndOpen(accepted) } else { Handed::AndClosed(accepted) };
            }
            Err(stopped) => stopped,
        };
        match stopped {
            Stopped::NotBegun => Handed::NotBegun,
            Stopped::GivenBack => Handed::GivenBack,
            Stopped::Unsayable(attempt) => Handed::AndOpen(self.named(attempt)),
            Stopped::Broke(phase, fault) => Handed::AndClosed(self.named(broken(phase, &fault.to_string()))),
            Stopped::Said(phase, reply) => {
                let attempt = meaning(phase, &reply, client);
                let goes_on = self.take_back(&reply, &attempt).await;
                let attempt = self.named(attempt);
                if goes_on { Handed::AndOpen(attempt) } else { Handed::AndClosed(attempt) }
            }
        }
    }

    /// Whether nobody can know if the message in hand was taken.
    pub(super) fn may_have_been_taken(&self) -> bool {
        self.at == At::Dot
    }

    /// Whether the next message wants a new session.
    pub(super) const fn is_used_up(&self) -> bool {
        self.sent >= MESSAGES_PER_SESSION
    }

    /// Says goodbye.
    pub(super) async fn quit(mut self) {
        self.say_goodbye().await;
    }

    async fn say_goodbye(&mut self) {
        // Every answer of the mail server, and none, is fine now.
        let _ = self.connection.command(SmtpPhase::Quit, "QUIT").await;
    }

    /// MAIL, RCPT, DATA, the message, and the reply to its dot, which is positive.
    async fn transaction(&mut self, message: &Written, lease: Option<&Lease>) -> Result<Reply, Stopped> {
        self.mail(message).await?;
        for recipient in message.envelope.to() {
            let reply = self.ask(SmtpPhase::Rcpt, &format!("RCPT TO:<{recipient}>")).await?;
            expected(SmtpPhase::Rcpt, reply, Reply::is_positive)?;
        }
        let reply = self.ask(SmtpPhase::Data, "DATA").await?;
        expected(SmtpPhase::Data, reply, Reply::is_intermediate)?;
        if lease.is_some_and(|lease| !lease.is_ours()) {
            return Err(Stopped::GivenBack);
        }
        self.send_data(message).await?;
        self.at = At::Dot;
        let limit = self.connection.limits().block;
        let sent = self.connection.send(b".\r\n", limit).await;
        sent.map_err(|fault| Stopped::Broke(SmtpPhase::Dot, fault))?;
        let reply =
            self.connection.reply(SmtpPhase::Dot).await.map_err(|fault| Stopped::Broke(SmtpPhase::Dot, fault))?;
        self.at = At::Before;
        expected(SmtpPhase::Dot, reply, Reply::is_positive)
    }

    async fn mail(&mut self, message: &Written) -> Result<(), Stopped> {
        let from = message.envelope.from().map(ToString::to_string).unwrap_or_default();
        let mut command = format!("MAIL FROM:<{from}>");
        let is_ascii = from.is_ascii() && message.envelope.to().iter().all(|to| AsRef::<str>::as_ref(to).is_ascii());
        if !is_ascii {
            if !self.extensions.smtputf8 {
                return Err(Stopped::Unsayable(without_smtputf8(&from)));
            }
            command.push_str(" SMTPUTF8");
        }
        if !message.bytes.is_ascii() && self.extensions.eight_bit {
            command.push_str(" BODY=8BITMIME");
        }
        let was_used = self.sent > 0;
        match self.connection.command(SmtpPhase::Mail, &command).await {
            Ok(reply) if was_used && reply.is_closing() => Err(Stopped::NotBegun),
            Ok(reply) => {
                self.sent += 1;
                expected(SmtpPhase::Mail, reply, Reply::is_positive).map(drop)
            }
            Err(Fault::Closed | Fault::Broken(_) | Fault::Unasked(_)) if was_used => Err(Stopped::NotBegun),
            Err(fault) => Err(Stopped::Broke(SmtpPhase::Mail, fault)),
        }
    }

    async fn ask(&mut self, phase: SmtpPhase, line: &str) -> Result<Reply, Stopped> {
        self.connection.command(phase, line).await.map_err(|fault| Stopped::Broke(phase, fault))
    }

    /// The message without the dot behind it: whatever goes wrong here, it is not taken.
    async fn send_data(&mut self, message: &Written) -> Result<(), Stopped> {
        let broke = |fault| Stopped::Broke(SmtpPhase::Data, fault);
        // A reply that is there before its question would be taken for that to the dot.
        self.connection.nothing_unasked().map_err(broke)?;
        let limit = self.connection.limits().block;
        if let Err(fault) = self.connection.send(&data(&message.bytes), limit).await {
            // Perhaps it said why before it hung up.
            return match self.connection.reply(SmtpPhase::Quit).await {
                Ok(reply) if reply.code >= 400 => {
                    Err(Stopped::Said(SmtpPhase::Dot, Reply { is_whole: false, ..reply }))
                }
                _ => Err(broke(fault)),
            };
        }
        Ok(())
    }

    /// After a refusal, takes the transaction back (RSET), so that the session can go on; whether it can.
    async fn take_back(&mut self, reply: &Reply, attempt: &Attempt) -> bool {
        if !reply.is_whole || reply.is_closing() || matches!(attempt, Attempt::Unknown(_)) {
            return false;
        }
        if matches!(attempt, Attempt::NoSession(_)) {
            self.say_goodbye().await;
            return false;
        }
        self.connection.command(SmtpPhase::Reset, "RSET").await.is_ok_and(|reply| reply.is_positive() && reply.is_whole)
    }

    /// The same with the mail server's name before the reason.
    fn named(&self, attempt: Attempt) -> Attempt {
        let named = |said: String| format!("mail server {}: {said}", self.relay);
        match attempt {
            Attempt::Accepted => Attempt::Accepted,
            Attempt::Refused(said) => Attempt::Refused(named(said)),
            Attempt::Deferred(said) => Attempt::Deferred(named(said)),
            Attempt::NoSession(said) => Attempt::NoSession(named(said)),
            Attempt::Unknown(said) => Attempt::Unknown(named(said)),
        }
    }
}

fn expected(phase: SmtpPhase, reply: Reply, is_it: impl Fn(&Reply) -> bool) -> Result<Reply, Stopped> {
    if is_it(&reply) { Ok(reply) } else { Err(Stopped::Said(phase, reply)) }
}

/// What is before the `@` has no ASCII form (RFC 6531); domains have one, and the message has them in it.
fn without_smtputf8(from: &str) -> Attempt {
    if from.is_ascii() {
        let what = "the recipient's name before the @ is not ASCII, and the mail server does not offer SMTPUTF8";
        return Attempt::Refused(what.to_owned());
    }
    Attempt::NoSession(
        "the mail server does not offer SMTPUTF8: set notify.envelope_from to an address whose name is ASCII"
            .to_owned(),
    )
}
