//! Mails and mailboxes that are wrong in every way: each bad mail is left and named once, the list behind it is taken.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use lab::{Daemon, HttpServer, ScriptedMail, ScriptedMailbox, wait_until};
use serde_json::Value;

use crate::story::{LIMIT, Story};

/// A gateway's list for the relay, as its mail host has it; the recovered server.
fn list(story: &Story) -> Result<(Vec<u8>, HttpServer)> {
    let gateway = Daemon::start(story.lab.gateway(), story.gateway("off")?)?;
    story.fail(&gateway)?;
    let nginx = story.recover(&gateway)?;
    story.wait_for_mail("relay", 1)?;
    Ok((story.mail.mails("relay")?[0].text.clone().into_bytes(), nginx))
}

fn reasons(relay: &Daemon<'_>) -> Result<Vec<String>> {
    let status = relay.status()?;
    let refused = status["refused"].as_array().context("no array")?;
    Ok(refused.iter().filter_map(|line| line["reason"].as_str()).map(ToOwned::to_owned).collect())
}

// proves: R-3
#[test]
fn a_list_behind_every_kind_of_bad_mail_is_taken_and_each_bad_one_is_named_once() -> Result<()> {
    let story = Story::new()?;
    let (list, _nginx) = list(&story)?;
    let big = ScriptedMail {
        size: Some("9000".to_owned()),
        ..ScriptedMail::fine("counts-lf", &b"x".repeat(79).repeat(2_000))
    };
    let nul = ScriptedMail::fine("nul", b"Subject: \xff\xfe\0\0\n\n\0\0.\n..\n\xc3(");
    let mails = [
        ScriptedMail::wrong("refused", "refused"),
        big,
        ScriptedMail { size: Some("many".to_owned()), ..ScriptedMail::wrong("chatty", "chatty") },
        nul,
        ScriptedMail::wrong("nonsense", "nonsense"),
        ScriptedMail::wrong("cut", "cut"),
        ScriptedMail::wrong("bare-dot", "bare dot"),
        ScriptedMail::wrong("endless", "endless"),
        ScriptedMail::fine("list", &list),
        ScriptedMail::fine("human", b"Subject: hello\n\nAre you there?\n"),
    ];
    let mailbox = ScriptedMailbox::start(story.lab.server(1), &mails, &[])?;
    let config = story.relay()?.text("mailbox.pop3", &mailbox.url()).set("mailbox.largest", "20000");
    let relay = Daemon::start_relay(story.lab.server(1), config)?;
    story.assert_each_told_once().with_context(|| relay.log())?;
    wait_until("the list is deleted", LIMIT, || mailbox.deleted().contains(&"mail8".to_owned()))?;
    let unfetched = ["refused", "counts-lf", "chatty", "nonsense", "cut", "bare-dot", "endless"];
    let named = |name: &str| {
        let name = format!("the mail `{name}`");
        reasons(&relay).unwrap_or_default().iter().filter(|reason| reason.contains(&name)).count()
    };
    wait_until("each bad mail is named", LIMIT, || unfetched.iter().all(|name| named(name) > 0))
        .with_context(|| format!("{:#?}", reasons(&relay)))?;
    let status = relay.wait_for(&["status"], LIMIT, |status| status["health"] == "ok")?;
    // Further visits do not ask for them again and again.
    let visits = mailbox.count("QUIT");
    wait_until("ten more visits", LIMIT, || mailbox.count("QUIT") >= visits + 10)?;
    for name in unfetched {
        assert_eq!(named(name), 1, "{name}: {:#?}", reasons(&relay)?);
    }
    for number in [0, 1, 2, 4, 5, 6, 7] {
        let asked = mailbox.count(&format!("RETR mail{number}"));
        assert!((1..=4).contains(&asked), "mail{number} was asked for {asked} times");
        assert!(!mailbox.deleted().contains(&format!("mail{number}")), "nobody has read it");
    }
    assert_eq!(status["outbox"]["delivered"], 3, "two letters and the receipt: {status:#}");
    // Fetched, refused by its contents, and kept aside: mails that are merely odd.
    assert!(mailbox.deleted().contains(&"mail3".to_owned()), "{:?}", mailbox.deleted());
    assert!(memory(&relay)? < 300 << 20, "bounded memory: {}", memory(&relay)?);
    Ok(())
}

