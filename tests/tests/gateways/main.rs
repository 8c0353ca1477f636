//! The interfaces of real gateways, each by the kernel's own driver: WireGuard, PPP, tunnels, VLAN, bond, bridge, VRF,
//! macvlan, ipvlan. The client reaches the server by such an interface, and the daemon watches nothing else.
//!
//! Where the kernel lacks a driver, the test says so and passes, unless `RINGBACK_ALL_MODULES` promises that it has all:
//! the machines that `cargo xtask test --kernel` boots do.

mod bonds;
mod bridges;
mod shared_cards;
mod tunnels;
mod vlans;

use std::{env, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use lab::{Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, Process, counter, learn};
use serde_json::Value;

/// An emulated machine is slow.
const LIMIT: Duration = Duration::from_secs(30);
const SYN_TIMEOUT: Duration = Duration::from_millis(500);

/// What `ip` says of a kind that the kernel has no driver of.
const NO_DRIVER: &str = "Unknown device type";

/// A link between the client and the gateway.
struct Link {
    /// The client's end.
    client: &'static str,
    /// The gateway's end.
    gateway: &'static str,
    /// Programs that carry what passes.
    _programs: Vec<Process>,
}

impl Link {
    const fn new(client: &'static str, gateway: &'static str) -> Self {
        Self { client, gateway, _programs: Vec::new() }
    }

    /// Brings it up, and leads the client to the server by it.
    fn lead(&self, lab: &Lab) -> Result<()> {
        let (client, gateway, server) = (lab.client(1), lab.gateway(), lab.server(1));
        let (near, far) = (self.client, self.gateway);
        gateway.ip(&[
            format!("link set {far} up"),
            format!("address add 10.1.9.1/24 dev {far}"),
            format!("address add fd00:1:9::1/64 dev {far} nodad"),
        ])?;
        client.ip(&[
            format!("link set {near} up"),
            format!("address add 10.1.9.2/24 dev {near}"),
            format!("address add fd00:1:9::2/64 dev {near} nodad"),
            format!("route replace {}/32 via 10.1.9.1 dev {near}", server.v4()),
            format!("route replace {}/128 via fd00:1:9::1 dev {near}", server.v6()),
        ])
    }
}

/// A lab with such a link in it; `None` where the kernel lacks the driver, and may.
fn lab_with(kind: &str, lay: impl FnOnce(&Lab) -> Result<Link>) -> Result<Option<(Lab, Link)>> {
    let lab = Lab::new()?;
    let Some(link) = unless_missing(kind, lay(&lab))? else { return Ok(None) };
    link.lead(&lab)?;
    Ok(Some((lab, link)))
}

fn unless_missing<T>(kind: &str, laid: Result<T>) -> Result<Option<T>> {
    let error = match laid {
        Ok(laid) => return Ok(Some(laid)),
        Err(error) => error,
    };
    if !format!("{error:#}").contains(NO_DRIVER) {
        return Err(error);
    }
    ensure!(env::var_os("RINGBACK_ALL_MODULES").is_none(), "this kernel has no {kind}");
    eprintln!("gateways: this kernel has no {kind}: not tried");
    Ok(None)
}

/// The server: where there are two, one is the host of the other.
fn server(lab: &Lab) -> &Host {
    lab.server(lab.servers().len())
}

/// The services over IPv4 and IPv6.
fn services(lab: &Lab) -> [SocketAddr; 2] {
    [server(lab).service_v4(80), server(lab).service_v6(80)]
}

fn watching(interfaces: &[&str], hook: &str) -> DaemonConfig {
    let names: Vec<_> = interfaces.iter().map(|name| format!("'{name}'")).collect();
    DaemonConfig::new()
        .text("watch.syn_timeout", &format!("{}ms", SYN_TIMEOUT.as_millis()))
        .text("watch.hook", hook)
        .set("watch.interfaces", &format!("[{}]", names.join(", ")))
}

/// A daemon on the host that watches these interfaces by this hook.
fn watch<'lab>(host: &'lab Host, interfaces: &[&str], hook: &str) -> Result<Daemon<'lab>> {
    let daemon = Daemon::start(host, watching(interfaces, hook))?;
    turn(&daemon, interfaces, hook)?;
    Ok(daemon)
}

/// The daemon watches these interfaces by this hook from now on; `auto` takes TC here.
fn turn(daemon: &Daemon<'_>, interfaces: &[&str], hook: &str) -> Result<()> {
    daemon.write_config(watching(interfaces, hook))?;
    daemon.sighup()?;
    let is_right = |taken: &str| if hook == "auto" { matches!(taken, "tcx" | "clsact") } else { taken == hook };
    let is_watched = |status: &Value| {
        let lines = status["interfaces"].as_array().map_or(&[][..], Vec::as_slice);
        let has = |name: &str| {
            lines.iter().any(|line| line["name"] == name && line["ingress"].as_str().is_some_and(is_right))
        };
        lines.len() == interfaces.len() && interfaces.iter().all(|name| has(name))
    };
    let turned = daemon.wait_for(&["status"], LIMIT, is_watched);
    turned.with_context(|| format!("{interfaces:?} by {hook}; its log:\n{}", daemon.log())).map(drop)
}

