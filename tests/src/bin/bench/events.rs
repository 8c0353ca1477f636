//! From the ring buffer to the disk: a flood of attempts to a failed service through the daemon's own program, while its
//! status is asked for.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use aya::programs::{ProgramInfo, TestRun as _, TestRunOptions, Xdp, loaded_programs};
use aya_obj::programs::XdpAttachType;
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab};
use monitor_common::program;
use ringback::control::Client;
use serde_json::Value;

use crate::{
    report::{median, memory_of},
    segments::tcp,
};

/// Clients, each with one attempt.
const CLIENTS: u32 = 2_000_000;

const LIMIT: Duration = Duration::from_secs(20);

pub(crate) fn run() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let service = server.service_v4(80);
    let daemon = Daemon::start(lab.gateway(), DaemonConfig::new())?;
    let nginx = HttpServer::start(server, 80)?;
    ensure!(client.connect(None, service, LIMIT)? == Attempt::Connected, "the server should answer");
    daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
    drop(nginx);
    ensure!(client.connect(None, service, LIMIT)? == Attempt::Refused, "the server should refuse");
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;

    let ingress = newest_ingress()?;
    let (done, sent) = (AtomicBool::new(false), AtomicU32::new(0));
    let begun = Instant::now();
    let (answers, waiting, stored) = thread::scope(|scope| {
        let flood = scope.spawn(|| flood(&ingress, &sent, &done));
        let watched = watch(&daemon, &sent, begun);
        done.store(true, Ordering::Relaxed);
        flood.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        watched
    })?;
    let status = daemon.status()?;
    let lost = counter(&status, "deadlines_full");
    println!("\na flood of attempts to a failed service, from the kernel's ring buffer to the disk");
    println!(
        "{:<38} {:>10.0} attempts/s ({waiting} clients in {:.1} s; {lost} without room for their time-out)",
        "stored",
        f64::from(waiting) / stored.as_secs_f64(),
        stored.as_secs_f64()
    );
    let worst = answers.iter().copied().fold(0.0, f64::max);
    println!(
        "{:<38} {:>10.1} ms median, {worst:.1} ms worst of {}",
        "status meanwhile",
        median(answers.clone()),
        answers.len()
    );
    println!("{:<38} {:>10} MiB at the peak", "memory of the daemon", memory_of(daemon.id()?)? >> 20);
    Ok(())
}

/// The program that the daemon has just loaded.
fn newest_ingress() -> Result<Xdp> {
    let mut found: Option<ProgramInfo> = None;
    for info in loaded_programs() {
        let info = info?;
        if info.name_as_str() == Some(program::INGRESS) && found.as_ref().is_none_or(|found| info.id() > found.id()) {
            found = Some(info);
        }
    }
    let info = found.context("no program of the daemon is loaded")?;
    Ok(Xdp::from_program_info(info, program::INGRESS.into(), XdpAttachType::Interface)?)
}

/// SYNs of one client after the other.
fn flood(ingress: &Xdp, sent: &AtomicU32, done: &AtomicBool) -> Result<()> {
    for number in 0..CLIENTS {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let mut frame = tcp(number, 0x02);
        frame[26] = 11;
        // The lab's first server.
        frame[30..34].copy_from_slice(&[10, 2, 1, 2]);
        ingress.test_run(TestRunOptions { data_in: Some(&frame), ..TestRunOptions::default() })?;
        sent.store(number + 1, Ordering::Relaxed);
    }
    Ok(())
}

/// Asks for the status until nothing more arrives. Returns the milliseconds of each answer, the waiting clients, and when
/// the last of them was seen.
fn watch(daemon: &Daemon<'_>, sent: &AtomicU32, begun: Instant) -> Result<(Vec<f64>, u32, Duration)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client::new(&daemon.socket());
    let mut answers = Vec::new();
    let (mut waiting, mut stored) = (0, Duration::ZERO);
    loop {
        thread::sleep(Duration::from_millis(20));
        let asked = Instant::now();
        let status: Value = runtime.block_on(client.get("/v1/status"))?;
        answers.push(asked.elapsed().as_secs_f64() * 1e3);
        let now = u32::try_from(status["waiting_clients"].as_u64().unwrap_or_default())?;
        if now > waiting {
            (waiting, stored) = (now, begun.elapsed());
        }
        let all_sent = sent.load(Ordering::Relaxed) == CLIENTS;
        if begun.elapsed() > Duration::from_secs(60) || (all_sent && begun.elapsed() > stored + Duration::from_secs(2))
        {
            return Ok((answers, waiting, stored));
        }
    }
}

fn counter(status: &Value, reason: &str) -> u64 {
    let lines = status["counters"].as_array();
    let line = lines.and_then(|lines| lines.iter().find(|line| line["reason"] == reason));
    line.and_then(|line| line["count"].as_u64()).unwrap_or_default()
}
