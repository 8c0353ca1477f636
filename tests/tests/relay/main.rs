//! Someone else delivers: a relay on the recovered server, or on a management station. OpenSMTPD and Dovecot are real.

mod bad_mails;
mod faults;
mod keys;
mod story;

use std::fs;

use anyhow::{Context as _, Result};
use lab::{Daemon, HttpServer, Pop3Gate};
use serde_json::Value;

use self::story::{LIMIT, Story, list_state};

// proves: F-15b F-17a F-17d F-19 F-20
#[test]
fn the_recovered_server_fetches_the_list_and_tells_each_client_once() -> Result<()> {
    let story = Story::new()?;
    let gateway = Daemon::start(story.lab.gateway(), story.gateway("off")?)?;
    story.fail(&gateway)?;
    let _nginx = story.recover(&gateway)?;
    // One list, to the relay, in place of letters; nobody waits any more.
    story.wait_for_mail("relay", 1)?;
    let status = gateway.status()?;
    assert_eq!(list_state(&status), "pending", "{status:#}");
    assert_eq!(status["lists"][0]["clients"], 3);
    assert_eq!(status["outbox"]["delivered"], 1);
    assert_eq!(gateway.json(&["waiting"])?, Value::Array(Vec::new()));
    let list = &story.mail.mails("relay")?[0].text;
    for client in story.lab.clients() {
        assert!(list.contains(&format!("  {}\n", client.v4())), "{list}");
    }
    // The server is up again, and so is its relay: at its start it looks into its mailbox.
    let config = story.relay()?.text("control.metrics_listen", "127.0.0.1:9469");
    let relay = Daemon::start_relay(story.lab.server(1), config)?;
    story.assert_each_told_once()?;
    story.wait_for_mail("relay", 0)?;
    let status = gateway.wait_for(&["status"], LIMIT, |status| list_state(status) == "delivered")?;
    assert_eq!(status["list_states"][0]["reason"], "delivered", "{status:#}");
    let metrics = story.lab.server(1).command("curl").args(["-s", "http://127.0.0.1:9469/metrics"]).output()?;
    let metrics = String::from_utf8_lossy(&metrics.stdout).into_owned();
    for line in
        ["ringback_mailbox_count{reason=\"list_taken\"} 1", "ringback_outbox_delivered_total 3", "ringback_healthy 1"]
    {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert_eq!(status["lists"][0]["told"], 2, "client3 is on no record: {status:#}");
    assert_eq!(relay.json(&["waiting"])?, Value::Array(Vec::new()));
    story.wait_for_mail("gateway", 0)?;
    assert_eq!(relay.status()?["health"], "ok");
    Ok(())
}

// proves: F-10a F-18b
#[test]
fn a_management_station_fetches_the_list_when_the_server_s_trap_reaches_it() -> Result<()> {
    let story = Story::new()?;
    let gateway = Daemon::start(story.lab.gateway(), story.gateway("off")?)?;
    // It would look into its mailbox in an hour.
    let station = story
        .relay()?
        .text("mailbox.poll", "1h")
        .text("recovery.trap_listen", "0.0.0.0:162")
        .set("recovery.communities", "['public']");
    let station = Daemon::start_relay(story.lab.server(3), station)?;
    story.fail(&gateway)?;
    let _nginx = HttpServer::start(story.lab.server(1), 80)?;
    let server = story.lab.server(1);
    for manager in [format!("{}", story.lab.server(3).v4()), gateway_towards(&story)] {
        let mut trap = server.command("snmptrap");
        trap.args(["-v2c", "-c", "public", &manager, "1", "1.3.6.1.6.3.1.1.5.1"]);
        assert!(trap.output()?.status.success());
    }
    story.assert_each_told_once()?;
    gateway.wait_for(&["status"], LIMIT, |status| list_state(status) == "delivered")?;
    let ended = gateway.json(&["outages", "--all"])?;
    assert_eq!(ended[0]["ended_by"], "trap", "{ended:#}");
    assert_eq!(station.json(&["outages", "--all"])?[0]["letters"], 2);
    Ok(())
}

/// The gateway's address in the server's network.
fn gateway_towards(story: &Story) -> String {
    let server = story.lab.server(1).v4().to_string();
    format!("{}.1", server.rsplit_once('.').map_or("", |(network, _)| network))
}

// proves: F-17a F-15a
#[test]
fn without_a_receipt_the_gateway_mails_the_clients_itself_and_a_late_relay_tells_nobody() -> Result<()> {
    let story = Story::new()?;
    let gateway = Daemon::start(story.lab.gateway(), story.gateway("4s")?)?;
    story.fail(&gateway)?;
    let _nginx = story.recover(&gateway)?;
    story.wait_for_mail("relay", 1)?;
    story.wait_for_mail("fallback", 1)?;
    let status = gateway.wait_for(&["status"], LIMIT, |status| list_state(status) == "direct")?;
    assert_eq!(status["outbox"]["delivered"], 2, "the list and one letter: {status:#}");
    let relay = Daemon::start_relay(story.lab.server(1), story.relay()?)?;
    let status = relay.wait_for(&["status"], LIMIT, |status| status["refused"][0]["reason"] == "expired")?;
    let file = status["refused"][0]["file"].as_str().context("no file")?;
    assert!(fs::read_to_string(file)?.contains("To the Ringback relay"));
    story.wait_for_mail("relay", 0)?;
    assert_eq!(status["outbox"]["delivered"], 0);
    assert_eq!(story.mail.mails("sato")?.len() + story.mail.mails("suzuki")?.len(), 0);
    Ok(())
}

// proves: F-17a F-17b
#[test]
fn a_relay_killed_at_any_step_tells_each_client_exactly_once() -> Result<()> {
    // Nothing is asked for; the list is not fetched; it is stored and its mail not deleted; deleted and the deletion not in force.
    for command in ["UIDL", "RETR", "DELE", "QUIT"] {
        let story = Story::new()?;
        let gateway = Daemon::start(story.lab.gateway(), story.gateway("off")?)?;
        story.fail(&gateway)?;
        let _nginx = story.recover(&gateway)?;
        story.wait_for_mail("relay", 1)?;
        let gate = Pop3Gate::start(story.lab.server(1), story.lab.server(2).service_v4(110), command)?;
        let config = story.relay()?.text("mailbox.pop3", &gate.url());
        // Nobody takes mail yet: a kill between a mail server's word and the note of it would send a mail again, under its
        // Message-ID, as everywhere.
        let no_mail = config.clone().text("notify.smtp", "smtp://127.0.0.1:2525");
        let mut relay = Daemon::start_relay(story.lab.server(1), no_mail)?;
        gate.wait_until_held()?;
        let stored = if ["UIDL", "RETR"].contains(&command) { 0 } else { 3 };
        relay.wait_for(&["status"], LIMIT, |status| status["outbox"]["queued"] == stored)?;
        relay.kill9()?;
        relay.write_config(config)?;
        assert_eq!(story.mail.mails("relay")?.len(), 1, "{command}: nothing is deleted yet");
        gate.open();
        relay.launch()?;
        story.assert_each_told_once().context(command)?;
        story.wait_for_mail("relay", 0)?;
        gateway.wait_for(&["status"], LIMIT, |status| list_state(status) == "delivered")?;
        relay.wait_for(&["status"], LIMIT, |status| status["outbox"]["queued"] == 0)?;
        let status = relay.status()?;
        assert_eq!(status["refused"], Value::Array(Vec::new()), "{command}: its own mail is no replay: {status:#}");
        assert_eq!(status["outbox"]["delivered"], 3, "{command}: two letters and a receipt: {status:#}");
        story.assert_each_told_once().context(command)?;
    }
    Ok(())
}

// proves: F-17a
#[test]
fn a_relay_killed_with_letters_in_its_outbox_sends_each_once() -> Result<()> {
    let story = Story::new()?;
    let gateway = Daemon::start(story.lab.gateway(), story.gateway("off")?)?;
    story.fail(&gateway)?;
    let _nginx = story.recover(&gateway)?;
    // Nobody listens there.
    let mut relay =
        Daemon::start_relay(story.lab.server(1), story.relay()?.text("notify.smtp", "smtp://127.0.0.1:2525"))?;
    relay.wait_for(&["status"], LIMIT, |status| status["outbox"]["queued"] == 3)?;
    relay.kill9()?;
    relay.write_config(story.relay()?)?;
    relay.launch()?;
    story.assert_each_told_once()?;
    gateway.wait_for(&["status"], LIMIT, |status| list_state(status) == "delivered")?;
    Ok(())
}

// proves: F-17a F-17b
#[test]
fn what_is_forged_replayed_or_garbage_is_kept_aside_and_mails_nobody() -> Result<()> {
    let story = Story::new()?;
    let gateway = Daemon::start(story.lab.gateway(), story.gateway("off")?)?;
    story.fail(&gateway)?;
    let _nginx = story.recover(&gateway)?;
    story.wait_for_mail("relay", 1)?;
    let list = story.mail.mails("relay")?[0].text.clone();
    let relay = Daemon::start_relay(story.lab.server(1), story.relay()?.set("mailbox.largest", "20000"))?;
    story.assert_each_told_once()?;
    story.wait_for_mail("relay", 0)?;
    let digits = list.rfind("ringback-list.json").context("no attachment")?;
    let last = digits + list[digits..].find("\n\n").context("no content")? + 40;
    let mut forged = list.clone();
    forged.replace_range(last..=last, if &list[last..=last] == "A" { "B" } else { "A" });
    let cut = &list[..last];
    let charset = list.replace("application/octet-stream", "text/plain; charset=utf-16");
    let large = list.replace("To the Ringback relay", &"x".repeat(30_000));
    for (name, mail, reason) in [
        ("replayed", list.as_str(), "taken before"),
        ("forged", &forged, "the HMAC is of none of the keys"),
        ("cut", cut, "no HMAC at the end"),
        ("charset", &charset, "HMAC"),
        ("human", "Subject: hello\n\nAre you there?\n", "no list is attached"),
        ("garbage", "\u{0}\u{1}\u{2}", "no list is attached"),
        ("large", &large, "larger than"),
    ] {
        story.mail.put("relay", name, mail.as_bytes())?;
        relay
            .wait_for(&["status"], LIMIT, |status| {
                status["refused"][0]["reason"].as_str().is_some_and(|text| text.contains(reason))
            })
            .with_context(|| format!("{name}: {}", relay.log()))?;
    }
    let status = relay.status()?;
    let refused = status["refused"].as_array().context("no array")?;
    assert_eq!(refused.len(), 7, "{status:#}");
    let files = refused.iter().filter(|refused| refused["file"].is_string()).count();
    assert_eq!(files, 6, "what is too large stays where it is: {status:#}");
    story.wait_for_mail("relay", 1)?;
    assert_eq!(status["outbox"]["delivered"], 3, "{status:#}");
    story.assert_each_told_once()
}
