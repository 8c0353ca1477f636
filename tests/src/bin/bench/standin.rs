//! The stand-in page: how fast it is shown at a thousand connections a second, and what it costs those whom it does not
//! concern.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use lab::{Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, curl, wait_until};
use monitor_core::{config::Watch, outage::Mark};
use ringback::kernel::{Kernel, StandInTargets, TrialProgram};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpSocket,
    task::JoinSet,
    time::{sleep_until, timeout},
};

use crate::{
    gateway::{connections, throughput},
    report::{median, nanoseconds},
    segments::{frame, segment},
};

const LIMIT: Duration = Duration::from_secs(20);

/// Connections per second, and for how long.
const RATE: u32 = 1000;
const TIME: Duration = Duration::from_secs(10);

/// Runs of one frame per round, and rounds; the median counts.
const REPEAT: u32 = 1_000_000;
const FRAME_ROUNDS: usize = 7;

/// Rounds through the gateway.
const ROUNDS: usize = 7;

pub(crate) fn run() -> Result<()> {
    frames()?;
    forwarding()?;
    pages()
}

/// Frames of services that are well, while another one is failed.
fn frames() -> Result<()> {
    let servers = vec!["auto".parse().map_err(anyhow::Error::msg)?];
    let watch = Watch { servers, syn_timeout: Duration::from_secs(600), ..Watch::default() };
    let (mut kernel, _events) = Kernel::detached(&watch, &[TrialProgram::Ingress, TrialProgram::Egress])?;
    let mut maps = kernel.take_stand_in()?;
    maps.set_tls(&[monitor_core::domain::ClientNet::all_v4(), monitor_core::domain::ClientNet::all_v6()])?;
    kernel.mark(Mark::Failed("192.0.2.77:80".parse().map_err(anyhow::Error::msg)?))?;
    println!("\na forwarded frame of a service that is well, in all programs, while another service is failed; ns");
    println!("{:<38} {:>9} {:>9} {:>9} {:>10}", "", "arriving", "page's", "leaving", "on : off");
    for (name, v6, protocol, flags, length) in [
        ("IPv4 UDP", false, 17, 0, 40),
        ("IPv4 TCP data, 1500 bytes", false, 6, 0x18, 1440),
        ("IPv6 TCP data, 1500 bytes", true, 6, 0x18, 1440),
        ("IPv4 SYN, same again", false, 6, 0x02, 0),
    ] {
        let payload = if protocol == 6 { segment(flags, 4000, length) } else { vec![0; length] };
        let frame = frame(v6, 0, protocol, &payload);
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..FRAME_ROUNDS {
            // What the daemon says each second.
            maps.alive(StandInTargets { port_v4: 9, port_v6: 9, other_ports: 1, tls: true })?;
            for (times, side) in
                times.iter_mut().zip([TrialProgram::Ingress, TrialProgram::StandIn, TrialProgram::Egress])
            {
                times.push(nanoseconds(kernel.trial(side, &frame, REPEAT)?.duration));
            }
        }
        let [arriving, page, leaving] = times.map(median);
        let off = arriving + leaving;
        println!("{name:<38} {arriving:>9.0} {page:>9.0} {leaving:>9.0} {:>10.2}", (off + page) / off);
    }
    Ok(())
}

fn config(page: bool) -> DaemonConfig {
    let config = DaemonConfig::new().text("recovery.probe", "1s").text("watch.syn_timeout", "1s");
    config.set("standin.enabled", if page { "true" } else { "false" })
}

/// Makes the service of a server fail that was well; the page is then there if it is on.
fn fail(daemon: &Daemon<'_>, client: &Host, server: &Host) -> Result<SocketAddr> {
    let service = server.service_v4(80);
    let nginx = HttpServer::start(server, 80)?;
    ensure!(client.connect(None, service, LIMIT)? == Attempt::Connected, "no connection to {service}");
    daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
    drop(nginx);
    ensure!(client.connect(None, service, LIMIT)? == Attempt::Refused, "{service} is not down");
    daemon.wait_for(&["outages"], LIMIT, |outages| outages.to_string().contains(&service.to_string()))?;
    Ok(service)
}

