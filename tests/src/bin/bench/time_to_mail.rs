//! From a recovery to the mail.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab, MailSink};

use crate::report::median;

/// Outages whose first mail is timed.
const OUTAGES: usize = 15;

/// From a client's connection, which the recovered server's SYN/ACK made, to the mail in the SMTP server's hands: the whole
/// way through kernel, machine, store and outbox, in a lab of network namespaces.
pub(crate) fn run() -> Result<()> {
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
