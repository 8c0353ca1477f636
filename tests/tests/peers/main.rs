//! Servers that watch each other (O-1 to O-7), with real daemons and what people are told.

mod application;
mod strangers;
mod telling;

use std::{fs, time::Duration};

use anyhow::Result;
use lab::{Cluster, Daemon, HttpServer, Ways, wait_until};
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

/// Two hosts that watch each other, both running.
fn pair(cluster: &Cluster) -> Result<(Daemon<'_>, Daemon<'_>)> {
    let (first, second) = (start(cluster, 1, "")?, start(cluster, 2, "")?);
    sees(&first, "host2", "running")?;
    sees(&second, "host1", "running")?;
    Ok((first, second))
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

// proves: O-3 O-4a O-4b O-7
#[test]
fn a_killed_peer_is_down_and_its_return_a_recovery_each_told_once() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let (first, mut second) = pair(&cluster)?;
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

// proves: O-1d O-4c
#[test]
fn an_orderly_end_is_not_down() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let (first, mut second) = pair(&cluster)?;
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

// proves: O-5c
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

// proves: O-3 O-4a O-4b
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

// proves: O-6a
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
