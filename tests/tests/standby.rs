//! Hosts that share an address (H-1 to H-8): what a client that connects every 10 ms notices.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab::{
    AppServer, Cluster, Daemon, Knocking, Ways,
    cluster::{mode, settled},
    wait_until,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const LIMIT: Duration = Duration::from_secs(10);
const BEAT: &str = "50ms";
/// A host is gone after three beats.
const GONE: Duration = Duration::from_millis(150);
/// What a client may notice of a take-over.
const WORST: Duration = Duration::from_millis(300);

/// Beats of 50 ms want the machine for themselves: one story at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn v4() -> Ipv4Addr {
    Ipv4Addr::new(10, 9, 0, 50)
}

fn becomes(daemon: &Daemon<'_>, wanted: &str) -> Result<()> {
    wait_until(&format!("the mode is {wanted}"), LIMIT, || mode(daemon, "web").is_ok_and(|mode| mode == wanted))
}

fn signal(daemon: &Daemon<'_>, signal: Signal) -> Result<()> {
    Ok(kill(Pid::from_raw(daemon.id()?.cast_signed()), signal)?)
}

/// The whole cluster of two with a client that knocks at the IPv4 or the IPv6 address.
fn for_both_families(story: impl Fn(&Cluster, IpAddr) -> Result<()>) -> Result<()> {
    let _alone = alone();
    for address in Cluster::shared() {
        let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
        story(&cluster, address).with_context(|| address.to_string())?;
    }
    Ok(())
}

// proves: H-1 H-3
#[test]
fn both_hosts_have_the_address_and_only_the_active_one_is_seen_to_have_it() -> Result<()> {
    for_both_families(|cluster, address| {
        assert_eq!(cluster.answering(v4())?.len(), 2, "without Ringback both answer");
        let daemons = cluster.start(Ways::Front, BEAT)?;
        assert_eq!(cluster.answering(v4())?, [cluster.host(1).mac("eth0")?]);
        let knocking = Knocking::start(cluster.client(), address)?;
        for _ in 0..5 {
            cluster.flush_cache()?;
            let flushed = Instant::now();
            wait_until("an answer", LIMIT, || !knocking.since(flushed).is_empty())?;
            assert_eq!(cluster.cached(address)?, Some(cluster.host(1).mac("eth0")?));
        }
        // The standby host claims the address, as a careless program on it might: nobody hears of it.
        let mut claim = cluster.host(2).command("arping");
        claim.args(["-c", "1", "-w", "1", "-U", "-I", "eth0", "-s", "10.9.0.50", "10.9.0.50"]).output()?;
        cluster.host(2).ip(&["neighbour flush all"])?;
        let towards_client = if address.is_ipv4() { "10.9.0.200:81" } else { "[fd00:9::200]:81" }.parse()?;
        cluster.host(2).connect(Some(address), towards_client, Duration::from_millis(300))?;
        assert_eq!(cluster.cached(address)?, Some(cluster.host(1).mac("eth0")?));
        let groups = daemons[1].json(&["standby"])?;
        assert!(groups[0]["stopped"].as_u64().is_some_and(|stopped| stopped > 0), "{groups:#}");
        // The peers' addresses of their own are no business of the gate.
        assert_eq!(cluster.answering(Ipv4Addr::new(10, 9, 0, 2))?, [cluster.host(2).mac("eth0")?]);
        Ok(())
    })
}

// proves: H-3 H-4 H-5
#[test]
fn when_the_active_host_loses_its_link_the_other_takes_over() -> Result<()> {
    for_both_families(|cluster, address| {
        let daemons = cluster.start(Ways::Front, BEAT)?;
        let knocking = Knocking::start(cluster.client(), address)?;
        knocking.answered_by("server1", LIMIT)?;
        let begin = Instant::now();
        cluster.host(1).link_down()?;
        knocking.answered_by("server2", LIMIT)?;
        thread::sleep(GONE);
        let gap = knocking.gap(begin)?;
        assert!(gap < WORST, "{gap:?}");
        assert_eq!(cluster.cached(address)?, Some(cluster.host(2).mac("eth0")?));
        // The host returns: nobody notices.
        let returned = Instant::now();
        cluster.host(1).link_up()?;
        settled(&daemons, 2)?;
        thread::sleep(Duration::from_millis(500));
        assert!(knocking.since(returned).iter().all(|name| name == "server2"));
        assert_eq!(cluster.answering(v4())?, [cluster.host(2).mac("eth0")?]);
        Ok(())
    })
}

