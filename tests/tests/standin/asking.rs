//! Who is asked, and what their answers lead to (F-22, F-23, F-27).

use anyhow::{Context as _, Result};
use lab::{
    Attempt, Daemon, HttpServer, Lab, curl, learn,
    standin::{answer, closed, config, fail, failed, url},
    wait_until,
};
use serde_json::Value;

use super::{LIMIT, MAIL, mails};

// proves: F-23a F-24a F-27a
#[test]
fn no_is_kept_and_a_later_yes_counts() -> Result<()> {
    let lab = Lab::builder().clients(3).build()?;
    let (declines, reconsiders, silent, server) = (lab.client(1), lab.client(2), lab.client(3), lab.server(1));
    let service = server.service_v4(80);
    let config = config().text("standin.ask", "everyone");
    let config = config.address(declines.v4(), MAIL).address(silent.v4(), "silent@example.test");
    let daemon = failed(&lab, declines, service, config)?;
    let done = answer(declines, service, "no", "")?;
    assert!(done.status == 200 && done.body.contains("You will not get a mail"), "{done:?}");
    assert_eq!(answer(reconsiders, service, "no", "")?.status, 200);
    assert_eq!(answer(reconsiders, service, "yes", "late@example.test")?.status, 200);
    assert_eq!(curl(silent, &[&url(service, "/")])?.status, 503);
    // A further attempt of who said no puts it on the list again, and is still no wish to be told.
    assert_eq!(curl(declines, &[&url(service, "/")])?.status, 503);
    daemon.wait_for(&["waiting"], LIMIT, |waiting| waiting.as_array().is_some_and(|waiting| waiting.len() == 3))?;
    let _nginx = HttpServer::start(server, 80)?;
    closed(&daemon)?;
    wait_until("the mails are written", LIMIT, || mails(&daemon).is_ok_and(|mails| mails.len() >= 2))?;
    let mut told: Vec<_> = mails(&daemon)?.into_iter().flatten().collect();
    told.sort();
    assert_eq!(told, ["late@example.test", "silent@example.test"]);
    Ok(())
}

// proves: F-27a F-27b
#[test]
fn a_client_on_record_is_not_asked_until_its_registration_is_too_old() -> Result<()> {
    let lab = Lab::builder().clients(3).build()?;
    let (known, unknown, typed, server) = (lab.client(1), lab.client(2), lab.client(3), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let config = |age: &str| config().address(known.v4(), MAIL).text("standin.ask_again", age);
    let mut daemon = Daemon::start(lab.gateway(), config("30days"))?;
    learn(&daemon, known, service)?;
    drop(nginx);
    fail(unknown, service)?;
    // Its SYN passes, to be refused by the server's own host.
    assert_eq!(known.connect(None, service, LIMIT)?, Attempt::Refused);
    assert_eq!(answer(typed, service, "yes", "typed@example.test")?.status, 200);
    // Who has just answered still sees the page: it waits, and moves on.
    assert_eq!(curl(typed, &[&url(service, "/")])?.status, 503);
    let nginx = HttpServer::start(server, 80)?;
    closed(&daemon)?;
    drop(nginx);
    fail(unknown, service)?;
    wait_until("the page is no longer for who has answered", LIMIT, || {
        typed.connect(None, service, LIMIT).is_ok_and(|attempt| attempt == Attempt::Refused)
    })?;
    daemon.write_config(config("1s"))?;
    assert!(daemon.sigterm()?.success());
    daemon.launch()?;
    wait_until("it is asked again", LIMIT, || curl(typed, &[&url(service, "/")]).is_ok_and(|seen| seen.status == 503))?;
    assert_eq!(known.connect(None, service, LIMIT)?, Attempt::Refused);
    Ok(())
}

// proves: F-22a
#[test]
fn the_gateways_own_address_takes_answers_and_a_mails_link_ends_the_mails() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let mut nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let own = format!("http://{}", lab.gateway().service_v4(8480));
    let config = config().text("standin.own_listen", "0.0.0.0:8480").text("standin.own_url", &own);
    let daemon = Daemon::start(lab.gateway(), config)?;
    learn(&daemon, client, service)?;
    for outage in 1..=2 {
        drop(nginx);
        fail(client, service)?;
        if outage == 1 {
            let page = curl(client, &[&url(service, "/")])?;
            assert!(page.body.contains(&format!("action=\"{own}/.ringback/answer\"")), "{}", page.body);
            let done = answer(client, service, "yes", MAIL)?;
            assert!(done.status == 200 && done.body.contains(MAIL), "{done:?}");
            assert!(done.body.contains("data-back=\"http://10.2.1.2/shop?item=7\""), "{}", done.body);
        }
        nginx = HttpServer::start(server, 80)?;
        closed(&daemon)?;
        // The second time nobody is told.
        wait_until("the mail is written", LIMIT, || mails(&daemon).is_ok_and(|mails| mails.len() == 1))?;
        if outage == 1 {
            let mail = daemon.maildir().mails()?.remove(0);
            let header = mail.header("List-Unsubscribe").context("no List-Unsubscribe")?.replace(' ', "");
            let link = header.strip_prefix('<').and_then(|rest| rest.split_once('>')).context("no link")?.0;
            assert!(link.starts_with(&own), "{header}");
            // A scanner that follows the link ends nothing; nor does a link that was tampered with.
            assert_eq!(curl(client, &[link])?.status, 200);
            assert!(daemon.json(&["address", "list"])?.to_string().contains(MAIL));
            assert_eq!(curl(client, &["--data", "", &link.replace("sato", "suzuki")])?.status, 404);
            let ended = curl(client, &["--data", "", link])?;
            assert!(ended.status == 200 && ended.body.contains("no more mails"), "{ended:?}");
            assert_eq!(daemon.json(&["address", "list"])?, Value::Array(Vec::new()));
        }
    }
    let outages = daemon.json(&["outages", "--all"])?;
    assert_eq!((&outages[0]["letters"], &outages[1]["letters"]), (&0.into(), &1.into()), "{outages:#}");
    Ok(())
}
