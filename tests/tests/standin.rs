//! The page that answers in a failed server's name (F-21 to F-29).

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab::{Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, wait_until};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);
const MAIL: &str = "sato@example.test";

fn config() -> DaemonConfig {
    DaemonConfig::new()
        .text("watch.syn_timeout", "500ms")
        .set("standin.enabled", "true")
        .text("recovery.probe", "200ms")
        .text("recovery.probe_max", "300ms")
        .text("recovery.probe_timeout", "500ms")
}

/// What curl saw.
#[derive(Debug)]
struct Seen {
    status: u16,
    head: String,
    body: String,
}

/// curl with further arguments.
fn curl(client: &Host, args: &[&str]) -> Result<Seen> {
    let mut curl = client.command("curl");
    curl.args(["--silent", "--show-error", "--include", "--noproxy", "*", "--max-time", "10"]).args(args);
    let output = curl.output().context("cannot start `curl`")?;
    let text = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok(Seen { status, head: head.to_lowercase(), body: body.to_owned() })
}

fn url(service: SocketAddr, path: &str) -> String {
    format!("http://{service}{path}")
}

fn learn(daemon: &Daemon<'_>, client: &Host, service: SocketAddr) -> Result<()> {
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
    Ok(())
}

/// The service is refused once, so that its outage opens, and the page is there.
fn fail(client: &Host, service: SocketAddr) -> Result<()> {
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    wait_until("the page is shown", LIMIT, || curl(client, &[&url(service, "/")]).is_ok_and(|seen| seen.status == 503))
}

/// The value of a hidden field or attribute of the form.
fn field<'a>(page: &'a str, name: &str) -> Result<&'a str> {
    let begin = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&begin).with_context(|| format!("no field {name} in\n{page}"))?;
    rest.split_once('"').map(|(value, _)| value).context("the field does not end")
}

/// Opens the page, fills in the form as it is and sends it where it says.
fn answer(client: &Host, service: SocketAddr, answer: &str, mail: &str) -> Result<Seen> {
    let page = curl(client, &[&url(service, "/shop?item=7")])?;
    let token = format!("token={}", field(&page.body, "token")?);
    let host = format!("host={}", field(&page.body, "host")?);
    let path = format!("path={}", field(&page.body, "path")?);
    let (_, action) = page.body.split_once("action=\"").context("no form")?;
    let (action, _) = action.split_once('"').context("no form")?;
    let to = if action.starts_with('/') { url(service, action) } else { action.to_owned() };
    let (answer, mail) = (format!("answer={answer}"), format!("mail={mail}"));
    let mut args = Vec::new();
    for field in [&token, &host, &path, &answer, &mail] {
        args.extend(["--data-urlencode", field.as_str()]);
    }
    args.push(&to);
    curl(client, &args)
}

fn mails(daemon: &Daemon<'_>) -> Result<Vec<Option<String>>> {
    Ok(daemon.maildir().mails()?.iter().map(lab::Mail::to).collect())
}

fn closed(daemon: &Daemon<'_>) -> Result<Value> {
    daemon.wait_for(&["status"], LIMIT, |status| status["outages"] == Value::Array(Vec::new()))
}

// proves: F-21 F-22 F-24 F-28
#[test]
fn the_page_is_seen_at_the_servers_own_address_and_the_mail_comes_at_the_recovery() -> Result<()> {
    for v6 in [false, true] {
        let lab = Lab::builder().build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let nginx = HttpServer::start(server, 80)?;
        let service = if v6 { server.service_v6(80) } else { server.service_v4(80) };
        let daemon = Daemon::start(lab.gateway(), config().text("watch.remember", "known"))?;
        learn(&daemon, client, service)?;
        drop(nginx);
        fail(client, service)?;
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
