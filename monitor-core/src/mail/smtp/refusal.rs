//! A reply that is no "yes" -> what becomes of the letter.
//!
//! A refusal of the letter (no such user, too large) ends it. A refusal of us (our name, our sender, no login, no relaying,
//! policy, rate) keeps it: the same letter goes out when a setting has changed, here or at the mail server, and the reason
//! says which. The phase and the digits decide. Where they leave it open, the enhanced status code does (RFC 3463), and
//! where there is none, the words that mail servers use.

use super::{Reply, SmtpPhase};
use crate::mail::Attempt;

/// Characters of a mail server's text in a reason; what to do stands behind them.
const SHOWN: usize = 220;

/// The client of a session, as far as a refusal may speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Whether the envelope sender is `<>`.
    pub sender: Sender,
    /// Whether it logs in.
    pub login: Login,
}

/// The envelope sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// `<>`
    Null,
    /// `notify.envelope_from`
    Named,
}

/// Whether there is a user name and a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    /// None is configured.
    None,
    /// `notify.smtp_user`
    Configured,
}

/// Whom a refusal speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    /// Recipient or content: this letter, whoever brings it.
    Letter,
    Sender,
    Hello,
    Relaying,
    Login,
    /// Block lists, SPF, rates, rules of the operator.
    Policy,
    /// The server did not understand, or not in this order.
    Protocol,
}

/// What a reply makes of this try. Positive replies before the dot only get here where they are not expected.
pub fn meaning(phase: SmtpPhase, reply: &Reply, client: Client) -> Attempt {
    if phase == SmtpPhase::Dot && reply.is_positive() {
        return Attempt::Accepted;
    }
    if reply.is_positive() || reply.is_intermediate() {
        return broken(phase, &format!("{} is no answer to it", shown(reply)));
    }
    let about = about(phase, reply);
    let said = format!("{phase}: {}", shown(reply));
    if !reply.is_permanent() {
        let said = match about {
            About::Hello | About::Relaying | About::Login => with_remedy(&said, about, client),
            _ => said,
        };
        // Whoever is not asked for a recipient yet cannot mean the letter.
        return if is_before_the_letter(phase) { Attempt::NoSession(said) } else { Attempt::Deferred(said) };
    }
    match about {
        About::Letter => Attempt::Refused(said),
        // Of every letter the same would be said.
        About::Hello => Attempt::NoSession(with_remedy(&said, about, client)),
        About::Login if wants_login(reply) => Attempt::NoSession(with_remedy(&said, about, client)),
        _ if is_before_the_letter(phase) => Attempt::NoSession(with_remedy(&said, about, client)),
        // Perhaps of this recipient only: the next letter is tried.
        _ => Attempt::Deferred(with_remedy(&said, about, client)),
    }
}

/// What a lost connection, silence, or bytes that are no reply make of this try.
pub fn broken(phase: SmtpPhase, what: &str) -> Attempt {
    let said = format!("{phase}: {what}");
    match phase {
        SmtpPhase::Dot => Attempt::Unknown(said),
        _ if is_before_the_letter(phase) => Attempt::NoSession(said),
        _ => Attempt::Deferred(said),
    }
}

const fn is_before_the_letter(phase: SmtpPhase) -> bool {
    matches!(phase, SmtpPhase::Banner | SmtpPhase::Hello | SmtpPhase::StartTls | SmtpPhase::Auth | SmtpPhase::Mail)
}

fn shown(reply: &Reply) -> String {
    let text = reply.to_string();
    if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN).chain(['…']).collect() }
}

fn with_remedy(said: &str, about: About, client: Client) -> String {
    let remedy = match (about, client) {
        (About::Letter, _) => return said.to_owned(),
        (About::Sender, Client { sender: Sender::Null, .. }) => {
            "it refuses the null sender: set notify.envelope_from to an address that it accepts"
        }
        (About::Sender, Client { sender: Sender::Named, .. }) => {
            "it refuses the sender: set notify.envelope_from to an address that it accepts"
        }
        (About::Hello, _) => {
            "it refuses this host's name: set notify.smtp_helo_name to a full name that DNS knows for this host"
        }
        (About::Login | About::Relaying, Client { login: Login::Configured, .. }) => {
            "check notify.smtp_user, notify.smtp_password_file and what this user may send"
        }
        (About::Login, _) => "it wants a login: set notify.smtp_user and notify.smtp_password_file",
        (About::Relaying, _) => {
            "it does not relay for this host: allow that there, or set notify.smtp_user and notify.smtp_password_file"
        }
        (About::Policy, _) => {
            "a rule there refuses this host's mails: allow them there, or set notify.smtp to another server"
        }
        (About::Protocol, _) => "the mail server and Ringback do not understand each other: is notify.smtp right?",
    };
    format!("{said}; {remedy}")
}

