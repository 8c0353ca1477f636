//! Mail servers as they really are: odd replies, refusals that speak of settings, slow and broken ones.

use std::time::Duration;

use anyhow::Result;
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab, OddMailServer, OddReply, learn};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);
/// Of the mail server on the gateway.
const PORT: u16 = 2525;
/// On record.
const PEOPLE: [&str; 3] = ["user1@lab.test", "user2@lab.test", "user3@lab.test"];

fn lab() -> Result<Lab> {
    Lab::builder().clients(3).build()
}

/// Three clients on record, and short pauses.
fn config(lab: &Lab, server: &OddMailServer, people: [&str; 3]) -> DaemonConfig {
    let config = DaemonConfig::new()
        .text("watch.syn_timeout", "500ms")
        .text("notify.smtp", &server.url())
        .text("notify.retry", "200ms")
        .text("notify.retry_max", "500ms");
    people.into_iter().zip(1..).fold(config, |config, (mail, client)| config.address(lab.client(client).v4(), mail))
}

/// Every client is refused once, and the service comes back: each of them is to be told.
fn outage_and_recovery(lab: &Lab, daemon: &Daemon<'_>) -> Result<()> {
    let service = lab.server(1).service_v4(80);
    let nginx = HttpServer::start(lab.server(1), 80)?;
    learn(daemon, lab.client(1), service)?;
    drop(nginx);
    for client in lab.clients() {
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    }
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 3)?;
    let _nginx = HttpServer::start(lab.server(1), 80)?;
    assert_eq!(lab.client(1).connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 0)?;
    Ok(())
}

/// The outbox in the end: so many delivered, so many given up, nothing to come.
fn settled(daemon: &Daemon<'_>, delivered: u64, dead: u64) -> Result<Value> {
    let is_so = |status: &Value| {
        let outbox = &status["outbox"];
        outbox["queued"] == 0 && outbox["delivered"] == delivered && outbox["dead"] == dead
    };
    daemon.wait_for(&["status"], LIMIT, is_so)
}

/// Each of these has one mail, and nobody has another.
fn assert_told_once(server: &OddMailServer, people: &[&str]) {
    let mut told: Vec<_> = server.mails().iter().filter_map(lab::Mail::to).collect();
    told.sort();
    assert_eq!(told, people, "{:#?}", server.commands());
}

/// All letters are kept, and a problem says this.
fn kept_with_problem(daemon: &Daemon<'_>, says: &str) -> Result<()> {
    let is_said = |status: &Value| {
        status["outbox"]["queued"] == 3
            && status["outbox"]["dead"] == 0
            && status["problems"].to_string().contains(says)
    };
    let status = daemon.wait_for(&["status"], LIMIT, is_said)?;
    assert_eq!(status["outbox"]["delivered"], 0, "{status:#}");
    let text = String::from_utf8_lossy(&daemon.ringback(&["status"])?.stdout).into_owned();
    assert!(text.lines().any(|line| line.starts_with("PROBLEM:") && line.contains(says)), "{text}");
    Ok(())
}

// proves: R-2
#[test]
fn replies_in_any_bytes_and_codes_alone_are_replies() -> Result<()> {
    let lab = lab()?;
    for replies in [
        // Bytes that are not UTF-8, everywhere.
        vec![
            OddReply::to("BANNER", b"220-\xc7\xeb\r\n220 \xff mx\r\n"),
            OddReply::to("EHLO", b"250-mx \xe9\r\n250 8BITMIME\r\n"),
            OddReply::to("MAIL", b"250 2.1.0 \xc7\xeb\r\n"),
            OddReply::to("RCPT", b"250 \x80\x81\r\n"),
            OddReply::to("DATA", b"354 \xc7\xeb\r\n"),
            OddReply::to(".", b"250 2.0.0 \xc7\xeb queued\r\n"),
        ],
        // Codes alone, and several lines.
        vec![
            OddReply::to("BANNER", "220\r\n"),
            OddReply::to("EHLO", "250-mx\r\n250-8BITMIME\r\n250\r\n"),
            OddReply::to("MAIL", "250\r\n"),
            OddReply::to("RCPT", "250-yes\r\n250\r\n"),
            OddReply::to("DATA", "354\n"),
            OddReply::to(".", "250\r\n"),
        ],
    ] {
        let server = OddMailServer::start(lab.gateway(), PORT, replies)?;
        let daemon = Daemon::start(lab.gateway(), config(&lab, &server, PEOPLE))?;
        outage_and_recovery(&lab, &daemon)?;
        settled(&daemon, 3, 0)?;
        assert_told_once(&server, &PEOPLE);
        for mail in server.mails() {
            assert_eq!(mail.header("MIME-Version").as_deref(), Some("1.0"), "{}", mail.text);
        }
    }
    Ok(())
}