/// The daemon sees each of the services fail by a refusal and by silence, and recover from both.
fn sees(lab: &Lab, daemon: &Daemon<'_>, services: &[SocketAddr]) -> Result<()> {
    let outages = || {
        let lines = daemon.json(&["outages", "--all"])?;
        lines.as_array().cloned().context("no outages")
    };
    let before = outages()?.len();
    for &service in services {
        let seen = fails_and_recovers(daemon, lab.client(1), server(lab), service);
        seen.with_context(|| format!("{service}: {:#}", daemon.status().unwrap_or_default()))?;
    }
    let lines = outages()?;
    let all_ended = lines.iter().all(|line| line["ended_by"] == "answered");
    ensure!(lines.len() == before + 2 * services.len() && all_ended, "{lines:#?}");
    Ok(())
}

/// The same for each of these interfaces and hooks, one after the other. `auto` stands between two kinds of XDP: the
/// kernel takes no program in the driver beside a generic one, nor on a port of an interface that has one.
fn sees_by(lab: &Lab, host: &Host, ways: &[(&[&str], &str)], services: &[SocketAddr]) -> Result<()> {
    let (interfaces, hook) = ways[0];
    let daemon = watch(host, interfaces, hook)?;
    for &(interfaces, hook) in ways {
        turn(&daemon, interfaces, hook)?;
        sees(lab, &daemon, services).with_context(|| format!("{interfaces:?} by {hook}"))?;
    }
    Ok(())
}

fn fails_and_recovers(daemon: &Daemon<'_>, client: &Host, server: &Host, service: SocketAddr) -> Result<()> {
    let ends_as = |expected: Attempt, limit: Duration| {
        let attempt = client.connect(None, service, limit)?;
        ensure!(attempt == expected, "{attempt:?} in place of {expected:?}");
        Ok(())
    };
    let waiting = |clients: u32| daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == clients);
    let nginx = HttpServer::start(server, 80)?;
    learn(daemon, client, service).context("an answer is not seen")?;
    drop(nginx);
    ends_as(Attempt::Refused, LIMIT)?;
    waiting(1).context("a refusal is not seen")?;
    let _nginx = HttpServer::start(server, 80)?;
    ends_as(Attempt::Connected, LIMIT)?;
    waiting(0).context("the answer after a refusal is not seen")?;
    server.fall_silent()?;
    ends_as(Attempt::TimedOut, 2 * SYN_TIMEOUT)?;
    waiting(1).context("silence is not seen")?;
    server.speak_again()?;
    ends_as(Attempt::Connected, LIMIT)?;
    waiting(0).context("the answer after silence is not seen").map(drop)
}

/// The daemon sees neither an answer nor an attempt of all that happens.
fn sees_nothing(lab: &Lab, daemon: &Daemon<'_>) -> Result<()> {
    let (client, server) = (lab.client(1), server(lab));
    for service in services(lab) {
        let _nginx = HttpServer::start(server, 80)?;
        ensure!(client.connect(None, service, LIMIT)? == Attempt::Connected);
        server.fall_silent()?;
        ensure!(client.connect(None, service, 4 * SYN_TIMEOUT)? == Attempt::TimedOut);
        server.speak_again()?;
    }
    let (status, known) = (daemon.status()?, daemon.json(&["services"])?);
    ensure!(counter(&status, "attempts") == 0 && known.as_array().is_some_and(Vec::is_empty), "{status:#}\n{known:#}");
    Ok(())
}

/// A link of this kind is watched by its name alone, by each of these hooks.
fn story(kind: &str, hooks: &[&str], lay: impl FnOnce(&Lab) -> Result<Link>) -> Result<()> {
    let Some((lab, link)) = lab_with(kind, lay)? else { return Ok(()) };
    let gateway = [link.gateway];
    let ways: Vec<_> = hooks.iter().map(|hook| (&gateway[..], *hook)).collect();
    sees_by(&lab, lab.gateway(), &ways, &services(&lab)).with_context(|| kind.to_owned())
}

/// What a program on the host prints.
fn output(host: &Host, program: &str, arguments: &[&str]) -> Result<String> {
    let output = host.command(program).args(arguments).output().with_context(|| format!("cannot start {program}"))?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {program} {}: {}", host.name(), arguments.join(" "), error.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
