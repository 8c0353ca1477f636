//! How long a mail server's replies are waited for (RFC 5321 section 4.5.3.2).

use std::time::Duration;

use super::SmtpPhase;

const MINUTE: Duration = Duration::from_secs(60);

/// The time from the last byte sent to the last byte of the reply, for each phase.
///
/// A client that gives up earlier sends again what a slow server takes: the section's values are the least that it may
/// wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmtpLimits {
    /// Section 4.5.3.2.1: the greeting.
    pub banner: Duration,
    /// `EHLO`; the RFC names no time, so that of `MAIL`.
    pub hello: Duration,
    /// `STARTTLS`, and then the TLS handshake. RFC 3207 names no time. A handshake has two messages of each side.
    pub tls: Duration,
    /// Each step of `AUTH`; as `MAIL`. Servers delay the answer to a wrong password.
    pub auth: Duration,
    /// Section 4.5.3.2.2.
    pub mail: Duration,
    /// Section 4.5.3.2.3.
    pub rcpt: Duration,
    /// Section 4.5.3.2.4: from `DATA` to 354.
    pub data: Duration,
    /// Section 4.5.3.2.5: until the server has read a block of the message.
    pub block: Duration,
    /// Section 4.5.3.2.6: behind the dot. Too short a time here is what sends a letter twice.
    pub dot: Duration,
    /// `RSET`: it only spares a new session, and the outcome of the letter waits for it.
    pub reset: Duration,
    /// `QUIT`: nothing depends on its reply.
    pub quit: Duration,
    /// Whoever sends lines without a code does not speak SMTP, most likely: the reply is awaited for this long at most
    /// behind the first of them. Not behind the dot.
    pub odd: Duration,
}

impl SmtpLimits {
    /// What the RFC asks for.
    pub const RFC_5321: Self = Self {
        banner: MINUTE.saturating_mul(5),
        hello: MINUTE.saturating_mul(5),
        tls: MINUTE.saturating_mul(2),
        auth: MINUTE.saturating_mul(5),
        mail: MINUTE.saturating_mul(5),
        rcpt: MINUTE.saturating_mul(5),
        data: MINUTE.saturating_mul(2),
        block: MINUTE.saturating_mul(3),
        dot: MINUTE.saturating_mul(10),
        reset: Duration::from_secs(30),
        quit: Duration::from_secs(2),
        odd: Duration::from_secs(30),
    };

    /// How long the whole reply may take in this phase, however many lines it has.
    #[must_use]
    pub const fn reply(&self, phase: SmtpPhase) -> Duration {
        match phase {
            SmtpPhase::Banner => self.banner,
            SmtpPhase::Hello => self.hello,
            SmtpPhase::StartTls => self.tls,
            SmtpPhase::Auth => self.auth,
            SmtpPhase::Mail => self.mail,
            SmtpPhase::Rcpt => self.rcpt,
            SmtpPhase::Data => self.data,
            SmtpPhase::Dot => self.dot,
            SmtpPhase::Reset => self.reset,
            SmtpPhase::Quit => self.quit,
        }
    }
}

impl Default for SmtpLimits {
    fn default() -> Self {
        Self::RFC_5321
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: R-2
    #[test]
    fn every_reply_is_awaited_for_as_long_as_rfc_5321_asks() {
        let minutes = |phase| SmtpLimits::default().reply(phase).as_secs() / 60;
        // Section 4.5.3.2.1 to 4.5.3.2.4, and 4.5.3.2.6.
        for (phase, least) in [
            (SmtpPhase::Banner, 5),
            (SmtpPhase::Mail, 5),
            (SmtpPhase::Rcpt, 5),
            (SmtpPhase::Data, 2),
            (SmtpPhase::Dot, 10),
        ] {
            assert!(minutes(phase) >= least, "{phase}");
        }
        assert_eq!(minutes(SmtpPhase::Hello), 5);
        // Section 4.5.3.2.5.
        assert_eq!(SmtpLimits::default().block, MINUTE * 3);
        // None is without an end.
        assert!(SmtpPhase::ALL.into_iter().all(|phase| minutes(phase) <= 10));
    }
}
