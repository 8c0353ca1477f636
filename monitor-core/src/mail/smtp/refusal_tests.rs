//! Refusals as the mail servers in use word them.

use super::*;

const PLAIN: Client = Client { sender: Sender::Null, login: Login::None };

fn reply(line: &str) -> Reply {
    let mut reader = super::super::ReplyReader::default();
    reader.take(format!("{line}\r\n").as_bytes());
    reader.finish().unwrap_or_else(|| panic!("{line}"))
}

fn means(phase: SmtpPhase, line: &str) -> Attempt {
    meaning(phase, &reply(line), PLAIN)
}

// proves: R-2
#[test]
fn a_refusal_of_the_letter_ends_it() {
    for (phase, line) in [
        (
            SmtpPhase::Rcpt,
            "550 5.1.1 <x@example.net>: Recipient address rejected: User unknown in local recipient table",
        ),
        (SmtpPhase::Rcpt, "550 No such user here"),
        (SmtpPhase::Rcpt, "550"),
        (SmtpPhase::Rcpt, "553 mailbox name not allowed"),
        (SmtpPhase::Rcpt, "501 5.1.3 Bad recipient address syntax"),
        (SmtpPhase::Rcpt, "550 5.4.1 Recipient address rejected: Access denied. [x.example.net]"),
        (SmtpPhase::Rcpt, "552 5.2.2 Mailbox full"),
        (SmtpPhase::Rcpt, "556 5.1.10 recipient address has null MX"),
        (SmtpPhase::Rcpt, "500 5.3.0 Error: command failed"),
        (SmtpPhase::Rcpt, "550 <user@relay.example.net>: unknown user"),
        (SmtpPhase::Rcpt, "550 5.5.0 Requested action not taken: mailbox unavailable"),
        (SmtpPhase::Data, "550 5.1.1 no such user"),
        (SmtpPhase::Dot, "552 5.3.4 Message size exceeds fixed limit"),
        (SmtpPhase::Dot, "554 5.6.0 Bad content"),
        (SmtpPhase::Dot, "554 no"),
        (SmtpPhase::Dot, "550"),
    ] {
        assert!(matches!(means(phase, line), Attempt::Refused(said) if said.contains(&line[..3])), "{phase} {line}");
    }
}