/// The most bytes of memory that it had at a time.
fn memory(daemon: &Daemon<'_>) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.id()?))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}

// proves: R-3
#[test]
fn a_mail_without_an_end_holds_the_others_up_for_one_time_out_only() -> Result<()> {
    let story = Story::new()?;
    let (list, _nginx) = list(&story)?;
    let mails = [ScriptedMail::wrong("no-end", "no end"), ScriptedMail::fine("list", &list)];
    let mailbox = ScriptedMailbox::start(story.lab.server(1), &mails, &[])?;
    let config = story.relay()?.text("mailbox.pop3", &mailbox.url());
    let relay = Daemon::start_relay(story.lab.server(1), config)?;
    wait_until("the list is deleted", Duration::from_secs(45), || mailbox.deleted() == ["mail1"])
        .with_context(|| relay.log())?;
    story.assert_each_told_once()
}

// proves: R-3
#[test]
fn a_mailbox_without_uidl_or_with_names_that_repeat_is_read_all_the_same() -> Result<()> {
    for (refuses, uids) in
        [(["UIDL", "TOP"], ["a", "b", "c"]), (["LIST", "TOP"], ["a", "b", "c"]), (["APOP", "TOP"], ["a", "a", "a"])]
    {
        let story = Story::new()?;
        let (list, _nginx) = list(&story)?;
        let mails = [
            ScriptedMail::wrong(uids[0], "refused"),
            ScriptedMail::fine(uids[1], &list),
            ScriptedMail::fine(uids[2], b"Subject: hello\n\nAre you there?\n"),
        ];
        let mailbox = ScriptedMailbox::start(story.lab.server(1), &mails, &refuses)?;
        let relay = Daemon::start_relay(story.lab.server(1), story.relay()?.text("mailbox.pop3", &mailbox.url()))?;
        story.assert_each_told_once().with_context(|| format!("{refuses:?}: {}", relay.log()))?;
        wait_until("both others are deleted", LIMIT, || mailbox.deleted() == ["mail1", "mail2"])
            .with_context(|| format!("{refuses:?}: {:?}", mailbox.deleted()))?;
        let named = |reason: &String| reason.contains("cannot be fetched: RETR refused: -ERR Message can not load");
        assert_eq!(reasons(&relay)?.iter().filter(|reason| named(reason)).count(), 1, "{refuses:?}");
    }
    Ok(())
}

// proves: R-3
#[test]
fn odd_mails_in_a_real_mailbox_stop_nothing() -> Result<()> {
    let story = Story::new()?;
    let (_, _nginx) = list(&story)?;
    story.mail.put("relay", "0-nul", b"\0\0\0\xff\n.\n..\n\0")?;
    story.mail.put("relay", "0-one-line", &b"x".repeat(90_000))?;
    story.mail.put("relay", "0-large", &b"Subject: large\n\nline\n".repeat(10_000))?;
    let relay = Daemon::start_relay(story.lab.server(1), story.relay()?.set("mailbox.largest", "100000"))?;
    story.assert_each_told_once().with_context(|| relay.log())?;
    // What is too large is all that is left.
    story.wait_for_mail("relay", 1).with_context(|| relay.log())?;
    let status = relay.wait_for(&["status"], LIMIT, |status| status["health"] == "ok")?;
    let refused = status["refused"].as_array().context("no array")?;
    let left = refused.iter().filter(|line| line["file"] == Value::Null).count();
    assert_eq!((refused.len(), left), (3, 1), "{status:#}");
    Ok(())
}