// proves: H-3 H-4 H-5
#[test]
fn when_the_active_daemon_is_killed_the_other_takes_over_and_the_old_host_falls_silent() -> Result<()> {
    for_both_families(|cluster, address| {
        let mut daemons = cluster.start(Ways::Front, BEAT)?;
        let knocking = Knocking::start(cluster.client(), address)?;
        knocking.answered_by("server1", LIMIT)?;
        let begin = Instant::now();
        daemons[0].kill9()?;
        knocking.answered_by("server2", LIMIT)?;
        thread::sleep(GONE);
        let gap = knocking.gap(begin)?;
        assert!(gap < WORST, "{gap:?}");
        // Its kernel lives, with the address and the gate.
        assert_eq!(cluster.answering(v4())?, [cluster.host(2).mac("eth0")?]);
        cluster.flush_cache()?;
        let flushed = Instant::now();
        wait_until("an answer", LIMIT, || !knocking.since(flushed).is_empty())?;
        assert_eq!(cluster.cached(address)?, Some(cluster.host(2).mac("eth0")?));
        daemons[0].launch()?;
        settled(&daemons, 2)
    })
}

// proves: H-3
#[test]
fn a_daemon_that_was_stopped_finds_another_active_and_takes_nothing_back() -> Result<()> {
    let _alone = alone();
    let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
    let daemons = cluster.start(Ways::Front, BEAT)?;
    let knocking = Knocking::start(cluster.client(), v4().into())?;
    knocking.answered_by("server1", LIMIT)?;
    let begin = Instant::now();
    signal(&daemons[0], Signal::SIGSTOP)?;
    knocking.answered_by("server2", LIMIT)?;
    // Longer than the socket holds beats.
    thread::sleep(Duration::from_secs(2));
    assert_eq!(cluster.answering(v4())?, [cluster.host(2).mac("eth0")?]);
    let continued = Instant::now();
    signal(&daemons[0], Signal::SIGCONT)?;
    settled(&daemons, 2)?;
    thread::sleep(Duration::from_millis(500));
    assert!(knocking.since(continued).iter().all(|name| name == "server2"));
    let gap = knocking.gap(begin)?;
    assert!(gap < WORST, "{gap:?}");
    let log = daemons[0].log();
    assert!(log.contains("did not run for longer"), "{log}");
    Ok(())
}

// proves: H-2
#[test]
fn one_cut_path_of_two_is_nothing_that_a_client_notices() -> Result<()> {
    let _alone = alone();
    for ways in [Ways::Both, Ways::FrontAndLink] {
        let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
        let daemons = cluster.start(ways, BEAT)?;
        let knocking = Knocking::start(cluster.client(), v4().into())?;
        knocking.answered_by("server1", LIMIT)?;
        let works = |daemon: &Daemon<'_>, wanted: [bool; 2]| {
            daemon.wait_for(&["peers"], LIMIT, |peers| {
                let paths = &peers["peers"][0]["paths"];
                paths[0]["works"] == wanted[0] && paths[1]["works"] == wanted[1]
            })
        };
        works(&daemons[1], [true, true])?;
        let begin = Instant::now();
        cluster.cut("back1")?;
        works(&daemons[1], [true, false])?;
        works(&daemons[0], [true, false])?;
        cluster.heal("back1")?;
        works(&daemons[1], [true, true])?;
        // The other one: the standby host is cut off from the clients' network.
        cluster.cut("server2")?;
        works(&daemons[1], [false, true])?;
        thread::sleep(Duration::from_secs(1));
        settled(&daemons, 1)?;
        let gap = knocking.gap(begin)?;
        assert!(gap < GONE, "{gap:?}");
        assert!(knocking.since(begin).iter().all(|name| name == "server1"));
    }
    Ok(())
}