// proves: R-2
#[test]
fn a_refusal_of_one_recipient_is_final_in_any_bytes_and_the_others_are_told() -> Result<()> {
    let lab = lab()?;
    let never = OddReply::to("RCPT TO:<user2@", b"550 \xc7\xeb \x1b[31m\r\n");
    let server = OddMailServer::start(lab.gateway(), PORT, vec![never])?;
    let daemon = Daemon::start(lab.gateway(), config(&lab, &server, PEOPLE))?;
    outage_and_recovery(&lab, &daemon)?;
    let status = settled(&daemon, 2, 1)?;
    assert_told_once(&server, &[PEOPLE[0], PEOPLE[2]]);
    assert!(status["dead_letters"].to_string().contains("550"), "{status:#}");
    let text = String::from_utf8_lossy(&daemon.ringback(&["status"])?.stdout).into_owned();
    assert!(!text.contains('\u{1b}'), "{text}");
    Ok(())
}

// proves: R-2
#[test]
fn a_refused_null_sender_keeps_the_letters_until_another_is_set() -> Result<()> {
    let lab = lab()?;
    let no = OddReply::to("MAIL FROM:<>", "501 Invalid MAIL FROM address provided\r\n");
    let server = OddMailServer::start(lab.gateway(), PORT, vec![no])?;
    let mut daemon = Daemon::start(lab.gateway(), config(&lab, &server, PEOPLE))?;
    outage_and_recovery(&lab, &daemon)?;
    kept_with_problem(&daemon, "notify.envelope_from")?;
    daemon.write_config(config(&lab, &server, PEOPLE).text("notify.envelope_from", "ringback@lab.test"))?;
    assert!(daemon.sigterm()?.success());
    daemon.launch()?;
    settled(&daemon, 3, 0)?;
    assert_told_once(&server, &PEOPLE);
    Ok(())
}

// proves: R-2
#[test]
fn a_refused_name_in_ehlo_keeps_the_letters_until_it_is_set() -> Result<()> {
    let lab = lab()?;
    let no = OddReply::to("RCPT", "504 5.5.2 <gw1>: Helo command rejected: need fully-qualified hostname\r\n");
    let server = OddMailServer::start(lab.gateway(), PORT, vec![no.unless_hello("gw.lab.test")])?;
    let mut daemon = Daemon::start(lab.gateway(), config(&lab, &server, PEOPLE))?;
    outage_and_recovery(&lab, &daemon)?;
    kept_with_problem(&daemon, "notify.smtp_helo_name")?;
    // By default it is a full name or an address, never a host's name alone.
    let hello = server.commands().into_iter().find(|command| command.starts_with("EHLO ")).unwrap_or_default();
    assert!(hello == "EHLO [127.0.0.1]" || hello.contains('.'), "{hello}");
    daemon.write_config(config(&lab, &server, PEOPLE).text("notify.smtp_helo_name", "gw.lab.test"))?;
    assert!(daemon.sigterm()?.success());
    daemon.launch()?;
    settled(&daemon, 3, 0)?;
    assert_told_once(&server, &PEOPLE);
    Ok(())
}

// proves: R-2
#[test]
fn denied_relaying_keeps_the_letters_until_the_mail_server_allows_it() -> Result<()> {
    let lab = lab()?;
    let no = OddReply::to("RCPT", "554 5.7.1 <user@lab.test>: Relay access denied\r\n");
    let server = OddMailServer::start(lab.gateway(), PORT, vec![no])?;
    let daemon = Daemon::start(lab.gateway(), config(&lab, &server, PEOPLE))?;
    outage_and_recovery(&lab, &daemon)?;
    kept_with_problem(&daemon, "does not relay for this host")?;
    server.mend();
    settled(&daemon, 3, 0)?;
    assert_told_once(&server, &PEOPLE);
    Ok(())
}

