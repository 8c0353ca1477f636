//! Servers that watch each other (O-1 to O-7), with real daemons and what people are told.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use anyhow::{Context as _, Result};
use lab::{AppServer, Cluster, Daemon, DatabaseLock, HttpServer, Ways, wait_until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(15);
/// T2 and T1.
const WATCH: &str = "watch = true\nrunning_every = '200ms'\njudge_every = '600ms'\nadmin = ['admin@example.test']\n";
/// Longer than a judgement would need to find somebody down.
const SEVERAL_JUDGEMENTS: Duration = Duration::from_millis(2500);

fn start<'a>(cluster: &'a Cluster, number: u8, more: &str) -> Result<Daemon<'a>> {
    let lines = format!("{WATCH}{more}");
    let config = cluster.config(number, Ways::Front, &lines)?;
    Daemon::start(cluster.host(number), config.address(cluster.client().v4(), "client@example.test"))
}

fn state_of(report: &Value, peer: &str) -> String {
    let line = report["peers"].as_array().into_iter().flatten().find(|line| line["name"] == peer);
    line.and_then(|line| line["watch"]["state"].as_str()).unwrap_or("absent").to_owned()
}

fn sees(daemon: &Daemon<'_>, peer: &str, state: &str) -> Result<()> {
    daemon.wait_for(&["peers"], LIMIT, |report| state_of(report, peer) == state).map(drop)
}

/// Subjects and recipients, once there are as many.
fn mails(daemon: &Daemon<'_>, count: usize) -> Result<Vec<(String, String)>> {
    let maildir = daemon.maildir();
    wait_until("the mails are written", LIMIT, || maildir.mails().is_ok_and(|mails| mails.len() >= count))?;
    let mails = maildir.mails()?;
    let mut told: Vec<_> =
        mails.iter().map(|mail| (mail.header("Subject").unwrap_or_default(), mail.to().unwrap_or_default())).collect();
    told.sort();
    Ok(told)
}

fn told(peer: &str, word: &str) -> [(String, String); 2] {
    ["admin@example.test", "client@example.test"].map(|to| (format!("{peer} is {word}"), to.to_owned()))
}

// proves: O-1 O-3 O-4 O-7
#[test]
fn a_killed_peer_is_down_and_its_return_a_recovery_each_told_once() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let first = start(&cluster, 1, "")?;
    let mut second = start(&cluster, 2, "")?;
    sees(&first, "host2", "running")?;
    sees(&second, "host1", "running")?;
    second.kill9()?;
    sees(&first, "host2", "down")?;
    assert_eq!(mails(&first, 2)?, told("host2", "down"));
    std::thread::sleep(SEVERAL_JUDGEMENTS);
    assert_eq!(mails(&first, 2)?.len(), 2, "once per outage");
    let text = String::from_utf8_lossy(&first.ringback(&["peers"])?.stdout).into_owned();
    assert!(text.contains("host2") && text.contains("down"), "{text}");
    second.launch()?;
    sees(&first, "host2", "running")?;
    sees(&second, "host1", "running")?;
    assert_eq!(mails(&first, 4)?, [told("host2", "back"), told("host2", "down")].concat());
    assert_eq!(second.maildir().mails()?.len(), 0, "the other one was never down");
    Ok(())
}

// proves: O-2 O-4
#[test]
fn an_orderly_end_is_not_down() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let first = start(&cluster, 1, "")?;
    let mut second = start(&cluster, 2, "")?;
    sees(&first, "host2", "running")?;
    assert!(second.sigterm()?.success());
    sees(&first, "host2", "end")?;
    std::thread::sleep(SEVERAL_JUDGEMENTS);
    sees(&first, "host2", "end")?;
    assert_eq!(first.maildir().mails()?.len(), 0);
    second.launch()?;
    sees(&first, "host2", "running")?;
    assert_eq!(first.maildir().mails()?.len(), 0);
    Ok(())
}

