//! What guards cost: a frame of another port, a SYN of a guarded one while a healthy connection is open, and the delay of
//! a connection beyond the time that its check takes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab};
use monitor_common::{Flow, GuardFlags, GuardOp, GuardRule};
use monitor_core::config::Watch;
use ringback::kernel::{Kernel, TrialProgram};

use crate::{
    report::{median, nanoseconds},
    segments::{frame, segment},
};

/// Runs of one frame per round.
const REPEAT: u32 = 1_000_000;

/// Rounds; the median counts.
const ROUNDS: usize = 9;

/// Connections per kind of check.
const CONNECTIONS: usize = 200;

const LIMIT: Duration = Duration::from_secs(15);

pub(crate) fn run() -> Result<()> {
    frames()?;
    delay()
}

fn frames() -> Result<()> {
    let servers = vec!["auto".parse().map_err(anyhow::Error::msg)?];
    let watch = Watch { servers, syn_timeout: Duration::from_secs(600), ..Watch::default() };
    let (without, _events) = Kernel::detached(&watch, &[TrialProgram::Ingress, TrialProgram::Egress])?;
    let rule = GuardRule { hold_ns: 0, good_until_ns: 0, max_held: 0, flags: GuardFlags::LOOPBACK };
    let (elsewhere, _events2, mut guards) =
        Kernel::detached_with_guards(&watch, &[TrialProgram::Ingress, TrialProgram::Egress])?;
    guards.guard(0, 81, rule)?;
    let (here, _events3, mut guards) =
        Kernel::detached_with_guards(&watch, &[TrialProgram::Ingress, TrialProgram::Egress])?;
    guards.guard(0, 80, rule)?;
    // A healthy connection is open.
    guards.request(Flow::default(), 0, 1, GuardOp::CORRECT)?;
    println!(
        "\n{:<30} {:>10} {:>14} {:>7} {:>14} {:>7}",
        "frame", "no guards", "another port's", "ratio", "its own", "ratio"
    );
    for (family, v6) in [("IPv4", false), ("IPv6", true)] {
        for (name, flags, payload) in [("SYN, same again", 0x02, 0), ("TCP data, 64 bytes", 0x18, 10), ("FIN", 0x11, 0)]
        {
            // From the client to port 80.
            let mut tcp = segment(flags, 4000, payload);
            tcp[..4].copy_from_slice(&[0x0f, 0xa0, 0, 80]);
            let frame = frame(v6, 0, 6, &tcp);
            let mut times = [Vec::new(), Vec::new(), Vec::new()];
            for _ in 0..ROUNDS {
                for (kernel, times) in [&without, &elsewhere, &here].into_iter().zip(&mut times) {
                    let trial = kernel.trial(TrialProgram::Ingress, &frame, REPEAT)?;
                    ensure!(trial.verdict == 2, "the frame should pass");
                    times.push(nanoseconds(trial.duration));
                }
            }
            let [without, elsewhere, here] = times.map(median);
            println!(
                "{:<30} {without:>7.0} ns {elsewhere:>11.0} ns {:>7.2} {here:>11.0} ns {:>7.2}",
                format!("{family} {name}"),
                elsewhere / without,
                here / without
            );
        }
    }
    Ok(())
}

/// From the client's first SYN to the established connection, less the time that the check itself says it took.
fn delay() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let _nginx = HttpServer::start(server, 80)?;
    let service = server.service_v4(80);
    let mut plain = Vec::new();
    for _ in 0..CONNECTIONS {
        let begin = Instant::now();
        ensure!(client.connect(None, service, LIMIT)? == Attempt::Connected, "the server should answer");
        plain.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    println!(
        "\nconnecting to a guarded port, {CONNECTIONS} connections, median and worst; unguarded {:.2} ms",
        median(plain)
    );
    let http = format!("http = '{service}/'");
    for (name, check) in
        [("HTTP request to nginx", http.as_str()), ("program that takes 20 ms", "command = ['sleep', '0.02']")]
    {
        let table = format!("[[guard]]\nport = 80\n[[guard.check]]\n{check}");
        let daemon = Daemon::start(server, DaemonConfig::new().table(&table))?;
        let (mut checks, mut added) = (Vec::new(), Vec::new());
        for run in 1..=CONNECTIONS {
            let begin = Instant::now();
            ensure!(client.connect(None, service, LIMIT)? == Attempt::Connected, "the server should answer");
            let took = begin.elapsed().as_secs_f64() * 1e3;
            let guards =
                daemon.wait_for(&["guard"], LIMIT, |guards| guards[0]["runs"] == run && guards[0]["open"] == 0)?;
            let check = guards[0]["checks"][0]["took_ms"].as_f64().context("no time of the check")?;
            checks.push(check);
            added.push(took - check);
        }
        let worst = added.iter().copied().fold(0.0, f64::max);
        println!("{name:<30} check {:>6.2} ms, added {:>6.2} ms, worst {worst:.2} ms", median(checks), median(added));
    }
    Ok(())
}
