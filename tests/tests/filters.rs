//! Filters of the clsact qdisc in place of tcx links, as on kernels without tcx, among filters of others.

use std::{fs, net::Ipv4Addr, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use lab::{
    Attempt, Cluster, Daemon, DaemonConfig, Host, HttpServer, Lab, Ways,
    cluster::{mode, settled},
    curl, wait_until,
};

const LIMIT: Duration = Duration::from_secs(20);

/// What `tc` prints about the filters on one side of an interface.
fn filters(host: &Host, interface: &str, side: &str) -> Result<String> {
    let output = host.command("tc").args(["filter", "show", "dev", interface, side]).output()?;
    ensure!(output.status.success(), "tc: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn tc(host: &Host, command: &str) -> Result<()> {
    let output = host.command("tc").args(command.split(' ')).output()?;
    ensure!(output.status.success(), "tc {command}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The line of the filter with our program of that name; there must be exactly one.
fn ours(host: &Host, interface: &str, side: &str, name: &str) -> Result<String> {
    let filters = filters(host, interface, side)?;
    let mut lines = filters.lines().filter(|line| line.contains(name));
    let line = lines.next().with_context(|| format!("no filter of ours:\n{filters}"))?;
    ensure!(lines.next().is_none(), "two filters of ours:\n{filters}");
    Ok(line.to_owned())
}

fn index(host: &Host, interface: &str) -> Result<u64> {
    let output = host.command("ip").args(["-json", "link", "show", "dev", interface]).output()?;
    let links: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    links[0]["ifindex"].as_u64().context("no index")
}

/// What stands before the program's id, which tells filters apart, and the id.
fn place(line: &str) -> Result<(&str, &str)> {
    let (place, program) = line.split_once(" rb_").context("no name")?;
    let id = program.split_once(" id ").context("no id")?.1;
    Ok((place, id.split(' ').next().unwrap_or(id)))
}

// proves: F-6
#[test]
fn a_filter_watches_egress_outlives_a_crash_and_leaves_others_alone() -> Result<()> {
    let lab = Lab::new()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let interface = "eth0";
    // Somebody else's filter, there before ours; it ends the chain.
    tc(server, &format!("qdisc add dev {interface} clsact"))?;
    tc(server, &format!("filter add dev {interface} egress prio 7 protocol all u32 match u32 0 0 flowid 1:1"))?;
    let config = DaemonConfig::new().text("watch.syn_timeout", "500ms");
    let mut daemon = Daemon::start(server, config)?;
    daemon.kill9()?;
    ensure!(daemon.ringback(&["cleanup"])?.status.success(), "cleanup failed");

    // Where an earlier daemon had a filter the next one has a filter, also when the kernel has tcx.
    fs::create_dir(daemon.pin_dir())?;
    fs::create_dir(daemon.pin_dir().join(format!("filter_egress_{}", index(server, interface)?)))?;
    daemon.launch()?;
    assert_eq!(daemon.status()?["interfaces"][0]["egress"], "clsact");
    let first = ours(server, interface, "egress", "rb_egress")?;
    assert!(filters(server, interface, "egress")?.contains("u32"), "the other filter is still there");

    // A killed daemon's filter goes on, and the next daemon puts its program into the same place.
    daemon.kill9()?;
    assert_eq!(ours(server, interface, "egress", "rb_egress")?, first);
    daemon.launch()?;
    let second = ours(server, interface, "egress", "rb_egress")?;
    assert_eq!(place(&second)?.0, place(&first)?.0);
    assert_ne!(place(&second)?.1, place(&first)?.1, "another program");

    // What the server itself answers passes egress only.
    let service = server.service_v4(80);
    let nginx = HttpServer::start(server, 80)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    daemon.wait_for(&["waiting"], LIMIT, |waiting| waiting.to_string().contains(&client.v4().to_string()))?;

    daemon.kill9()?;
    let output = daemon.ringback(&["cleanup"])?;
    assert!(String::from_utf8_lossy(&output.stdout).contains("filter_egress_"), "{output:?}");
    let left = filters(server, interface, "egress")?;
    assert!(left.contains("u32") && !left.contains("rb_egress"), "{left}");
    assert!(!daemon.pin_dir().exists());
    Ok(())
}

// proves: H-1 H-3a
#[test]
fn the_gate_is_made_of_filters_where_there_is_no_tcx() -> Result<()> {
    const GATE: [(&str, &str); 2] = [("ingress", "rb_gate_in"), ("egress", "rb_gate_out")];
    let shared = Ipv4Addr::new(10, 9, 0, 50);
    let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
    let mut daemons = cluster.start(Ways::Front, "100ms")?;
    for (daemon, number) in daemons.iter_mut().zip(1..) {
        let host = cluster.host(number);
        ensure!(daemon.sigterm()?.success(), "{}", daemon.log());
        ensure!(daemon.ringback(&["cleanup"])?.status.success(), "cleanup failed");
        // As if an earlier daemon had found no tcx.
        let folder = daemon.pin_dir().join("gate");
        for (_, name) in GATE {
            fs::create_dir_all(folder.join(format!("filter_{name}_{}", index(host, "eth0")?)))?;
        }
    }
    assert_eq!(cluster.answering(shared)?.len(), 2, "nothing is left of the links");
    daemons.iter_mut().try_for_each(Daemon::launch)?;
    settled(&daemons, 1)?;
    assert_eq!(cluster.answering(shared)?, [cluster.host(1).mac("eth0")?]);
    let lines = |number| {
        let line = |(side, name)| ours(cluster.host(number), "eth0", side, name);
        GATE.into_iter().map(line).collect::<Result<Vec<_>>>()
    };
    let before = lines(1)?;
    // The active daemon is killed: its filters stay and close.
    daemons[0].kill9()?;
    wait_until("the other takes over", LIMIT, || mode(&daemons[1], "web").is_ok_and(|mode| mode == "active"))?;
    assert_eq!(lines(1)?, before);
    assert_eq!(cluster.answering(shared)?, [cluster.host(2).mac("eth0")?]);
    daemons[0].launch()?;
    settled(&daemons, 2)?;
    for (before, after) in before.iter().zip(lines(1)?) {
        assert_eq!(place(&after)?.0, place(before)?.0);
        assert_ne!(place(&after)?.1, place(before)?.1, "another program");
    }
    assert_eq!(cluster.answering(shared)?, [cluster.host(2).mac("eth0")?]);
    ensure!(daemons[0].sigterm()?.success(), "{}", daemons[0].log());
    let output = daemons[0].ringback(&["cleanup"])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for (side, name) in GATE {
        assert!(text.contains(&format!("gate/filter_{name}_")), "{text}");
        assert!(!filters(cluster.host(1), "eth0", side)?.contains(name));
    }
    assert!(!daemons[0].pin_dir().exists());
    Ok(())
}

// proves: F-21 F-25a
#[test]
fn the_page_is_shown_by_filters_where_there_is_no_tcx_and_nothing_is_left_of_them() -> Result<()> {
    let lab = Lab::new()?;
    let (client, server, gateway) = (lab.client(1), lab.server(1), lab.gateway());
    let config = DaemonConfig::new()
        .set("standin.enabled", "true")
        .text("recovery.probe", "200ms")
        .text("recovery.probe_max", "300ms")
        .text("recovery.probe_timeout", "500ms");
    let mut daemon = Daemon::start(gateway, config)?;
    let sides = gateway.interfaces();
    let folder = |daemon: &Daemon<'_>, interface: &str| -> Result<PathBuf> {
        Ok(daemon.pin_dir().join(format!("filter_rb_standin_{}", index(gateway, interface)?)))
    };
    for v6 in [false, true] {
        // As if an earlier daemon had found no tcx.
        ensure!(daemon.sigterm()?.success(), "{}", daemon.log());
        for interface in sides {
            fs::create_dir(folder(&daemon, interface)?)?;
        }
        daemon.launch()?;
        let service = if v6 { server.service_v6(80) } else { server.service_v4(80) };
        let url = format!("http://{service}/");
        let shown = |status| curl(client, &[&url]).is_ok_and(|seen| seen.status == status);
        let nginx = HttpServer::start(server, 80)?;
        wait_until("the server answers", LIMIT, || shown(200))?;
        daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
        ensure!(!filters(gateway, &sides[0], "ingress")?.contains("rb_standin"), "nothing is failed");
        drop(nginx);
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
        wait_until("the page is shown", LIMIT, || shown(503))?;
        for interface in sides {
            ours(gateway, interface, "ingress", "rb_standin")?;
        }
        if v6 {
            continue;
        }
        let _nginx = HttpServer::start(server, 80)?;
        daemon.wait_for(&["outages"], LIMIT, |outages| outages.as_array().is_some_and(Vec::is_empty))?;
        wait_until("the server is reached again", LIMIT, || shown(200))?;
    }
    // Killed, it leaves filters that steer nothing any more.
    daemon.kill9()?;
    ours(gateway, &sides[0], "ingress", "rb_standin")?;
    wait_until("what arrives passes", LIMIT, || {
        client.connect(None, server.service_v6(80), LIMIT).is_ok_and(|attempt| attempt == Attempt::Refused)
    })?;
    let output = daemon.ringback(&["cleanup"])?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("filter_rb_standin_"), "{output:?}");
    for interface in sides {
        assert!(!filters(gateway, interface, "ingress")?.contains("rb_standin"));
    }
    assert!(!daemon.pin_dir().exists());
    let rules = gateway.command("sh").args(["-c", "ip rule; ip -6 rule; ip route show table all"]).output()?;
    assert!(!String::from_utf8_lossy(&rules.stdout).contains("7262"), "{rules:?}");
    // A daemon that ends in order takes them along.
    for interface in sides {
        fs::create_dir_all(folder(&daemon, interface)?)?;
    }
    daemon.launch()?;
    wait_until("the page is shown", LIMIT, || {
        curl(client, &[&format!("http://{}/", server.service_v6(80))]).is_ok_and(|seen| seen.status == 503)
    })?;
    ours(gateway, &sides[0], "ingress", "rb_standin")?;
    ensure!(daemon.sigterm()?.success(), "{}", daemon.log());
    for interface in sides {
        assert!(!filters(gateway, interface, "ingress")?.contains("rb_standin"));
        assert!(!folder(&daemon, interface)?.exists());
    }
    Ok(())
}
