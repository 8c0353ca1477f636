//! What leaves is looked at, or not: `watch.egress`.

use std::time::Duration;

use anyhow::Result;
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab};

const LIMIT: Duration = Duration::from_secs(15);

fn config(egress: bool) -> DaemonConfig {
    DaemonConfig::new().text("watch.syn_timeout", "300ms").set("watch.egress", if egress { "true" } else { "false" })
}

/// How TC egress runs on every interface, as `status` says.
fn runs(daemon: &Daemon<'_>, how: &str) -> Result<()> {
    daemon
        .wait_for(&["status"], LIMIT, |status| {
            status["interfaces"].as_array().is_some_and(|all| all.iter().all(|interface| interface["egress"] == how))
        })
        .map(drop)
}

/// The pins of its programs on the interfaces.
fn links(daemon: &Daemon<'_>) -> Result<Vec<String>> {
    let pins = std::fs::read_dir(daemon.pin_dir())?.collect::<Result<Vec<_>, _>>()?;
    let names = pins.iter().map(|pin| pin.file_name().to_string_lossy().into_owned());
    Ok(names.filter(|name| name.starts_with("link_")).collect())
}

// proves: F-3a F-12
#[test]
fn a_gateway_between_clients_and_servers_does_not_need_it() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let service = server.service_v4(80);
    let daemon = Daemon::start(lab.gateway(), config(false))?;
    runs(&daemon, "off")?;
    assert!(links(&daemon)?.iter().all(|name| !name.contains("egress")), "{:?}", links(&daemon)?);
    let nginx = HttpServer::start(server, 80)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
    let _nginx = HttpServer::start(server, 80)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 0)?;
    Ok(())
}

// proves: F-3a
#[test]
fn a_host_sees_its_own_answers_only_with_it_and_a_reload_switches_it() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let service = server.service_v4(80);
    let config = |egress| config(egress).set("watch.servers", &format!("['{service}']"));
    let known = |services: &serde_json::Value| services.to_string().contains(&service.to_string());
    let daemon = Daemon::start(server, config(false))?;
    let _nginx = HttpServer::start(server, 80)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    // The SYN has expired by then, and no answer was seen.
    daemon.wait_for(&["status"], LIMIT, |status| status["ignored"]["cannot_tell"] == 1)?;

    for (egress, how) in [(true, "tcx"), (false, "off"), (true, "tcx")] {
        daemon.write_config(config(egress))?;
        daemon.sighup()?;
        runs(&daemon, how)?;
        assert_eq!(links(&daemon)?.iter().any(|name| name.contains("egress")), egress);
    }
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["services"], LIMIT, known)?;
    Ok(())
}
