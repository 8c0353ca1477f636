//! The stand-in page as its tests see it: a daemon that has it, a server that fails, the form that a client fills in.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, Seen, curl, learn, wait_until};

const LIMIT: Duration = Duration::from_secs(15);

/// The page, and probes that find a recovery soon.
#[must_use]
pub fn config() -> DaemonConfig {
    DaemonConfig::new()
        .text("watch.syn_timeout", "500ms")
        .set("standin.enabled", "true")
        .text("recovery.probe", "200ms")
        .text("recovery.probe_max", "300ms")
        .text("recovery.probe_timeout", "500ms")
}

/// Of a path of a service, over HTTP.
#[must_use]
pub fn url(service: SocketAddr, path: &str) -> String {
    format!("http://{service}{path}")
}

/// The service is refused once, so that its outage opens, and the page is there.
pub fn fail(client: &Host, service: SocketAddr) -> Result<()> {
    let attempt = client.connect(None, service, LIMIT)?;
    ensure!(attempt == Attempt::Refused, "{service} does not refuse: {attempt:?}");
    wait_until("the page is shown", LIMIT, || curl(client, &[&url(service, "/")]).is_ok_and(|seen| seen.status == 503))
}

/// A daemon on the gateway that stands in for a service of server1: it has answered once, and refuses now.
pub fn failed<'lab>(lab: &'lab Lab, client: &Host, service: SocketAddr, config: DaemonConfig) -> Result<Daemon<'lab>> {
    let nginx = HttpServer::start(lab.server(1), service.port())?;
    let daemon = Daemon::start(lab.gateway(), config)?;
    learn(&daemon, client, service)?;
    drop(nginx);
    fail(client, service)?;
    Ok(daemon)
}

/// The value of a hidden field or attribute of the form.
pub fn field<'a>(page: &'a str, name: &str) -> Result<&'a str> {
    let begin = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.split_once(&begin).with_context(|| format!("no field {name} in\n{page}"))?;
    rest.split_once('"').map(|(value, _)| value).context("the field does not end")
}

/// Opens the page, fills in the form as it is and sends it where it says.
pub fn answer(client: &Host, service: SocketAddr, answer: &str, mail: &str) -> Result<Seen> {
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

/// Waits until no outage is open.
pub fn closed(daemon: &Daemon<'_>) -> Result<Value> {
    daemon.wait_for(&["status"], LIMIT, |status| status["outages"] == Value::Array(Vec::new()))
}

/// What `status` counts under this word of the page.
pub fn count(daemon: &Daemon<'_>, reason: &str) -> Result<u64> {
    let status = daemon.status()?;
    let line = status["page"].as_array().into_iter().flatten().find(|line| line["reason"] == reason);
    line.and_then(|line| line["count"].as_u64()).with_context(|| format!("no count of {reason}"))
}
