//! Ways of attaching, while traffic flows; and two daemons that want the same.

use std::{
    fs,
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab, counter, forged::Segment, wait_until};

const LIMIT: Duration = Duration::from_secs(15);

fn config() -> DaemonConfig {
    DaemonConfig::new().text("watch.syn_timeout", "500ms")
}

fn mode_of(daemon: &Daemon<'_>, interface: &str) -> Result<String> {
    let status = daemon.status()?;
    let lines = status["interfaces"].as_array().context("no interfaces in the status")?;
    let line = lines.iter().find(|line| line["name"] == interface).context("the interface is not in the status")?;
    Ok(line["ingress"].as_str().unwrap_or_default().to_owned())
}

/// An outage of a service over IPv4 and one over IPv6 begin and end; the daemon sees all of it.
fn sees(lab: &Lab, daemon: &Daemon<'_>) -> Result<()> {
    let (client, server) = (lab.client(1), lab.server(1));
    let _nginx = HttpServer::start(server, 80)?;
    for (round, service) in [server.service_v4(80), server.service_v6(80)].into_iter().enumerate() {
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
        server.fall_silent()?;
        assert_eq!(client.connect(None, service, Duration::from_millis(900))?, Attempt::TimedOut);
        daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
        server.speak_again()?;
        assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
        daemon.wait_for(&["outages", "--all"], LIMIT, |lines| {
            lines.as_array().is_some_and(|lines| {
                lines.len() == round + 1 && lines.iter().all(|line| line["ended_by"] == "answered")
            })
        })?;
    }
    Ok(())
}

// proves: F-3a F-9a F-12 G-5
#[test]
fn each_hook_sees_the_same_and_the_one_that_costs_least_is_taken() -> Result<()> {
    for (hook, taken) in [("auto", "tcx"), ("tc", "tcx"), ("native", "native"), ("generic", "generic")] {
        let lab = Lab::builder().build()?;
        let daemon = Daemon::start(lab.gateway(), config().text("watch.hook", hook))?;
        assert_eq!(mode_of(&daemon, "client1")?, taken, "{hook}");
        sees(&lab, &daemon)?;
    }
    Ok(())
}

// proves: F-9a
#[test]
fn another_hook_is_taken_at_a_reload_and_the_one_before_is_given_up() -> Result<()> {
    let lab = Lab::builder().build()?;
    let mut daemon = Daemon::start(lab.gateway(), config().text("watch.hook", "native"))?;
    for (hook, taken, pin) in [
        ("generic", "generic", "link_xdp_"),
        ("native", "native", "link_xdp_"),
        ("tc", "tcx", "link_ingress_"),
        ("generic", "generic", "link_xdp_"),
        ("auto", "tcx", "link_ingress_"),
    ] {
        daemon.write_config(config().text("watch.hook", hook))?;
        daemon.sighup()?;
        daemon.wait_for(&["status"], LIMIT, |status| status["interfaces"][0]["ingress"] == taken)?;
        let pins: Vec<_> = fs::read_dir(daemon.pin_dir())?.collect::<Result<_, _>>()?;
        let held = |begin: &str| pins.iter().filter(|pin| pin.file_name().to_string_lossy().starts_with(begin)).count();
        let interfaces = lab.gateway().interfaces().len();
        assert_eq!((held("link_xdp_") + held("link_ingress_"), held(pin)), (interfaces, interfaces), "{hook}");
    }
    // The next daemon takes over what is there.
    daemon.kill9()?;
    daemon.launch()?;
    assert_eq!(mode_of(&daemon, "client1")?, "tcx");
    sees(&lab, &daemon)
}

// proves: F-9a G-5
#[test]
fn where_another_program_has_xdp_tc_takes_its_place_beside_it() -> Result<()> {
    let lab = Lab::builder().build()?;
    let gateway = lab.gateway();
    let _theirs = gateway.xdp_pass("client1")?;
    let mut daemon = Daemon::start(gateway, config())?;
    sees(&lab, &daemon)?;
    // Who insists on XDP there is told who has it, and nothing is left on the other interfaces.
    daemon.sigterm()?;
    daemon.write_config(config().text("watch.hook", "generic"))?;
    let output = daemon.ringback(&["run"])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("client1 already has an XDP program"), "{said}");
    let left = fs::read_dir(daemon.pin_dir()).into_iter().flatten().filter_map(Result::ok);
    let left: Vec<_> = left.filter(|pin| pin.file_name().to_string_lossy().starts_with("link_xdp_")).collect();
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