// proves: O-5
#[test]
fn a_stopped_daemon_and_a_stalled_application_are_down() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let server = cluster.host(2);
    let nginx = HttpServer::start(server, 8080)?;
    let first = start(&cluster, 1, "")?;
    let application = format!("application = 'http://{}/'\n", server.service_v4(8080));
    let second = start(&cluster, 2, &application)?;
    sees(&first, "host2", "running")?;
    drop(nginx);
    sees(&first, "host2", "down")?;
    // The second daemon itself is well, and goes on judging.
    std::thread::sleep(SEVERAL_JUDGEMENTS);
    assert_eq!(state_of(&second.json(&["peers"])?, "host1"), "running");
    assert_eq!(mails(&first, 2)?, told("host2", "down"));
    let _nginx = HttpServer::start(server, 8080)?;
    sees(&first, "host2", "running")?;
    assert_eq!(mails(&first, 4)?.len(), 4);
    let process = Pid::from_raw(second.id()?.cast_signed());
    kill(process, Signal::SIGSTOP)?;
    sees(&first, "host2", "down")?;
    kill(process, Signal::SIGCONT)?;
    sees(&first, "host2", "running")?;
    sees(&second, "host1", "running")?;
    assert_eq!(mails(&first, 8)?.len(), 8);
    assert_eq!(second.maildir().mails()?.len(), 0, "the one that was away judges nobody");
    Ok(())
}

/// Host 2 vouches for `application`; `stall` and `heal` do that to it.
fn vouches_for(
    cluster: &Cluster,
    application: &str,
    reason: &str,
    stall: impl Fn() -> Result<()>,
    heal: impl Fn() -> Result<()>,
) -> Result<()> {
    let first = start(cluster, 1, "")?;
    let second = start(cluster, 2, &format!("application = '{application}'\n"))?;
    sees(&first, "host2", "running")?;
    stall()?;
    sees(&first, "host2", "down")?;
    sees(&second, "host1", "running")?;
    let trouble = second.json(&["peers"])?["peers"][0]["watch"]["own_trouble"].clone();
    assert!(trouble.as_str().is_some_and(|trouble| trouble.contains(reason)), "{trouble}");
    assert!(second.log().contains(reason), "{}", second.log());
    heal()?;
    sees(&first, "host2", "running")?;
    assert_eq!(second.json(&["peers"])?["peers"][0]["watch"]["own_trouble"], Value::Null);
    assert_eq!(mails(&first, 4)?, [told("host2", "back"), told("host2", "down")].concat());
    Ok(())
}

// proves: O-5
#[test]
fn an_application_that_hangs_is_not_vouched_for() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let app = AppServer::start(cluster.host(2), 8080)?;
    // It still accepts connections: only an answer shows that it lives.
    let application = format!("http://{}/health", cluster.host(2).service_v4(8080));
    vouches_for(&cluster, &application, "no result within 200ms", || app.hang(), || app.go_on())
}

// proves: O-5
#[test]
fn a_port_that_is_closed_is_not_vouched_for() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let host = cluster.host(2);
    let nginx = std::cell::RefCell::new(Some(HttpServer::start(host, 8080)?));
    let application = format!("tcp:{}", host.service_v6(8080));
    let stop = || {
        nginx.take();
        Ok(())
    };
    let start = || {
        nginx.replace(Some(HttpServer::start(host, 8080)?));
        Ok(())
    };
    vouches_for(&cluster, &application, "does not accept a connection", stop, start)
}

// proves: O-5
#[test]
fn a_command_that_fails_or_a_unit_that_is_not_active_is_not_vouched_for() -> Result<()> {
    for unit in [false, true] {
        let cluster = Cluster::new(2)?;
        let folder = cluster.host(2).folder();
        let well = folder.join("well");
        fs::write(&well, "")?;
        // A lab's host has no systemd: this answers as `systemctl is-active -- UNIT` does.
        fs::create_dir(folder.join("bin"))?;
        let systemctl = folder.join("bin/systemctl");
        let script = "#!/bin/sh\n[ \"$*\" = 'is-active -- web.service' ] || exit 4\n[ -e WELL ] && echo active && exit 0\n\
                      echo failed; exit 3\n";
        fs::write(&systemctl, script.replace("WELL", &well.display().to_string()))?;
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755))?;
        let (application, reason) = if unit {
            ("unit:web.service".to_owned(), "status 3: failed")
        } else {
            (format!("command:test -e {}", well.display()), "ends with status 1")
        };
        let stall = || fs::remove_file(&well).context("stalling");
        let heal = || fs::write(&well, "").context("healing");
        vouches_for(&cluster, &application, reason, stall, heal)?;
    }
    Ok(())
}