/// Whom a 4yz or 5yz speaks of.
fn about(phase: SmtpPhase, reply: &Reply) -> About {
    if phase == SmtpPhase::Auth || wants_login(reply) {
        return About::Login;
    }
    let words = hint(reply);
    match phase {
        SmtpPhase::Banner => words.unwrap_or(About::Policy),
        SmtpPhase::Hello => About::Hello,
        SmtpPhase::Mail => match (words, reply.enhanced()) {
            (Some(words), _) => words,
            (None, Some((7, _))) => About::Policy,
            _ => About::Sender,
        },
        SmtpPhase::Rcpt | SmtpPhase::Data | SmtpPhase::Dot => match reply.enhanced() {
            Some((subject, detail)) => of_status(subject, detail, reply.code, words),
            None => words.unwrap_or_else(|| of_code(phase, reply.code)),
        },
        SmtpPhase::StartTls | SmtpPhase::Auth | SmtpPhase::Reset | SmtpPhase::Quit => About::Protocol,
    }
}

/// The codes of RFC 4954 section 6.
const fn wants_login(reply: &Reply) -> bool {
    matches!(reply.code, 530 | 534 | 535 | 538)
}

/// RFC 3463 section 3.
fn of_status(subject: u16, detail: u16, code: u16, words: Option<About>) -> About {
    match (subject, detail) {
        (1, 7 | 8) => About::Sender,
        // Addressing, mailbox, system, routing, content.
        (1..=4 | 6, _) => About::Letter,
        // Some say 550 5.5.0 of a mailbox that is not there.
        (5, _) if matches!(code, 550 | 551 | 553) && words.is_none() => About::Letter,
        (5, _) => words.unwrap_or(About::Protocol),
        (7, _) => words.unwrap_or(About::Policy),
        _ => words.unwrap_or(About::Letter),
    }
}

/// RFC 5321 section 4.2.2, where nothing else is said.
const fn of_code(phase: SmtpPhase, code: u16) -> About {
    match (phase, code) {
        // "Unrecognized", "not implemented", "bad sequence", "parameter not implemented", "parameters not recognized". 501
        // to RCPT speaks of its only parameter, the recipient.
        (_, 503) | (SmtpPhase::Rcpt, 500 | 502 | 504 | 555) => About::Protocol,
        // RFC 7504: this host takes no mail.
        (_, 521) => About::Policy,
        // Nothing of the message is sent yet, and the recipient was taken.
        (SmtpPhase::Data, _) => About::Protocol,
        _ => About::Letter,
    }
}

/// What the words of mail servers that give no enhanced status code say. Addresses and host names are no words.
fn hint(reply: &Reply) -> Option<About> {
    let text = reply.text().to_lowercase();
    let is_word = |word: &&str| {
        !word.contains(['@', '<']) && !word.contains("://") && !word.trim_end_matches(['.', ':']).contains('.')
    };
    let words: Vec<&str> = text
        .split_whitespace()
        .filter(is_word)
        .flat_map(|word| word.split(|c: char| !c.is_ascii_alphanumeric()))
        .collect();
    let begins = |begins: &[&str]| words.iter().any(|word| begins.iter().any(|begin| word.starts_with(begin)));
    let is = |these: &[&str]| words.iter().any(|word| these.contains(word));
    let follows = |first, then| words.windows(2).any(|pair| pair == [first, then]);
    let kinds = [
        (begins(&["helo", "ehlo"]), About::Hello),
        (begins(&["relay", "rcpthosts"]), About::Relaying),
        // Before "authentication", which these fail.
        (is(&["spf", "dkim", "dmarc"]), About::Policy),
        (begins(&["authenticat", "login"]) || is(&["auth"]) || follows("log", "in"), About::Login),
        (begins(&["blocked", "blocklist", "blacklist", "denylist"]), About::Policy),
        (begins(&["dnsbl", "rbl", "reputation", "polic", "banned", "throttl"]), About::Policy),
        (is(&["rate"]) || follows("too", "many") || follows("access", "denied"), About::Policy),
        (begins(&["sender"]), About::Sender),
    ];
    kinds.into_iter().find_map(|(is_it, about)| is_it.then_some(about))
}

#[cfg(test)]
#[path = "refusal_tests.rs"]
mod tests;