// proves: F-9a
#[test]
fn an_interface_whose_driver_has_no_xdp_is_watched_in_the_generic_way() -> Result<()> {
    let lab = Lab::builder().build()?;
    lab.gateway().ip(&["link add bridge0 type bridge", "link set bridge0 up"])?;
    // What refuses connections needs XDP.
    let refuses = config().text("standin.other_ports", "reset").text("recovery.probe", "5s");
    let daemon = Daemon::start(lab.gateway(), refuses.set("watch.interfaces", "['client1', 'server1', 'bridge0']"))?;
    assert_eq!(mode_of(&daemon, "bridge0")?, "generic");
    assert_eq!(mode_of(&daemon, "client1")?, "native");
    Ok(())
}

// proves: F-9a
#[test]
fn attaching_and_detaching_disturbs_no_connection() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let _nginx = HttpServer::start(server, 80)?;
    let service: SocketAddr = server.service_v4(80);
    let mut daemon = Daemon::start(lab.gateway(), config())?;
    let (done, good, bad) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let fetched = client.fetch(service, LIMIT).is_ok_and(|fetched| fetched.succeeded());
                if fetched { &good } else { &bad }.fetch_add(1, Ordering::Relaxed);
            }
        });
        let more = || {
            let before = good.load(Ordering::Relaxed);
            wait_until("the client goes on", LIMIT, || good.load(Ordering::Relaxed) > before + 3)
        };
        let mut changes = || -> Result<()> {
            more()?;
            for interfaces in ["['client1']", "['client1', 'server1']", "['server1']", "['client1', 'server1']"] {
                daemon.write_config(config().set("watch.interfaces", interfaces))?;
                daemon.sighup()?;
                let wanted = interfaces.matches("1'").count();
                daemon.wait_for(&["status"], LIMIT, |status| {
                    status["interfaces"].as_array().is_some_and(|lines| lines.len() == wanted)
                })?;
                more()?;
            }
            daemon.kill9()?;
            more()?;
            daemon.launch()?;
            more()?;
            daemon.sigterm()?;
            assert!(daemon.ringback(&["cleanup"])?.status.success());
            more()
        };
        let changed = changes();
        done.store(true, Ordering::Relaxed);
        changed
    })?;
    assert_eq!(bad.load(Ordering::Relaxed), 0);
    Ok(())
}

#[test]
fn a_second_daemon_on_the_same_pins_says_who_holds_them_and_leaves() -> Result<()> {
    let lab = Lab::builder().build()?;
    let daemon = Daemon::start(lab.gateway(), config())?;
    let file = lab.folder().join("second.toml");
    let folder = lab.folder().display();
    let text = format!(
        "watch.interfaces = ['client1']\nwatch.pin_dir = '{}'\ncontrol.socket = '{folder}/s.sock'\nstore.state_dir = '{folder}/s'\n",
        daemon.pin_dir().display()
    );
    fs::write(&file, text)?;
    let output = daemon.ringback_with(&file, &["run"])?;
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.contains(&format!("another ringback daemon (process {})", daemon.id()?)), "{line}");
    assert_eq!(mode_of(&daemon, "client1")?, "tcx");
    Ok(())
}

/// Some drivers leave a packet's headers in pages that a program cannot read at TC.
// proves: F-9a
#[test]
fn headers_that_lie_in_pages_are_read() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, gateway, server) = (lab.client(1), lab.gateway(), lab.server(1));
    client.ip(&["link set eth0 mtu 9000"])?;
    gateway.ip(&["link set client1 mtu 9000"])?;
    let daemon = Daemon::start(gateway, config())?;
    assert_eq!(mode_of(&daemon, "client1")?, "tcx");
    let (mac, socket) = (gateway.mac("client1")?, client.frame_socket("eth0")?);
    for (number, service) in [server.service_v4(80), server.service_v6(80)].into_iter().enumerate() {
        let from = if service.is_ipv4() { client.v4() } else { client.v6() };
        let mut frame = Segment::syn(SocketAddr::new(from, 4000), service, 9).frame(mac);
        // What follows the packet is padding.
        frame.resize(5000, 0);
        socket.send_in_pages(&frame)?;
        let seen = number as u64 + 1;
        daemon.wait_for(&["status"], LIMIT, |status| counter(status, "attempts") == seen)?;
    }
    Ok(())
}