// proves: H-3 H-4 H-8
#[test]
fn after_a_split_has_healed_the_better_host_is_the_only_one_and_caches_say_so() -> Result<()> {
    for_both_families(|cluster, address| {
        let daemons = cluster.start(Ways::Both, BEAT)?;
        let knocking = Knocking::start(cluster.client(), address)?;
        knocking.answered_by("server1", LIMIT)?;
        // The worse host is cut off with the client's side of the network: the client sees what it sees.
        cluster.cut("server1")?;
        cluster.cut("back1")?;
        knocking.answered_by("server2", LIMIT)?;
        becomes(&daemons[1], "active")?;
        becomes(&daemons[0], "active")?;
        let healed = Instant::now();
        cluster.heal("back1")?;
        cluster.heal("server1")?;
        knocking.answered_by("server1", LIMIT)?;
        let settled_after = healed.elapsed();
        settled(&daemons, 1)?;
        assert!(settled_after < WORST, "{settled_after:?}");
        thread::sleep(Duration::from_millis(200));
        assert_eq!(cluster.cached(address)?, Some(cluster.host(1).mac("eth0")?));
        assert_eq!(cluster.answering(v4())?, [cluster.host(1).mac("eth0")?]);
        Ok(())
    })
}

// proves: H-7
#[test]
fn of_three_hosts_the_best_that_is_left_takes_over_each_time() -> Result<()> {
    let _alone = alone();
    let cluster = Cluster::new(3)?.share(&Cluster::shared())?;
    let mut daemons = cluster.start(Ways::Front, BEAT)?;
    let knocking = Knocking::start(cluster.client(), v4().into())?;
    knocking.answered_by("server1", LIMIT)?;
    for (gone, next) in [(0, "server2"), (1, "server3")] {
        let begin = Instant::now();
        daemons[gone].kill9()?;
        knocking.answered_by(next, LIMIT)?;
        thread::sleep(GONE);
        let gap = knocking.gap(begin)?;
        assert!(gap < WORST, "{next}: {gap:?}");
        let seen = knocking.since(begin + GONE);
        assert!(seen.iter().skip_while(|name| *name != next).all(|name| name == next), "{seen:?}");
    }
    assert_eq!(cluster.answering(v4())?, [cluster.host(3).mac("eth0")?]);
    daemons[0].launch()?;
    daemons[1].launch()?;
    settled(&daemons, 3)
}

// proves: H-8
#[test]
fn a_hand_over_and_an_orderly_stop_cost_less_than_a_beat_of_silence() -> Result<()> {
    for_both_families(|cluster, address| {
        let mut daemons = cluster.start(Ways::Front, BEAT)?;
        let knocking = Knocking::start(cluster.client(), address)?;
        knocking.answered_by("server1", LIMIT)?;
        let begin = Instant::now();
        let output = daemons[0].ringback(&["standby", "hand-over"])?;
        assert!(output.status.success(), "{output:?}");
        settled(&daemons, 2)?;
        knocking.answered_by("server2", LIMIT)?;
        let refused = daemons[0].ringback(&["standby", "hand-over", "web"])?;
        assert!(String::from_utf8_lossy(&refused.stderr).contains("not active"), "{refused:?}");
        thread::sleep(2 * GONE);
        assert!(daemons[1].sigterm()?.success());
        knocking.answered_by("server1", LIMIT)?;
        thread::sleep(GONE);
        let gap = knocking.gap(begin)?;
        assert!(gap < Duration::from_millis(100), "{gap:?}");
        assert_eq!(cluster.answering(v4())?, [cluster.host(1).mac("eth0")?]);
        Ok(())
    })
}

