//! What a frame costs: each kind through the ingress program by `BPF_PROG_TEST_RUN`, beside the program that only passes,
//! alternated in one run. Quote the ratios; nanoseconds are the machine's. Then the time from a recovery to the mail.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab, MailSink};
use ringback::{
    config::Watch,
    kernel::{Kernel, Side},
};

/// Runs of one frame per round.
const REPEAT: u32 = 1_000_000;

/// Rounds; the median counts.
const ROUNDS: usize = 7;

/// Outages whose first mail is timed.
const OUTAGES: usize = 15;

/// Different flows, for what costs something only the first time.
const FLOWS: u32 = 200_000;

fn main() -> Result<()> {
    println!("{}, {}", cpu()?, kernel_release()?);
    let servers = vec!["auto".parse().map_err(anyhow::Error::msg)?];
    let watch = Watch { servers, pending: 1 << 20, syn_timeout: Duration::from_secs(600), ..Watch::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let (kernel, _events) = Kernel::detached(&watch)?;
    println!("\n{:<34} {:>8} {:>8} {:>7}", "frame, sent again and again", "PASS ns", "ns", "ratio");
    for (name, frame) in frames() {
        let (mut pass, mut watching) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            pass.push(nanoseconds(kernel.trial(Side::Pass, &frame, REPEAT)?.duration));
            watching.push(nanoseconds(kernel.trial(Side::Ingress, &frame, REPEAT)?.duration));
        }
        let (pass, watching) = (median(pass), median(watching));
        println!("{name:<34} {pass:>8.0} {watching:>8.0} {:>7.2}", watching / pass);
    }
    println!("\n{FLOWS} flows, one frame each; the same frames through PASS are subtracted");
    let (mut pass, mut syns, mut answers) = (0.0, 0.0, 0.0);
    for flow in 0..FLOWS {
        let (syn, answer) = (tcp(flow, 0x02), answer(flow));
        pass += nanoseconds(kernel.trial(Side::Pass, &syn, 1)?.duration);
        syns += nanoseconds(kernel.trial(Side::Ingress, &syn, 1)?.duration);
        answers += nanoseconds(kernel.trial(Side::Ingress, &answer, 1)?.duration);
    }
    let flows = f64::from(FLOWS);
    println!("{:<34} {:>8.0} ns", "a new SYN", (syns - pass) / flows);
    println!("{:<34} {:>8.0} ns", "its SYN/ACK", (answers - pass) / flows);
    println!("{:<34} {:>8.0} ns", "both", (syns + answers - 2.0 * pass) / flows);
    drop(kernel);
    time_to_mail()
}

/// From a client's connection, which the recovered server's SYN/ACK made, to the mail in the SMTP server's hands: the whole
/// way through kernel, machine, store and outbox, in a lab of network namespaces.
fn time_to_mail() -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(20);
    let lab = Lab::builder().clients(2).build()?;
    let (waiting, first, server) = (lab.client(1), lab.client(2), lab.server(1));
    let sink = MailSink::start(lab.gateway(), 2525)?;
    let config = DaemonConfig::new().text("notify.smtp", &sink.url()).address(waiting.v4(), "sato@example.test");
    let daemon = Daemon::start(lab.gateway(), config)?;
    let service = server.service_v4(80);
    let mut times = Vec::new();
    for round in 1..=OUTAGES {
        let nginx = HttpServer::start(server, 80)?;
        ensure!(first.connect(None, service, LIMIT)? == Attempt::Connected, "the server should answer");
        daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
        drop(nginx);
        ensure!(waiting.connect(None, service, LIMIT)? == Attempt::Refused, "the server should refuse");
        daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
        let _nginx = HttpServer::start(server, 80)?;
        ensure!(first.connect(None, service, LIMIT)? == Attempt::Connected, "the server should answer");
        let answered = Instant::now();
        while sink.mails()?.len() < round {
            ensure!(answered.elapsed() < LIMIT, "no mail");
            std::thread::sleep(Duration::from_micros(200));
        }
        times.push(answered.elapsed().as_secs_f64() * 1e3);
    }
    let worst = times.iter().copied().fold(0.0, f64::max);
    println!("\nfrom the recovering SYN/ACK to the mail in the SMTP server, {OUTAGES} outages");
    println!("{:<34} {:>8.1} ms median, {worst:.1} ms worst", "time to mail", median(times));
    Ok(())
}

