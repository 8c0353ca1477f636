//! Mailboxes that are away, slow, silent, or break off; certificates that prove nothing; receipts that do not come.

use anyhow::{Context as _, Result};
use lab::{Attempt, Daemon, DaemonConfig, Fault, HttpServer, Pop3Gate, webhook_server::certificate};
use serde_json::Value;

use crate::story::{LIMIT, Story, list_state};

// proves: F-17a
#[test]
fn a_mail_host_that_is_away_is_waited_for() -> Result<()> {
    let story = Story::new()?;
    let gateway = Daemon::start(story.lab.gateway(), story.gateway("off")?)?;
    story.lab.server(2).link_down()?;
    story.fail(&gateway)?;
    let _nginx = HttpServer::start(story.lab.server(1), 80)?;
    assert_eq!(story.lab.client(3).connect(None, story.service(), LIMIT)?, Attempt::Connected);
    gateway.wait_for(&["status"], LIMIT, |status| list_state(status) == "pending")?;
    let relay = Daemon::start_relay(story.lab.server(1), story.relay()?)?;
    let problem = |status: &Value| status["problems"].to_string().contains("the mailbox cannot be read");
    relay.wait_for(&["status"], LIMIT, problem)?;
    story.lab.server(2).link_up()?;
    story.assert_each_told_once()?;
    relay.wait_for(&["status"], LIMIT, |status| !problem(status))?;
    Ok(())
}

// proves: F-17b
#[test]
fn a_mailbox_is_read_over_pop3s_and_over_stls() -> Result<()> {
    for scheme in ["pop3s", "pop3+starttls"] {
        let story = Story::new()?;
        let url =
            |config: DaemonConfig| config.text("mailbox.pop3", &format!("{scheme}://{}", story.lab.server(2).v4()));
        let gateway = Daemon::start(story.lab.gateway(), url(story.gateway("off")?))?;
        story.fail(&gateway)?;
        let _nginx = story.recover(&gateway)?;
        let relay = Daemon::start_relay(story.lab.server(1), url(story.relay()?))?;
        story.assert_each_told_once().context(scheme)?;
        gateway.wait_for(&["status"], LIMIT, |status| list_state(status) == "delivered").context(scheme)?;
        assert_eq!(relay.status()?["health"], "ok", "{scheme}");
    }
    Ok(())
}

// proves: F-17b
#[test]
fn a_mailbox_that_its_certificate_does_not_prove_gets_no_password() -> Result<()> {
    let story = Story::new()?;
    let other = certificate(story.lab.server(3), &story.lab.folder().join("other"))?;
    for scheme in ["pop3s", "pop3+starttls"] {
        let config = story
            .relay()?
            .text("mailbox.pop3", &format!("{scheme}://{}", story.lab.server(2).v4()))
            .text("mailbox.pop3_ca_file", &other.display().to_string());
        let relay = Daemon::start_relay(story.lab.server(1), config)?;
        let refused = |status: &Value| status["problems"].to_string().contains("invalid peer certificate");
        relay.wait_for(&["status"], LIMIT, refused).context(scheme)?;
    }
    let log = std::fs::read_to_string(story.lab.server(2).folder().join("mail-host/dovecot.log"))?;
    assert!(!log.contains("user=<relay>"), "{log}");
    Ok(())
}

// proves: F-17b
#[test]
fn a_mailbox_that_breaks_off_in_a_mail_or_trickles_is_read_all_the_same() -> Result<()> {
    for fault in [Fault::Cut, Fault::Trickle] {
        let story = Story::new()?;
        let gateway = Daemon::start(story.lab.gateway(), story.gateway("off")?)?;
        story.fail(&gateway)?;
        let _nginx = story.recover(&gateway)?;
        story.wait_for_mail("relay", 1)?;
        let gate = Pop3Gate::faulty(story.lab.server(1), story.lab.server(2).service_v4(110), fault)?;
        let relay = Daemon::start_relay(story.lab.server(1), story.relay()?.text("mailbox.pop3", &gate.url()))?;
        if fault == Fault::Cut {
            let cut = |status: &Value| status["problems"].to_string().contains("ended in the middle of an answer");
            relay.wait_for(&["status"], LIMIT, cut)?;
            assert_eq!(story.mail.mails("relay")?.len(), 1, "nothing is lost");
            assert_eq!(relay.status()?["refused"], Value::Array(Vec::new()), "half a mail is no mail");
            gate.open();
        }
        story.assert_each_told_once().with_context(|| format!("{fault:?}: {}", relay.log()))?;
        story.wait_for_mail("relay", 0)?;
        relay.wait_for(&["status"], LIMIT, |status| status["health"] == "ok")?;
    }
    Ok(())
}

// proves: F-17b
#[test]
fn a_mailbox_that_says_nothing_is_left_after_half_a_minute_and_asked_again() -> Result<()> {
    let story = Story::new()?;
    let gateway = Daemon::start(story.lab.gateway(), story.gateway("off")?)?;
    story.fail(&gateway)?;
    let _nginx = story.recover(&gateway)?;
    story.wait_for_mail("relay", 1)?;
    let gate = Pop3Gate::start(story.lab.server(1), story.lab.server(2).service_v4(110), "RETR")?;
    let relay = Daemon::start_relay(story.lab.server(1), story.relay()?.text("mailbox.pop3", &gate.url()))?;
    gate.wait_until_held()?;
    let silent = |status: &Value| status["problems"].to_string().contains("silent for 30 s");
    relay.wait_for(&["status"], LIMIT * 3, silent)?;
    gate.open();
    story.assert_each_told_once()
}

// proves: F-17a
#[test]
fn a_list_without_a_receipt_is_shown_as_pending_and_then_as_expired() -> Result<()> {
    let story = Story::new()?;
    let gateway = Daemon::start(story.lab.gateway(), story.gateway("off")?.text("notify.lifetime", "3s"))?;
    let shown = || Ok::<_, anyhow::Error>(String::from_utf8_lossy(&gateway.ringback(&["status"])?.stdout).into_owned());
    story.fail(&gateway)?;
    let _nginx = HttpServer::start(story.lab.server(1), 80)?;
    assert_eq!(story.lab.client(3).connect(None, story.service(), LIMIT)?, Attempt::Connected);
    gateway.wait_for(&["status"], LIMIT, |status| list_state(status) == "pending")?;
    assert!(shown()?.contains("3 clients to relay@lab.test: pending"), "{}", shown()?);
    let status = gateway.wait_for(&["status"], LIMIT, |status| list_state(status) == "expired")?;
    assert_eq!(status["health"], "degraded", "{status:#}");
    assert!(shown()?.contains("EXPIRED without a receipt"), "{}", shown()?);
    // Whoever is late tells nobody; a receipt that was only late still counts.
    let relay = Daemon::start_relay(story.lab.server(1), story.relay()?)?;
    relay.wait_for(&["status"], LIMIT, |status| status["refused"][0]["reason"] == "expired")?;
    assert_eq!(story.mail.mails("sato")?.len() + story.mail.mails("fallback")?.len(), 0);
    Ok(())
}
