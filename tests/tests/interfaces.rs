//! Which interfaces are watched: by name, by pattern, by role; and a gateway that watches the wrong ones says so.

use std::time::Duration;

use anyhow::{Result, ensure};
use lab::{Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, counter};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);
/// What changes is seen within this time.
const SOON: Duration = Duration::from_secs(2);

fn config(interfaces: &str) -> DaemonConfig {
    DaemonConfig::new().text("watch.syn_timeout", "300ms").set("watch.interfaces", interfaces)
}

fn watched(status: &Value) -> Vec<&str> {
    let lines = status["interfaces"].as_array().into_iter().flatten();
    let mut names: Vec<_> = lines.filter_map(|line| line["name"].as_str()).collect();
    names.sort_unstable();
    names
}

fn problems(status: &Value) -> String {
    status["problems"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
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

// proves: G-3
#[test]
fn a_router_watches_by_default_whatever_forwards() -> Result<()> {
    let lab = Lab::new()?;
    let (client, gateway, server) = (lab.client(1), lab.gateway(), lab.server(1));
    // Its way to everywhere is where no client is.
    gateway.ip(&[format!("route add default via {}", server.v4())])?;
    let daemon = Daemon::start(gateway, config("[]"))?;
    let mut all: Vec<_> = gateway.interfaces().iter().map(String::as_str).collect();
    all.sort_unstable();
    daemon.wait_for(&["status"], SOON, |status| watched(status) == all)?;
    sees(&daemon, client, server)?;
    // A port of a bridge is watched at the bridge, and what is down is not watched.
    gateway.ip(&[
        "link add br0 type bridge",
        "link add veth0 type veth peer name veth1",
        "link set veth0 master br0 up",
        "link set br0 up",
    ])?;
    all.insert(0, "br0");
    daemon.wait_for(&["status"], SOON, |status| watched(status) == all && status["health"] == "ok")?;
    gateway.ip(&["link del br0"])?;
    all.remove(0);
    all.push("veth0");
    daemon.wait_for(&["status"], SOON, |status| watched(status) == all)?;
    Ok(())
}

// proves: G-3
#[test]
fn a_pattern_takes_each_interface_of_such_a_name_when_it_is_there() -> Result<()> {
    let lab = Lab::new()?;
    let (client, gateway, server) = (lab.client(1), lab.gateway(), lab.server(1));
    let daemon = Daemon::start(gateway, config("['client*', 'wan.?']"))?;
    daemon.wait_for(&["status"], SOON, |status| {
        watched(status).contains(&"client1")
            && !watched(status).contains(&"server1")
            && problems(status).contains("wan.? is not watched: there is no interface of such a name")
    })?;
    sees(&daemon, client, server)?;
    gateway.ip(&["link add wan.7 type veth peer name other", "link add wan.88 type veth peer name another"])?;
    let is_there = |status: &Value| watched(status).contains(&"wan.7") && status["health"] == "ok";
    let status = daemon.wait_for(&["status"], SOON, is_there)?;
    assert!(!watched(&status).contains(&"wan.88"));
    gateway.ip(&["link set wan.7 name lan.7"])?;
    daemon
        .wait_for(&["status"], SOON, |status| !watched(status).contains(&"wan.7") && status["health"] == "degraded")?;
    Ok(())
}

// proves: G-3
#[test]
fn the_default_route_is_followed() -> Result<()> {
    let lab = Lab::new()?;
    let (client, gateway, server) = (lab.client(1), lab.gateway(), lab.server(1));
    let daemon = Daemon::start(gateway, config("['default-route']"))?;
    daemon.wait_for(&["status"], SOON, |status| {
        problems(status).contains("default-route is not watched: there is no default route")
            && problems(status).contains("no interface is watched")
    })?;
    gateway.ip(&[format!("route add default via {}", server.v4())])?;
    daemon.wait_for(&["status"], SOON, |status| watched(status) == ["server1"] && status["health"] == "ok")?;
    gateway.ip(&[format!("route replace default via {}", client.v4())])?;
    daemon.wait_for(&["status"], SOON, |status| watched(status) == ["client1"] && status["health"] == "ok")?;
    sees(&daemon, client, server)?;
    // While it is away, as between two leases, what was watched for it goes on.
    gateway.ip(&["route del default"])?;
    daemon.wait_for(&["status"], SOON, |status| {
        watched(status) == ["client1"] && problems(status).contains("there is no default route")
    })?;
    sees(&daemon, client, server)
}

#[test]
fn a_router_that_watches_where_no_client_comes_says_so() -> Result<()> {
    let lab = Lab::new()?;
    let (client, gateway, server) = (lab.client(1), lab.gateway(), lab.server(1));
    let nginx = HttpServer::start(server, 80)?;
    let daemon = Daemon::start(gateway, config("['server1']"))?;
    for _ in 0..20 {
        assert_eq!(client.connect(None, server.service_v4(80), LIMIT)?, Attempt::Connected);
    }
    let status = daemon.wait_for(&["status"], SOON, |status| {
        status["health"] == "degraded" && problems(status).contains("clients come by an interface that is not watched")
    })?;
    assert_eq!(counter(&status, "attempts"), 0);
    drop(nginx);
    // The default sees them.
    daemon.write_config(config("[]"))?;
    daemon.sighup()?;
    daemon.wait_for(&["status"], SOON, |status| watched(status).contains(&"client1"))?;
    sees(&daemon, client, server)?;
    daemon.wait_for(&["status"], SOON, |status| status["health"] == "ok")?;
    Ok(())
}

// proves: U-7
#[test]
fn a_port_beside_its_bridge_is_one_clear_line() -> Result<()> {
    let lab = Lab::new()?;
    let gateway = lab.gateway();
    gateway.ip(&["link add br0 type bridge", "link add port type veth peer name other", "link set port master br0"])?;
    // Both are watched all the same.
    let daemon = Daemon::start(gateway, config("['br0', 'port']"))?;
    assert_eq!(watched(&daemon.status()?), ["br0", "port"]);
    let output = daemon.ringback(&["check"])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("port is a port of br0, and both are named") && said.contains("name br0, or its ports"),
        "{said}"
    );
    assert!(daemon.log().contains("each packet is looked at twice"));
    Ok(())
}
