//! Keys: one is replaced by another while lists go on, and a wrong one opens nothing.

use anyhow::Result;
use lab::{Daemon, wait_until};
use serde_json::Value;

use crate::story::{LIMIT, Story, list_state};

const OLD: (&str, &str) = ("2026-11", "the key that both sides have had for a year");
const NEW: (&str, &str) = ("2027-11", "the key that both sides will have from now on");

/// An outage and its end; each client of the relay's book has `told` mails afterwards.
fn outage(story: &Story, gateway: &Daemon<'_>, told: usize) -> Result<()> {
    story.fail(gateway)?;
    let _nginx = story.recover(gateway)?;
    for user in ["sato", "suzuki"] {
        story.wait_for_mail(user, told)?;
    }
    gateway.wait_for(&["status"], LIMIT, |status| {
        let lists = status["lists"].as_array();
        lists.is_some_and(|lists| lists.len() == told && lists.iter().all(|list| list["state"] == "delivered"))
    })?;
    Ok(())
}

// proves: F-17a F-18a
#[test]
fn a_key_is_replaced_while_lists_go_on() -> Result<()> {
    let story = Story::new()?;
    let mut gateway = Daemon::start(story.lab.gateway(), story.gateway_with("off", &[OLD])?)?;
    let mut relay = Daemon::start_relay(story.lab.server(3), story.relay_with(&[OLD])?)?;
    outage(&story, &gateway, 1)?;
    // As docs/operating.md has it: both sides know both; the gateway signs with the new one; the relay does; the old one goes.
    let steps: [(&[_], &[_]); 4] =
        [(&[OLD, NEW], &[OLD, NEW]), (&[NEW, OLD], &[OLD, NEW]), (&[NEW, OLD], &[NEW, OLD]), (&[NEW], &[NEW])];
    for (told, (at_gateway, at_relay)) in (2..).zip(steps) {
        for (daemon, config) in
            [(&mut gateway, story.gateway_with("off", at_gateway)?), (&mut relay, story.relay_with(at_relay)?)]
        {
            daemon.write_config(config)?;
            assert!(daemon.sigterm()?.success());
            daemon.launch()?;
        }
        outage(&story, &gateway, told)?;
    }
    assert_eq!(relay.status()?["refused"], Value::Array(Vec::new()));
    assert_eq!(gateway.status()?["refused"], Value::Array(Vec::new()));
    Ok(())
}

// proves: F-17a
#[test]
fn a_list_under_a_key_that_the_relay_has_not_mails_nobody() -> Result<()> {
    let story = Story::new()?;
    let gateway = Daemon::start(story.lab.gateway(), story.gateway_with("off", &[OLD])?)?;
    // The same name, and another key.
    let relay = Daemon::start_relay(story.lab.server(3), story.relay_with(&[(OLD.0, NEW.1)])?);
    let relay = relay?;
    story.fail(&gateway)?;
    let _nginx = story.recover(&gateway)?;
    let refused = |status: &Value| status["refused"][0]["reason"] == "the HMAC is of none of the keys";
    relay.wait_for(&["status"], LIMIT, refused)?;
    wait_until("the refused mail is out of the mailbox", LIMIT, || {
        story.mail.mails("relay").is_ok_and(|mails| mails.is_empty())
    })?;
    assert_eq!(relay.status()?["outbox"]["delivered"], 0);
    assert_eq!(story.mail.mails("sato")?.len() + story.mail.mails("suzuki")?.len(), 0);
    assert_eq!(list_state(&gateway.status()?), "pending");
    Ok(())
}
