//! One attempt, one fate: who failed is told, once, and who got through is not, in whatever order the kernel's reports, the
//! commits and the kills come. Each test is a history in which somebody was missed, or wrongly told, before.

use std::{
    net::{IpAddr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use lab::{
    Attempt, Cut, Daemon, DaemonConfig, DatabaseLock, Flood, Host, HttpServer, Lab, Path, Way, forged::Segment, learn,
    wait_until,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const LIMIT: Duration = Duration::from_secs(30);

/// Longer than any letter is kept back for a client that may still get through, in these stories.
const SETTLED: Duration = Duration::from_secs(9);

fn mail_of(client: IpAddr) -> String {
    format!("{}@example.test", client.to_string().replace(['.', ':'], "-"))
}

/// Everybody is on record.
fn config(lab: &Lab, time_out: &str) -> DaemonConfig {
    let mut config = DaemonConfig::new().text("watch.syn_timeout", time_out);
    for number in 1..=lab.clients().len() {
        for address in lab.client_addresses(u8::try_from(number).unwrap_or(0)) {
            config = config.address(address, &mail_of(address));
        }
    }
    config
}

/// How many mails each of these has got.
fn told(daemon: &Daemon<'_>, who: &[IpAddr]) -> Result<Vec<usize>> {
    let mails = daemon.maildir().mails()?;
    let to = |client: &IpAddr| mails.iter().filter(|mail| mail.to() == Some(mail_of(*client))).count();
    Ok(who.iter().map(to).collect())
}

/// Waits until each of these has got so many mails, and looks whether it stays so.
fn are_told(daemon: &Daemon<'_>, who: &[(IpAddr, usize)]) -> Result<()> {
    let (clients, expected): (Vec<_>, Vec<_>) = who.iter().copied().unzip();
    let in_time = wait_until("everybody is told", LIMIT, || told(daemon, &clients).is_ok_and(|told| told == expected));
    ensure!(
        in_time.is_ok(),
        "{:?} where {expected:?} were to come\n{:#}\n{}",
        told(daemon, &clients)?,
        daemon.status()?,
        daemon.log()
    );
    daemon.wait_for(&["waiting"], LIMIT, |waiting| waiting.as_array().is_some_and(Vec::is_empty))?;
    ensure!(told(daemon, &clients)? == expected, "{:?}\n{}", told(daemon, &clients)?, daemon.log());
    Ok(())
}

fn is_marked(daemon: &Daemon<'_>) -> Result<()> {
    daemon.wait_for(&["status"], LIMIT, |status| status["outages"].as_array().is_some_and(|one| !one.is_empty()))?;
    // The kernel is told right after the commit that `status` shows.
    thread::sleep(Duration::from_millis(100));
    Ok(())
}

fn sleep_until(begin: Instant, offset: u64) {
    thread::sleep(Duration::from_millis(offset).saturating_sub(begin.elapsed()));
}

// proves: F-12 R-1
#[test]
fn a_recovery_is_seen_across_a_long_way_while_many_others_connect() -> Result<()> {
    let lab = Lab::builder().clients(2).path(Path::with_round_trip(Duration::from_millis(100))).build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let service = server.service_v4(80);
    let daemon = Daemon::start(lab.gateway(), config(&lab, "1s"))?;
    let mut nginx = Some(HttpServer::start(server, 80)?);
    learn(&daemon, client, service)?;
    for round in 1..=6 {
        drop(nginx.take());
        ensure!(client.connect(None, service, LIMIT)? == Attempt::Refused, "round {round}");
        is_marked(&daemon)?;
        nginx = Some(HttpServer::start(server, 80)?);
        // Others try another service meanwhile: enough to fill each bucket of the near table several times over.
        let to = server.service_v4(81);
        let ends = move |number: u64| (SocketAddr::from(([10, 1, 2, 2], 1024 + (number % 60_000) as u16)), to);
        let gateway = lab.gateway().mac("client2")?;
        let flood = Flood::start(lab.client(2), gateway, 30_000, Duration::from_secs(1), ends)?;
        thread::sleep(Duration::from_millis(200));
        ensure!(client.connect(None, service, LIMIT)? == Attempt::Connected, "round {round}");
        flood.finish()?;
        are_told(&daemon, &[(client.v4(), round)])?;
    }
    Ok(())
}

// proves: F-12 R-1
#[test]
fn a_service_that_fails_again_while_the_store_is_busy_has_a_second_outage() -> Result<()> {
    let lab = Lab::builder().clients(3).build()?;
    let server = lab.server(1);
    let service = server.service_v4(80);
    let daemon = Daemon::start(lab.gateway(), config(&lab, "500ms"))?;
    let nginx = HttpServer::start(server, 80)?;
    let clients: Vec<IpAddr> = lab.clients().iter().map(Host::v4).collect();
    learn(&daemon, lab.client(1), service)?;
    server.fall_silent()?;
    ensure!(lab.client(1).connect(None, service, Duration::from_millis(800))? == Attempt::TimedOut, "it is silent");
    is_marked(&daemon)?;
    let busy = DatabaseLock::take(&daemon)?;
    server.speak_again()?;
    ensure!(lab.client(2).connect(None, service, LIMIT)? == Attempt::Connected, "it is back");
    thread::sleep(Duration::from_millis(200));
    server.fall_silent()?;
    ensure!(lab.client(3).connect(None, service, Duration::from_millis(300))? == Attempt::TimedOut, "silent again");
    thread::sleep(Duration::from_secs(1));
    busy.release()?;
    are_told_of_first(&daemon, &clients)?;
    // Its own recovery tells the third client.
    server.speak_again()?;
    ensure!(lab.client(2).connect(None, service, LIMIT)? == Attempt::Connected, "it is back for good");
    are_told(&daemon, &[(clients[0], 1), (clients[1], 0), (clients[2], 1)])?;
    drop(nginx);
    Ok(())
}

/// The first outage is over, the second goes on.
fn are_told_of_first(daemon: &Daemon<'_>, clients: &[IpAddr]) -> Result<()> {
    wait_until("the first outage is told", LIMIT, || told(daemon, clients).is_ok_and(|told| told == [1, 0, 0]))?;
    let third = clients[2].to_string();
    daemon.wait_for(&["waiting"], LIMIT, |waiting| waiting.to_string().contains(&third))?;
    Ok(())
}

// proves: F-15a R-1 R-6a
#[test]
fn clients_whose_failures_a_killed_daemon_had_read_are_told_of_a_recovery_that_nobody_lived_to_see() -> Result<()> {
    let lab = Lab::builder().clients(4).build()?;
    let server = lab.server(1);
    let service = server.service_v4(80);
    let mut daemon = Daemon::start(lab.gateway(), config(&lab, "500ms"))?;
    let nginx = HttpServer::start(server, 80)?;
    let clients: Vec<IpAddr> = lab.clients().iter().map(Host::v4).collect();
    learn(&daemon, lab.client(1), service)?;
    server.fall_silent()?;
    let gives_up = Duration::from_millis(300);
    ensure!(lab.client(1).connect(None, service, Duration::from_millis(800))? == Attempt::TimedOut, "it is silent");
    is_marked(&daemon)?;
    // What is read from here on is not committed.
    let busy = DatabaseLock::take(&daemon)?;
    ensure!(lab.client(2).connect(None, service, gives_up)? == Attempt::TimedOut, "it is silent");
    thread::sleep(Duration::from_millis(500));
    ensure!(lab.client(3).connect(None, service, gives_up)? == Attempt::TimedOut, "it is silent");
    daemon.kill9()?;
    // Daemons that start while the store takes no changes do not get far.
    for _ in 0..2 {
        if daemon.launch().is_ok() {
            thread::sleep(Duration::from_millis(300));
            daemon.kill9()?;
        }
    }
    server.speak_again()?;
    ensure!(lab.client(4).connect(None, service, LIMIT)? == Attempt::Connected, "it is back");
    busy.release()?;
    daemon.launch()?;
    are_told(&daemon, &[(clients[0], 1), (clients[1], 1), (clients[2], 1), (clients[3], 0)])?;
    drop(nginx);
    Ok(())
}

// proves: F-4 F-15a R-1
#[test]
fn real_clients_are_told_also_if_the_ring_buffer_was_full_when_they_tried() -> Result<()> {
    let lab = Lab::builder().clients(2).addresses_per_client(40).build()?;
    let server = lab.server(1);
    let service = server.service_v4(80);
    // Room for all that waits behind the ring buffer.
    let daemon = Daemon::start(lab.gateway(), config(&lab, "1s").set("watch.pending", "400000"))?;
    let nginx = HttpServer::start(server, 80)?;
    learn(&daemon, lab.client(1), service)?;
    server.fall_silent()?;
    ensure!(lab.client(1).connect(None, service, Duration::from_millis(1500))? == Attempt::TimedOut, "it is silent");
    is_marked(&daemon)?;
    let pid = Pid::from_raw(i32::try_from(daemon.id()?)?);
    kill(pid, Signal::SIGSTOP)?;
    let ends = move |number: u64| {
        let [_, high, middle, low] = u32::try_from(number).unwrap_or(0).to_be_bytes();
        (SocketAddr::from(([10, 1, middle | 0x80, low], 4000 + u16::from(high) * 2 + u16::from(middle >> 7))), service)
    };
    let gateway = lab.gateway().mac("client2")?;
    Flood::start(lab.client(2), gateway, 160_000, Duration::from_secs(3), ends)?.finish()?;
    let clients: Vec<IpAddr> = lab.client_addresses(1).iter().copied().filter(IpAddr::is_ipv4).collect();
    for client in &clients {
        let attempt = lab.client(1).connect(Some(*client), service, Duration::from_millis(20))?;
        ensure!(attempt == Attempt::TimedOut, "{client}: {attempt:?}");
    }
    kill(pid, Signal::SIGCONT)?;
    let full = daemon.wait_for(&["status"], LIMIT, |status| lab::counter(status, "ring_full") > 0);
    ensure!(full.is_ok(), "the ring was never full: the story shows nothing");
    server.speak_again()?;
    ensure!(lab.client(2).connect(None, service, LIMIT)? == Attempt::Connected, "it is back");
    are_told(&daemon, &clients.iter().map(|client| (*client, 1)).collect::<Vec<_>>())?;
    drop(nginx);
    Ok(())
}

// proves: F-12 R-1
#[test]
fn who_gets_through_by_a_repeated_syn_is_not_told() -> Result<()> {
    for (settle, skip) in [("0s", false), ("0s", true), ("2s", false), ("2s", true)] {
        let lab = Lab::builder().clients(4).build()?;
        let server = lab.server(1);
        let service = server.service_v4(80);
        let config =
            config(&lab, "500ms").text("recovery.settle", settle).set("notify.skip_connected", &skip.to_string());
        let daemon = Daemon::start(lab.gateway(), config)?;
        let nginx = HttpServer::start(server, 80)?;
        let clients: Vec<IpAddr> = lab.clients().iter().map(Host::v4).collect();
        learn(&daemon, lab.client(1), service)?;
        server.fall_silent()?;
        ensure!(lab.client(1).connect(None, service, Duration::from_millis(800))? == Attempt::TimedOut, "silent");
        is_marked(&daemon)?;
        thread::scope(|scope| -> Result<()> {
            let begin = Instant::now();
            // Both repeat their SYN after one second, and after three.
            let patient: Vec<_> = (2..=3).map(|n| scope.spawn(move_connect(&lab, n, service))).collect();
            sleep_until(begin, 1500);
            server.speak_again()?;
            ensure!(lab.client(4).connect(None, service, LIMIT)? == Attempt::Connected, "it is back");
            for attempt in patient {
                let attempt = attempt.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
                ensure!(attempt == Attempt::Connected, "it gets through by its second repetition: {attempt:?}");
            }
            Ok(())
        })?;
        thread::sleep(SETTLED);
        let who = [(clients[0], 1), (clients[1], 0), (clients[2], 0), (clients[3], 0)];
        are_told(&daemon, &who).map_err(|error| error.context(format!("settle {settle}, skip {skip}")))?;
        drop(nginx);
    }
    Ok(())
}

fn move_connect(lab: &Lab, client: usize, service: SocketAddr) -> impl FnOnce() -> Result<Attempt> + Send + '_ {
    move || lab.client(client).connect(None, service, LIMIT)
}

// proves: F-3a R-1
#[test]
fn an_outage_that_is_over_before_a_time_out_is_told_to_those_who_tried_in_it() -> Result<()> {
    let lab = Lab::builder().clients(3).build()?;
    let server = lab.server(1);
    let service = server.service_v4(80);
    let daemon = Daemon::start(lab.gateway(), config(&lab, "3s"))?;
    let nginx = HttpServer::start(server, 80)?;
    let clients: Vec<IpAddr> = lab.clients().iter().map(Host::v4).collect();
    learn(&daemon, lab.client(3), service)?;
    server.fall_silent()?;
    let begin = Instant::now();
    thread::scope(|scope| -> Result<()> {
        let tries: Vec<_> = [(1, 1400), (2, 1600)]
            .into_iter()
            .map(|(n, at)| {
                let lab = &lab;
                scope.spawn(move || {
                    sleep_until(begin, at);
                    lab.client(n).connect(None, service, Duration::from_secs(2))
                })
            })
            .collect();
        for attempt in tries {
            let attempt = attempt.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            ensure!(attempt == Attempt::TimedOut, "{attempt:?}");
        }
        Ok(())
    })?;
    sleep_until(begin, 4100);
    server.speak_again()?;
    ensure!(lab.client(3).connect(None, service, LIMIT)? == Attempt::Connected, "it is back");
    are_told(&daemon, &[(clients[0], 1), (clients[1], 1), (clients[2], 0)])?;
    drop(nginx);
    Ok(())
}

// proves: F-12 R-1
#[test]
fn a_client_that_had_given_up_when_the_answer_came_is_told() -> Result<()> {
    let lab = Lab::builder().path(Path::default()).build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let service = server.service_v4(80);
    let daemon = Daemon::start(lab.gateway(), config(&lab, "500ms"))?;
    let nginx = HttpServer::start(server, 80)?;
    learn(&daemon, client, service)?;
    let path = lab.server_path(1);
    path.cut(Way::Back, Cut::Port(80));
    let begin = Instant::now();
    ensure!(client.connect(None, service, Duration::from_millis(900))? == Attempt::TimedOut, "nothing comes back");
    is_marked(&daemon)?;
    sleep_until(begin, 2000);
    path.mend(Way::Back, Cut::Port(80));
    // The server repeats its SYN/ACK until somebody says that nobody wants it any more.
    daemon.wait_for(&["status"], LIMIT, |status| status["outages"].as_array().is_some_and(Vec::is_empty))?;
    are_told(&daemon, &[(client.v4(), 1)])?;
    ensure!(lab::counter(&daemon.status()?, "gave_up") > 0, "the story shows nothing: {:#}", daemon.status()?);
    drop(nginx);
    Ok(())
}

// proves: F-7a R-1
#[test]
fn a_second_word_on_an_attempt_of_the_outage_before_lists_nobody_in_the_next() -> Result<()> {
    let lab = Lab::builder().clients(3).build()?;
    let server = lab.server(1);
    let service = server.service_v4(80);
    let daemon = Daemon::start(lab.gateway(), config(&lab, "500ms"))?;
    let nginx = HttpServer::start(server, 80)?;
    let clients: Vec<IpAddr> = lab.clients().iter().map(Host::v4).collect();
    learn(&daemon, lab.client(2), service)?;
    server.fall_silent()?;
    // A SYN whose sequence number we know.
    let (mac, socket) = (lab.gateway().mac("client1")?, lab.client(1).frame_socket("eth0")?);
    let syn = Segment::syn(SocketAddr::new(clients[0], 4321), service, 7);
    socket.send(&syn.frame(mac))?;
    daemon.wait_for(&["waiting"], LIMIT, |waiting| waiting.to_string().contains(&clients[0].to_string()))?;
    server.speak_again()?;
    ensure!(lab.client(2).connect(None, service, LIMIT)? == Attempt::Connected, "it is back");
    are_told(&daemon, &[(clients[0], 1), (clients[1], 0), (clients[2], 0)])?;
    drop(nginx);
    ensure!(lab.client(3).connect(None, service, LIMIT)? == Attempt::Refused, "the next outage");
    is_marked(&daemon)?;
    // A router behind the gateway says only now that the host of the first attempt was unreachable.
    let router = lab.server(1).frame_socket("eth0")?;
    router.send(&syn.unreachable(lab.gateway().mac("server1")?, server.v4(), 28))?;
    thread::sleep(Duration::from_millis(300));
    let nginx = HttpServer::start(server, 80)?;
    ensure!(lab.client(2).connect(None, service, LIMIT)? == Attempt::Connected, "it is back");
    are_told(&daemon, &[(clients[0], 1), (clients[1], 0), (clients[2], 1)])?;
    drop(nginx);
    Ok(())
}