/// Kinds of frames that are sent again and again.
fn frames() -> Vec<(String, Vec<u8>)> {
    let mut frames = vec![("ARP".to_owned(), arp())];
    for (family, v6) in [("IPv4", false), ("IPv6", true)] {
        for (tag, tags) in [("", 0), (", VLAN", 1), (", QinQ", 2)] {
            let mut add = |name: &str, frame: Vec<u8>| frames.push((format!("{family} {name}{tag}"), frame));
            add("UDP", frame(v6, tags, 17, &[0; 40]));
            add("TCP data, 64 bytes", frame(v6, tags, 6, &segment(0x18, 4000, 10)));
            add("TCP data, 1500 bytes", frame(v6, tags, 6, &segment(0x18, 4000, 1440)));
            add("SYN, same again", frame(v6, tags, 6, &segment(0x02, 4000, 0)));
            add("SYN/ACK, no match", frame(v6, tags, 6, &segment(0x12, 4001, 0)));
            add("RST, no match", frame(v6, tags, 6, &segment(0x14, 4001, 0)));
            add("ICMP unreachable, no match", unreachable(v6, tags));
        }
    }
    frames
}

fn segment(flags: u8, port: u16, payload: usize) -> Vec<u8> {
    let mut tcp = port.to_be_bytes().to_vec();
    tcp.extend(80_u16.to_be_bytes());
    tcp.extend([0, 0, 0, 9, 0, 0, 0, 7, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    tcp.resize(20 + payload, 0);
    tcp
}

fn frame(v6: bool, tags: usize, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for tag in 0..tags {
        frame.extend(if tag + 1 == tags { [0x81, 0x00, 0, 42] } else { [0x88, 0xa8, 0, 42] });
    }
    frame.extend(if v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
    frame.extend(ip(v6, protocol, payload));
    frame
}

fn ip(v6: bool, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
    let mut packet = if v6 {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([protocol, 64]);
        packet.extend([0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
        packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        packet
    } else {
        let mut packet = vec![0x45, 0];
        packet.extend((length + 20).to_be_bytes());
        packet.extend([0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 1, 5, 10, 0, 2, 7]);
        packet
    };
    packet.extend(payload);
    packet
}

fn unreachable(v6: bool, tags: usize) -> Vec<u8> {
    let mut icmp = vec![if v6 { 1 } else { 3 }, if v6 { 3 } else { 1 }, 0, 0, 0, 0, 0, 0];
    icmp.extend(ip(v6, 6, &segment(0x02, 4002, 0)));
    frame(v6, tags, if v6 { 58 } else { 1 }, &icmp)
}

fn arp() -> Vec<u8> {
    let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 2];
    frame.extend([2, 0, 0, 0, 0, 2, 10, 0, 2, 7, 0, 0, 0, 0, 0, 0, 10, 0, 2, 1]);
    frame
}

/// A frame of flow `n`.
fn tcp(n: u32, flags: u8) -> Vec<u8> {
    let mut bytes = frame(false, 0, 6, &segment(flags, 4000, 0));
    bytes[26..30].copy_from_slice(&(0x0a00_0000 | n).to_be_bytes());
    bytes
}

/// The answer to flow `n`'s SYN.
fn answer(n: u32) -> Vec<u8> {
    let mut bytes = tcp(n, 0x12);
    let (src, dst): ([u8; 4], [u8; 4]) = ([10, 0, 2, 7], (0x0a00_0000 | n).to_be_bytes());
    bytes[26..30].copy_from_slice(&src);
    bytes[30..34].copy_from_slice(&dst);
    bytes[34..36].copy_from_slice(&80_u16.to_be_bytes());
    bytes[36..38].copy_from_slice(&4000_u16.to_be_bytes());
    bytes[42..46].copy_from_slice(&10_u32.to_be_bytes());
    bytes
}

fn nanoseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn cpu() -> Result<String> {
    let info = fs::read_to_string("/proc/cpuinfo")?;
    let line = info.lines().find(|line| line.starts_with("model name")).context("no processor in /proc/cpuinfo")?;
    let count = info.lines().filter(|line| line.starts_with("processor")).count();
    Ok(format!("{count} x {}", line.split_once(": ").map_or("?", |(_, name)| name)))
}

fn kernel_release() -> Result<String> {
    Ok(format!("Linux {}", fs::read_to_string("/proc/sys/kernel/osrelease")?.trim()))
}