// proves: R-2
#[test]
fn broken_starttls_that_nobody_asked_for_stops_no_mail() -> Result<()> {
    let lab = lab()?;
    let offered = || OddReply::to("EHLO", "250-mx\r\n250 STARTTLS\r\n");
    // "No cipher in common", as a server says it that has only old ones.
    let no_cipher = b"220 go ahead\r\n\x15\x03\x03\x00\x02\x02\x28";
    for refusal in [
        OddReply::to("STARTTLS", "454 4.7.0 TLS not available\r\n"),
        OddReply::to("STARTTLS", no_cipher).and_hangs_up(),
        OddReply::to("STARTTLS", "").and_hangs_up(),
    ] {
        let server = OddMailServer::start(lab.gateway(), PORT, vec![offered(), refusal.clone()])?;
        let daemon = Daemon::start(lab.gateway(), config(&lab, &server, PEOPLE))?;
        outage_and_recovery(&lab, &daemon)?;
        settled(&daemon, 3, 0)?;
        assert_told_once(&server, &PEOPLE);
        drop(daemon);
        drop(server);
        // Where it was asked for, nothing goes in clear.
        let server = OddMailServer::start(lab.gateway(), PORT, vec![offered(), refusal])?;
        let demanded = server.url().replace("smtp://", "smtp+starttls://");
        let config = config(&lab, &server, PEOPLE).text("notify.smtp", &demanded);
        let daemon = Daemon::start(lab.gateway(), config)?;
        outage_and_recovery(&lab, &daemon)?;
        kept_with_problem(&daemon, "TLS")?;
        assert!(!server.commands().iter().any(|command| command.starts_with("MAIL")), "{:?}", server.commands());
    }
    Ok(())
}

// proves: R-2
#[test]
fn a_late_yes_is_a_yes() -> Result<()> {
    let lab = lab()?;
    let late = OddReply::to(".", "250 2.0.0 queued\r\n").after(Duration::from_secs(12));
    let server = OddMailServer::start(lab.gateway(), PORT, vec![late])?;
    let daemon = Daemon::start(lab.gateway(), config(&lab, &server, PEOPLE))?;
    outage_and_recovery(&lab, &daemon)?;
    settled(&daemon, 3, 0)?;
    assert_told_once(&server, &PEOPLE);
    Ok(())
}

// proves: R-2
#[test]
fn a_mail_that_may_have_been_taken_is_not_sent_again_at_once_nor_after_a_restart() -> Result<()> {
    let lab = lab()?;
    let cut = OddReply::to(".", "").and_hangs_up();
    let server = OddMailServer::start(lab.gateway(), PORT, vec![cut])?;
    let config = config(&lab, &server, PEOPLE).text("notify.retry", "30s").text("notify.retry_max", "30m");
    let mut daemon = Daemon::start(lab.gateway(), config)?;
    outage_and_recovery(&lab, &daemon)?;
    kept_with_problem(&daemon, "may have been taken")?;
    daemon.wait_for(&["status"], LIMIT, |status| status["outbox"]["retrying"] == 3)?;
    server.mend();
    assert!(daemon.sigterm()?.success());
    daemon.launch()?;
    kept_with_problem(&daemon, "may have been taken")?;
    assert_told_once(&server, &PEOPLE);
    Ok(())
}

// proves: R-2
#[test]
fn people_at_domains_of_every_script_are_told_by_any_mail_server() -> Result<()> {
    let lab = lab()?;
    let server = OddMailServer::start(lab.gateway(), PORT, vec![])?;
    let people = ["user1@bücher.example", "user2@例え.example", "jürgen@lab.test"];
    let daemon = Daemon::start(lab.gateway(), config(&lab, &server, people))?;
    outage_and_recovery(&lab, &daemon)?;
    // What is before the @ has no ASCII form, and the server does not know SMTPUTF8.
    let status = settled(&daemon, 2, 1)?;
    assert!(status["dead_letters"].to_string().contains("SMTPUTF8"), "{status:#}");
    let commands = server.commands();
    for expected in ["RCPT TO:<user1@xn--bcher-kva.example>", "RCPT TO:<user2@xn--r8jz45g.example>"] {
        assert_eq!(commands.iter().filter(|command| *command == expected).count(), 1, "{commands:#?}");
    }
    assert_told_once(&server, &["user1@xn--bcher-kva.example", "user2@xn--r8jz45g.example"]);
    Ok(())
}