/// What a gateway forwards to a server that is well: without the page, with it, and while it stands in for another one.
fn forwarding() -> Result<()> {
    let ways = ["page off", "page on", "page on, another server failed"];
    let lab = Lab::builder().servers(2).build()?;
    let mut results = ways.map(|_| (Vec::new(), Vec::new()));
    for round in 0..ROUNDS {
        // Each round begins with another: what warms up or cools down meets all of them.
        for turn in 0..ways.len() {
            let way = (round + turn) % ways.len();
            let daemon = Daemon::start(lab.gateway(), config(way > 0))?;
            if way == 2 {
                let failed = format!("http://{}/", fail(&daemon, lab.client(1), lab.server(2))?);
                wait_until("the page is shown", LIMIT, || {
                    curl(lab.client(1), &[&failed]).is_ok_and(|seen| seen.status == 503)
                })?;
            }
            results[way].0.push(connections(&lab, 80)?);
            results[way].1.push(throughput(&lab, 80)?);
        }
        eprint!("\rstandin: round {} of {ROUNDS}", round + 1);
    }
    eprintln!();
    println!("\nto port 80 of a server that is well, through a gateway on veth, median of {ROUNDS} rounds");
    println!("{:<38} {:>14} {:>8} {:>10} {:>8}", "", "connections/s", "of off", "Gbit/s", "of off");
    let off = (median(results[0].0.clone()), median(results[0].1.clone()));
    for (way, (connections, bytes)) in ways.iter().zip(results) {
        let (connections, bytes) = (median(connections), median(bytes));
        println!(
            "{way:<38} {connections:>14.0} {:>8.3} {:>10.2} {:>8.3}",
            connections / off.0,
            bytes * 8.0 / 1e9,
            bytes / off.1
        );
    }
    Ok(())
}

/// The page at a steady rate, from many clients. Each one's time begins when it was due, so that a queue counts.
fn pages() -> Result<()> {
    let lab = Lab::builder().addresses_per_client(250).build()?;
    let client = lab.client(1);
    let daemon = Daemon::start(lab.gateway(), config(true))?;
    let service = fail(&daemon, client, lab.server(1))?;
    let url = format!("http://{service}/");
    wait_until("the page is shown", LIMIT, || curl(client, &[&url]).is_ok_and(|seen| seen.status == 503))?;
    let sources: Vec<IpAddr> = lab.client_addresses(1).into_iter().filter(IpAddr::is_ipv4).collect();
    let (mut times, failed) = client.enter(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(visit(service, &sources))
    })??;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().context("no page was seen");
    println!("\n{RATE} stand-in connections per second for {} s, from {} clients", TIME.as_secs(), sources.len());
    println!(
        "{} pages, {failed} failed; ms from connect to the last byte: median {:.2}, 99 % {:.2}, longest {:.2}",
        times.len(),
        at(0.5)?,
        at(0.99)?,
        times.last().context("no page was seen")?
    );
    Ok(())
}

/// Opens the page at the rate; the times in milliseconds, and how many failed.
async fn visit(service: SocketAddr, sources: &[IpAddr]) -> Result<(Vec<f64>, usize)> {
    let mut visits = JoinSet::new();
    let begin = Instant::now();
    for number in 0..RATE * TIME.as_secs() as u32 {
        let due = begin + Duration::from_secs(1) / RATE * number;
        sleep_until(due.into()).await;
        let from = sources[number as usize % sources.len()];
        visits.spawn(async move {
            timeout(LIMIT, page(from, service)).await.context("too late")??;
            Ok::<_, anyhow::Error>(due.elapsed().as_secs_f64() * 1e3)
        });
    }
    let done = visits.join_all().await;
    let times: Vec<_> = done.iter().filter_map(|time| time.as_ref().ok().copied()).collect();
    if let Some(error) = done.iter().find_map(|time| time.as_ref().err()) {
        eprintln!("standin: a visit failed: {error:#}");
    }
    Ok((times, done.len() - done.iter().filter(|time| time.is_ok()).count()))
}

async fn page(from: IpAddr, service: SocketAddr) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    let mut stream = socket.connect(service).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: www.example.test\r\nAccept: text/html\r\n\r\n").await?;
    let mut page = Vec::new();
    stream.read_to_end(&mut page).await?;
    ensure!(page.starts_with(b"HTTP/1.1 503") && page.ends_with(b"</html>\n"), "not the page");
    Ok(())
}