// proves: O-7
#[test]
fn a_client_asks_over_http_how_the_peer_is_and_learns_no_more() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let service = cluster.host(1).service_v4(7412);
    let config = cluster.config(1, Ways::Front, WATCH)?.text("heartbeat.answer_listen", &service.to_string());
    let first = Daemon::start(cluster.host(1), config)?;
    let mut second = start(&cluster, 2, "")?;
    let ask = |path: &str| -> Result<Value> {
        let fetched = cluster.client().fetch_path(service, path, LIMIT)?;
        serde_json::from_str(&fetched.body).with_context(|| format!("{fetched:?}"))
    };
    sees(&first, "host2", "running")?;
    wait_until("the answer is fresh", LIMIT, || ask("/v1/peers/host2").is_ok_and(|peer| peer["state"] == "running"))?;
    let all = ask("/v1/peers")?;
    let peer = all[0].as_object().context("an object")?;
    assert_eq!(peer.keys().collect::<Vec<_>>(), ["name", "since", "state", "up"], "{all:#}");
    assert_eq!((&peer["name"], &peer["up"]), (&Value::from("host2"), &Value::from(true)));
    // Idle connections that fill every place go in time.
    let idle = cluster.client().enter(|| {
        (0..100).map(|_| std::net::TcpStream::connect_timeout(&service, LIMIT)).collect::<std::io::Result<Vec<_>>>()
    })??;
    second.kill9()?;
    sees(&first, "host2", "down")?;
    let down = ask("/v1/peers/host2")?;
    assert_eq!((&down["state"], &down["up"]), (&Value::from("down"), &Value::from(false)), "{down:#}");
    drop(idle);
    let unknown = cluster.client().fetch_path(service, "/v1/peers/nobody", LIMIT)?;
    assert!(unknown.body.contains("no watched system has this name"), "{unknown:?}");
    // What operators can do is not there.
    for path in ["/v1/status", "/metrics", "/v1/standby/hand-over"] {
        assert!(cluster.client().fetch_path(service, path, LIMIT)?.body.is_empty(), "{path}");
    }
    second.launch()?;
    sees(&first, "host2", "running")?;
    wait_until("it is said", LIMIT, || ask("/v1/peers/host2").is_ok_and(|peer| peer["up"] == true))
}

// proves: O-3 O-4
#[test]
fn one_cut_way_of_two_is_no_outage_and_both_are_until_one_heals() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let start = |number: u8| {
        let config = cluster.config(number, Ways::Both, WATCH)?;
        Daemon::start(cluster.host(number), config.address(cluster.client().v4(), "client@example.test"))
    };
    let daemons = [start(1)?, start(2)?];
    let both_see = |state: &str| sees(&daemons[0], "host2", state).and_then(|()| sees(&daemons[1], "host1", state));
    both_see("running")?;
    cluster.cut("server2")?;
    daemons[0].wait_for(&["peers"], LIMIT, |report| report["peers"][0]["paths"][0]["works"] == false)?;
    std::thread::sleep(SEVERAL_JUDGEMENTS);
    both_see("running")?;
    assert_eq!(daemons[0].maildir().mails()?.len(), 0, "{}", daemons[0].log());
    // The power fails, as the other sees it.
    cluster.cut("back2")?;
    both_see("down")?;
    assert_eq!(mails(&daemons[0], 2)?, told("host2", "down"));
    cluster.heal("back2")?;
    both_see("running")?;
    assert_eq!(mails(&daemons[0], 4)?, [told("host2", "back"), told("host2", "down")].concat());
    assert_eq!(mails(&daemons[1], 4)?, [told("host1", "back"), told("host1", "down")].concat());
    Ok(())
}

// proves: O-2 O-4
#[test]
fn a_restart_of_the_judge_tells_nothing_twice_and_forgets_no_outage() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let mut first = start(&cluster, 1, "")?;
    let mut second = start(&cluster, 2, "")?;
    sees(&first, "host2", "running")?;
    second.kill9()?;
    sees(&first, "host2", "down")?;
    mails(&first, 2)?;
    first.kill9()?;
    first.launch()?;
    sees(&first, "host2", "down")?;
    std::thread::sleep(SEVERAL_JUDGEMENTS);
    assert_eq!(mails(&first, 2)?.len(), 2);
    second.launch()?;
    assert_eq!(mails(&first, 4)?, [told("host2", "back"), told("host2", "down")].concat());
    Ok(())
}