// proves: R-2
#[test]
fn a_refusal_of_us_keeps_the_letter_and_says_what_to_set() {
    for (phase, line, says) in [
        (SmtpPhase::Banner, "554 5.7.1 no SMTP service for you", "a rule there"),
        (SmtpPhase::Hello, "550 who are you", "notify.smtp_helo_name"),
        (SmtpPhase::Auth, "535 5.7.8 no", "notify.smtp_user"),
        (SmtpPhase::Mail, "501 Invalid MAIL FROM address provided", "notify.envelope_from"),
        (SmtpPhase::Mail, "553 5.1.8 domain of sender does not exist", "notify.envelope_from"),
        (SmtpPhase::Mail, "530 5.7.0 Must issue a STARTTLS command first", "notify.smtp_user"),
        (SmtpPhase::Mail, "550 5.7.1 Client host blocked using a list", "a rule there"),
        (SmtpPhase::Mail, "503 5.5.1 Error: send HELO/EHLO first", "notify.smtp_helo_name"),
        (
            SmtpPhase::Rcpt,
            "504 5.5.2 <gw1>: Helo command rejected: need fully-qualified hostname",
            "notify.smtp_helo_name",
        ),
        (SmtpPhase::Rcpt, "554 5.7.1 <x@example.net>: Relay access denied", "does not relay"),
        (SmtpPhase::Rcpt, "550 relay not permitted", "does not relay"),
        (SmtpPhase::Rcpt, "550 5.7.1 Relaying denied. Proper authentication required.", "does not relay"),
        (SmtpPhase::Rcpt, "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "does not relay"),
        (SmtpPhase::Rcpt, "550 Sender verify failed", "notify.envelope_from"),
        (
            SmtpPhase::Rcpt,
            "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
            "notify.envelope_from",
        ),
        (SmtpPhase::Rcpt, "530 SMTP authentication is required.", "notify.smtp_user"),
        (SmtpPhase::Rcpt, "550 authentication required", "notify.smtp_user"),
        (
            SmtpPhase::Rcpt,
            "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.example",
            "a rule there",
        ),
        (SmtpPhase::Rcpt, "550 5.7.23 SPF check failed: authentication", "a rule there"),
        (SmtpPhase::Rcpt, "550 too many messages from you, slow down", "a rule there"),
        (SmtpPhase::Rcpt, "503 bad sequence", "is notify.smtp right"),
        (SmtpPhase::Rcpt, "504", "is notify.smtp right"),
        (SmtpPhase::Data, "554 5.5.1 no valid recipients", "is notify.smtp right"),
        (SmtpPhase::Dot, "550 5.7.1 message rejected by policy", "a rule there"),
        (SmtpPhase::Dot, "530 5.7.0 log in first", "notify.smtp_user"),
    ] {
        let (Attempt::NoSession(said) | Attempt::Deferred(said)) = means(phase, line) else {
            panic!("{phase} {line}: {:?}", means(phase, line));
        };
        assert!(said.contains(says) && said.contains(&line[..3]), "{phase} {line}: {said}");
    }
}

#[test]
fn what_concerns_every_letter_stops_the_others_and_what_may_not_does_not() {
    assert!(matches!(means(SmtpPhase::Mail, "450 4.7.1 too fast"), Attempt::NoSession(_)));
    assert!(matches!(means(SmtpPhase::Rcpt, "504 5.5.2 Helo command rejected"), Attempt::NoSession(_)));
    assert!(matches!(means(SmtpPhase::Rcpt, "554 5.7.1 Relay access denied"), Attempt::Deferred(_)));
    assert!(matches!(means(SmtpPhase::Rcpt, "530 5.7.0 log in first"), Attempt::NoSession(_)));
    assert!(matches!(means(SmtpPhase::Rcpt, "550 authentication required for other domains"), Attempt::Deferred(_)));
    assert!(
        matches!(means(SmtpPhase::Rcpt, "450 4.2.0 greylisted"), Attempt::Deferred(said) if !said.contains("notify."))
    );
    assert!(matches!(means(SmtpPhase::Dot, "452 4.3.1 full"), Attempt::Deferred(_)));
}

#[test]
fn a_configured_sender_and_login_are_named_as_such() {
    let client = Client { sender: Sender::Named, login: Login::Configured };
    let said = |phase, line| match meaning(phase, &reply(line), client) {
        Attempt::NoSession(said) | Attempt::Deferred(said) => said,
        other => panic!("{other:?}"),
    };
    assert!(!said(SmtpPhase::Mail, "501 no").contains("null sender"));
    assert!(said(SmtpPhase::Rcpt, "554 5.7.1 Relay access denied").contains("check notify.smtp_user"));
}

// proves: R-2
#[test]
fn behind_the_dot_only_a_code_says_that_the_letter_was_not_taken() {
    for line in ["250", "250 ok", "299 odd", "200 \u{fffd}"] {
        assert_eq!(means(SmtpPhase::Dot, line), Attempt::Accepted, "{line}");
    }
    assert!(matches!(means(SmtpPhase::Dot, "354 go on"), Attempt::Unknown(_)));
    assert!(matches!(broken(SmtpPhase::Dot, "lost"), Attempt::Unknown(_)));
    assert!(matches!(broken(SmtpPhase::Rcpt, "lost"), Attempt::Deferred(_)));
    assert!(matches!(broken(SmtpPhase::Banner, "lost"), Attempt::NoSession(_)));
}

#[test]
fn a_long_text_hides_no_remedy() {
    let line = format!("554 5.7.1 Relay access denied {}", "x".repeat(400));
    let Attempt::Deferred(said) = means(SmtpPhase::Rcpt, &line) else { panic!() };
    assert!(said.ends_with("notify.smtp_password_file") && said.contains('…'), "{said}");
}
