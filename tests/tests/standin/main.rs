//! The page that answers in a failed server's name (F-21 to F-29).

mod asking;
mod connections;
mod ports;
mod steering;

use std::time::Duration;

use anyhow::Result;
use lab::{
    Daemon, HttpServer, Lab, curl,
    standin::{answer, closed, config, failed, url},
    wait_until,
};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);
const MAIL: &str = "sato@example.test";

fn mails(daemon: &Daemon<'_>) -> Result<Vec<Option<String>>> {
    Ok(daemon.maildir().mails()?.iter().map(lab::Mail::to).collect())
}

// proves: F-21 F-22b F-24a F-28
#[test]
fn the_page_is_seen_at_the_servers_own_address_and_the_mail_comes_at_the_recovery() -> Result<()> {
    for v6 in [false, true] {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let service = if v6 { server.service_v6(80) } else { server.service_v4(80) };
        let daemon = failed(&lab, client, service, config().text("watch.remember", "known"))?;
        let page = curl(client, &[&url(service, "/shop?item=7")])?;
        assert_eq!(page.status, 503, "{page:?}");
        assert!(page.body.contains(&format!("{} cannot be reached", service.ip())), "{}", page.body);
        for header in ["retry-after: 30", "cache-control: no-store", "connection: close", "content-security-policy: "] {
            assert!(page.head.contains(header), "{header}: {}", page.head);
        }
        let done = answer(client, service, "yes", MAIL)?;
        assert_eq!(done.status, 200, "{done:?}");
        for part in ["You will get a mail", MAIL, &service.ip().to_string(), "data-back=\"/shop?item=7\""] {
            assert!(done.body.contains(part), "{part} is not in\n{}", done.body);
        }
        let waiting = daemon.json(&["waiting"])?;
        assert!(waiting.to_string().contains(&service.to_string()), "{waiting:#}");
        let book = daemon.json(&["address", "list"])?;
        assert!(book.to_string().contains(MAIL) && book.to_string().contains("\"page\""), "{book:#}");
        assert_eq!(mails(&daemon)?, []);
        let _nginx = HttpServer::start(server, 80)?;
        closed(&daemon)?;
        wait_until("the mail is written", LIMIT, || mails(&daemon).is_ok_and(|mails| !mails.is_empty()))?;
        assert_eq!(mails(&daemon)?, [Some(MAIL.to_owned())]);
        let page = curl(client, &[&url(service, "/")])?;
        assert!(page.status == 200 && page.body.contains("this is server1"), "{page:?}");
    }
    Ok(())
}

// proves: F-28
#[test]
fn programs_browsers_and_languages_each_get_what_they_understand() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let service = server.service_v4(80);
    let _daemon = failed(&lab, client, service, config())?;
    let at = url(service, "/api/items");
    for args in [&["--header", "Accept: application/json"][..], &["--request", "POST", "--data", "x=1"]] {
        let seen = curl(client, &[args, &[&at]].concat())?;
        assert!(seen.status == 503 && seen.head.contains("retry-after: 30"), "{seen:?}");
        let json: Value = serde_json::from_str(&seen.body)?;
        assert_eq!(
            (&json["error"], &json["server"], &json["port"]),
            (&"server_down".into(), &"10.2.1.2".into(), &80.into())
        );
    }
    let head = curl(client, &["--head", &at])?;
    assert!(head.status == 503 && head.body.is_empty() && head.head.contains("retry-after"), "{head:?}");
    let japanese = curl(client, &["--header", "Accept-Language: ja-JP,ja;q=0.9,en;q=0.8", &at])?;
    assert!(
        japanese.body.contains("<html lang=\"ja\">") && japanese.body.contains("10.2.1.2 に接続できません"),
        "{japanese:?}"
    );
    let english = curl(client, &[&at])?;
    for part in ["<html lang=\"en\">", "prefers-color-scheme: dark", "<label for=\"mail\">", "name=\"viewport\""] {
        assert!(english.body.contains(part), "{part}: {}", english.body);
    }
    assert!(!english.body.contains("src=") && !english.body.contains("<link"), "nothing besides the document");
    Ok(())
}