// proves: O-4
#[test]
fn letters_that_the_store_does_not_take_are_written_when_it_does_and_once() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let first = start(&cluster, 1, "")?;
    let mut second = start(&cluster, 2, "")?;
    sees(&first, "host2", "running")?;
    let lock = DatabaseLock::take(&first)?;
    second.kill9()?;
    sees(&first, "host2", "down")?;
    wait_until("the store refuses", 2 * LIMIT, || first.log().contains("letters about a peer are not written"))?;
    lock.release()?;
    assert_eq!(mails(&first, 2)?, told("host2", "down"));
    second.launch()?;
    assert_eq!(mails(&first, 4)?, [told("host2", "back"), told("host2", "down")].concat());
    Ok(())
}

// proves: O-4
#[test]
fn clients_of_another_system_are_not_told() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let client = cluster.client().v4();
    let lines = format!("{WATCH}clients = ['{client}']\n");
    let config = cluster.config(1, Ways::Front, &lines)?.address(client, "client@example.test");
    let first =
        Daemon::start(cluster.host(1), config.address([192, 0, 2, 7].into(), "client.of.another@example.test"))?;
    let mut second = start(&cluster, 2, "")?;
    sees(&first, "host2", "running")?;
    second.kill9()?;
    sees(&first, "host2", "down")?;
    assert_eq!(mails(&first, 2)?, told("host2", "down"));
    second.launch()?;
    assert_eq!(mails(&first, 4)?, [told("host2", "back"), told("host2", "down")].concat());
    Ok(())
}

// proves: O-3
#[test]
fn recorded_signals_of_a_dead_host_do_not_bring_it_back() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let recorder = cluster.recorder(1)?;
    let first = start(&cluster, 1, "")?;
    let mut second = start(&cluster, 2, "")?;
    sees(&first, "host2", "running")?;
    std::thread::sleep(SEVERAL_JUDGEMENTS);
    // From its start signal on.
    let recording = recorder.heard();
    assert!(recording.len() >= 10, "{}", recording.len());
    second.kill9()?;
    sees(&first, "host2", "down")?;
    for _ in 0..5 {
        cluster.replay(1, &recording)?;
        std::thread::sleep(SEVERAL_JUDGEMENTS / 5);
        assert_eq!(state_of(&first.json(&["peers"])?, "host2"), "down");
    }
    assert_eq!(mails(&first, 2)?, told("host2", "down"));
    assert_eq!(first.json(&["peers"])?["peers"][0]["reachable"], false);
    Ok(())
}

// proves: O-6
#[test]
fn each_of_three_watches_each_other_one() -> Result<()> {
    let cluster = Cluster::new(3)?;
    let mut daemons = cluster.numbers().map(|number| start(&cluster, number, "")).collect::<Result<Vec<_>>>()?;
    for (daemon, own) in daemons.iter().zip(1..) {
        for other in (1..=3).filter(|other| *other != own) {
            sees(daemon, &format!("host{other}"), "running")?;
        }
    }
    daemons[2].kill9()?;
    for daemon in &daemons[..2] {
        sees(daemon, "host3", "down")?;
    }
    sees(&daemons[0], "host2", "running")?;
    sees(&daemons[1], "host1", "running")
}

#[test]
fn a_peer_with_another_secret_is_not_heard() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let first = start(&cluster, 1, "")?;
    let mut second = start(&cluster, 2, "")?;
    sees(&first, "host2", "running")?;
    assert!(second.sigterm()?.success());
    sees(&first, "host2", "end")?;
    fs::write(cluster.host(2).folder().join("heartbeat.secret"), "another secret of as many letters\n")?;
    second.launch()?;
    wait_until("the first says so", LIMIT, || first.log().contains("not authentic"))?;
    sees(&first, "host2", "end")?;
    sees(&second, "host1", "initial").or_else(|_| sees(&second, "host1", "down"))
}

// proves: O-3
#[test]
fn a_judge_that_is_quicker_than_the_signals_is_refused() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let first = start(&cluster, 1, "")?;
    let wrong = cluster.config(1, Ways::Front, "watch = true\nrunning_every = '2s'\njudge_every = '2s'\n")?;
    let file = first.state_dir().join("wrong.toml");
    fs::write(&file, wrong.render())?;
    let output = first.ringback_with(&file, &["run"])?;
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("judge_every") && text.contains("longer than running_every"), "{text}");
    Ok(())
}
