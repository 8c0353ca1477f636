//! Interfaces come and go, and programs are taken off them: the daemon says so within two seconds, and watches again as
//! soon as it can.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);
/// What is blind says so within this time.
const SOON: Duration = Duration::from_secs(2);

fn config() -> DaemonConfig {
    DaemonConfig::new().text("watch.syn_timeout", "300ms").set("watch.interfaces", "['client1']")
}

fn problem(status: &Value) -> String {
    status["problems"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
}

/// Whether just this interface is watched, and nothing is wrong.
fn is_well(status: &Value) -> bool {
    status["health"] == "ok" && status["interfaces"].as_array().is_some_and(|lines| lines.len() == 1)
}

/// An outage begins and ends; the daemon sees both.
fn sees(daemon: &Daemon<'_>, client: &Host, server: &Host) -> Result<()> {
    let service = server.service_v4(80);
    let nginx = HttpServer::start(server, 80)?;
    ensure!(client.connect(None, service, LIMIT)? == Attempt::Connected);
    daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
    drop(nginx);
    ensure!(client.connect(None, service, LIMIT)? == Attempt::Refused);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
    let _nginx = HttpServer::start(server, 80)?;
    ensure!(client.connect(None, service, LIMIT)? == Attempt::Connected);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 0).map(drop)
}

/// The cable to the client is pulled out for good.
fn unplug(gateway: &Host) -> Result<()> {
    gateway.ip(&["link del client1"])
}

/// Another cable, of the same name and addresses.
fn plug(gateway: &Host, client: &Host) -> Result<()> {
    gateway.ip(&[
        format!("link add client1 type veth peer name eth0 netns {}", client.namespace()),
        "link set client1 up".to_owned(),
        "address add 10.1.1.1/24 dev client1".to_owned(),
    ])?;
    client.ip(&[
        "link set eth0 up".to_owned(),
        format!("address add {}/24 dev eth0", client.v4()),
        "route add default via 10.1.1.1".to_owned(),
    ])
}

// proves: G-3 G-4
#[test]
fn an_interface_that_is_made_again_is_watched_again() -> Result<()> {
    let lab = Lab::new()?;
    let (client, gateway, server) = (lab.client(1), lab.gateway(), lab.server(1));
    let daemon = Daemon::start(gateway, config())?;
    sees(&daemon, client, server)?;
    for _ in 0..2 {
        unplug(gateway)?;
        daemon.wait_for(&["status"], SOON, |status| {
            status["health"] == "degraded"
                && problem(status).contains("client1 is not watched: there is no such interface")
        })?;
        plug(gateway, client)?;
        daemon.wait_for(&["status"], SOON, is_well)?;
        sees(&daemon, client, server)?;
    }
    Ok(())
}

// proves: G-3
#[test]
fn an_interface_that_is_not_there_yet_is_waited_for() -> Result<()> {
    let lab = Lab::new()?;
    let (client, gateway, server) = (lab.client(1), lab.gateway(), lab.server(1));
    unplug(gateway)?;
    let daemon = Daemon::start(gateway, config())?;
    daemon.wait_for(&["status"], SOON, |status| problem(status).contains("client1 is not watched"))?;
    plug(gateway, client)?;
    daemon.wait_for(&["status"], SOON, is_well)?;
    sees(&daemon, client, server)
}

// proves: G-4
#[test]
fn programs_that_are_taken_off_are_put_on_again() -> Result<()> {
    let lab = Lab::new()?;
    let (client, gateway, server) = (lab.client(1), lab.gateway(), lab.server(1));
    let daemon = Daemon::start(gateway, config())?;
    for (hook, pin) in [("tc", "link_ingress_"), ("tc", "link_egress_"), ("generic", "link_xdp_")] {
        daemon.write_config(config().text("watch.hook", hook))?;
        daemon.sighup()?;
        let is_taken = |status: &Value| (status["interfaces"][0]["ingress"] == "generic") == (hook == "generic");
        daemon.wait_for(&["status"], LIMIT, |status| is_taken(status) && is_well(status))?;
        let pins = std::fs::read_dir(daemon.pin_dir())?.collect::<Result<Vec<_>, _>>()?;
        let pins = pins.into_iter().map(|entry| entry.path());
        let taken: Vec<_> = pins.filter(|path| path.to_string_lossy().contains(pin)).collect();
        ensure!(taken.len() == 1, "{taken:?}");
        // Without its pin, nothing holds the link.
        std::fs::remove_file(&taken[0])?;
        daemon.wait_for(&["status"], LIMIT, |_| taken[0].exists())?;
        daemon.wait_for(&["status"], SOON, is_well)?;
        sees(&daemon, client, server)?;
    }
    Ok(())
}

// proves: G-4
#[test]
fn cleanup_leaves_a_running_daemon_alone() -> Result<()> {
    let lab = Lab::new()?;
    let (client, gateway, server) = (lab.client(1), lab.gateway(), lab.server(1));
    let daemon = Daemon::start(gateway, config())?;
    let refused = daemon.ringback(&["cleanup"])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("is running"), "{said}");
    sees(&daemon, client, server)
}