// proves: H-6
#[test]
fn two_groups_are_each_on_the_host_of_their_own_priority() -> Result<()> {
    let _alone = alone();
    let mail = Ipv4Addr::new(10, 9, 0, 51);
    let cluster = Cluster::new(2)?.share(&[v4().into(), mail.into()])?;
    let config = |number: u8| {
        let config = cluster.config(number, Ways::Front, "")?;
        let config = config.text("standby.interface", "eth0").text("standby.beat", BEAT);
        let group = |name: &str, address: Ipv4Addr, priority: u8| {
            format!("[[standby.group]]\nname = '{name}'\naddresses = ['{address}']\npriority = {priority}")
        };
        anyhow::Ok(config.table(&group("web", v4(), number)).table(&group("mail", mail, 3 - number)))
    };
    let first = Daemon::start(cluster.host(1), config(1)?)?;
    let mut second = Daemon::start(cluster.host(2), config(2)?)?;
    // The one that started first has both until they are given away.
    becomes(&first, "active")?;
    wait_until("the second host is heard", LIMIT, || mode(&second, "mail").is_ok_and(|mode| mode == "standby"))?;
    assert!(first.ringback(&["standby", "hand-over", "mail"])?.status.success());
    wait_until("each host has one", LIMIT, || {
        mode(&second, "mail").is_ok_and(|mode| mode == "active")
            && mode(&first, "web").is_ok_and(|mode| mode == "active")
    })?;
    assert_eq!(cluster.answering(v4())?, [cluster.host(1).mac("eth0")?]);
    assert_eq!(cluster.answering(mail)?, [cluster.host(2).mac("eth0")?]);
    second.kill9()?;
    wait_until("the first has both", LIMIT, || mode(&first, "mail").is_ok_and(|mode| mode == "active"))?;
    assert_eq!(cluster.answering(mail)?, [cluster.host(1).mac("eth0")?]);
    Ok(())
}

// proves: H-3 H-5
#[test]
fn a_host_whose_application_hangs_leaves_the_addresses_to_the_other() -> Result<()> {
    let _alone = alone();
    let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
    let apps =
        cluster.numbers().map(|number| AppServer::start(cluster.host(number), 8080)).collect::<Result<Vec<_>>>()?;
    let start = |number: u8| {
        let config = cluster.standby(number, Ways::Front, BEAT)?;
        let health = cluster.host(number).service_v4(8080);
        Daemon::start(cluster.host(number), config.table(&format!("application = 'http://{health}/health'")))
    };
    let daemons = [start(1)?, start(2)?];
    settled(&daemons, 1)?;
    let knocking = Knocking::start(cluster.client(), v4().into())?;
    knocking.answered_by("server1", LIMIT)?;
    let begin = Instant::now();
    apps[0].hang()?;
    knocking.answered_by("server2", LIMIT)?;
    thread::sleep(GONE);
    // The service on the address itself goes on: only the hand-over can be noticed.
    let gap = knocking.gap(begin)?;
    assert!(gap < Duration::from_millis(100), "{gap:?}");
    let group = &daemons[0].json(&["standby"])?[0];
    assert!(group["own_trouble"].as_str().is_some_and(|trouble| trouble.contains("no result within")), "{group:#}");
    assert_eq!(cluster.answering(v4())?, [cluster.host(2).mac("eth0")?]);
    apps[0].go_on()?;
    settled(&daemons, 2)?;
    // Nobody is left who could: then nobody answers, and nobody claims.
    apps[0].hang()?;
    // Before it has looked, the first would take over from the second.
    daemons[0].wait_for(&["standby"], LIMIT, |groups| groups[0]["own_trouble"].is_string())?;
    apps[1].hang()?;
    becomes(&daemons[1], "undecided")?;
    assert!(cluster.answering(v4())?.is_empty());
    apps[0].go_on()?;
    becomes(&daemons[0], "active")?;
    knocking.answered_by("server1", LIMIT)
}

// proves: H-1
#[test]
fn without_the_section_and_after_cleanup_nothing_of_the_gate_is_left() -> Result<()> {
    let _alone = alone();
    let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
    let mut daemons = cluster.start(Ways::Front, BEAT)?;
    let gate = daemons[1].pin_dir().join("gate");
    assert!(gate.join("RB_GATE").exists());
    assert!(daemons[1].sigterm()?.success());
    assert!(gate.join("RB_GATE").exists(), "a host that has stopped stays in standby");
    daemons[1].write_config(lab::DaemonConfig::new().set("watch.pending", "1024"))?;
    daemons[1].launch()?;
    assert!(!gate.exists());
    assert_eq!(cluster.answering(v4())?.len(), 2);
    assert!(daemons[0].sigterm()?.success());
    assert!(daemons[0].ringback(&["cleanup"])?.status.success());
    assert!(!daemons[0].pin_dir().exists());
    Ok(())
}
