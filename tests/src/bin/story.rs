//! The story that `cargo xtask run` plays: two clients fail, the server comes back, the one we know gets a mail.
//!
//! Everything happens in network namespaces of its own; nothing touches this machine's interfaces.

use std::{
    net::SocketAddr,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use lab::{Daemon, DaemonConfig, Host, HttpServer, Lab, wait_until};

const PATIENCE: Duration = Duration::from_secs(20);

/// Long enough for the gateway to find that nobody answers its ARP requests.
const CURL_GIVES_UP: Duration = Duration::from_secs(4);

/// Whom the address book names for client1.
const KNOWN_MAIL: &str = "sato@example.test";

fn main() -> ExitCode {
    match play(&Narrator(Instant::now())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the story broke off: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Says what happens, with the seconds since the start.
struct Narrator(Instant);

impl Narrator {
    fn say(&self, what: &str) {
        println!("{:5.1} s  {what}", self.0.elapsed().as_secs_f32());
    }

    /// Shows something that a program printed.
    fn show(&self, text: &str) {
        println!();
        for line in text.trim_end().lines() {
            println!("         | {line}");
        }
        println!();
    }
}

fn play(narrator: &Narrator) -> Result<()> {
    narrator.say("building the lab: client1, client2 - gateway - server1, each a network namespace");
    let lab = Lab::builder().clients(2).build()?;
    let (known, unknown, server) = (lab.client(1), lab.client(2), lab.server(1));
    let service = server.service_v4(80);
    let _nginx = HttpServer::start(server, 80)?;
    narrator.say(&format!("nginx serves on {service}"));

    let config = DaemonConfig::new().text("watch.syn_timeout", "1s").address(known.v4(), KNOWN_MAIL);
    let daemon = Daemon::start(lab.gateway(), config)?;
    narrator.say(&format!("ringback watches the gateway; its address book knows client1 ({})", known.v4()));

    for client in [known, unknown] {
        ensure!(fetch(narrator, client, service)?, "the server should answer {}", client.name());
    }
    daemon.wait_for(&["services"], PATIENCE, |services| services.to_string().contains(&service.to_string()))?;

    server.link_down()?;
    narrator.say("server1 loses its link");
    for client in [known, unknown] {
        ensure!(!fetch(narrator, client, service)?, "the server should not answer {}", client.name());
    }
    daemon.wait_for(&["waiting"], PATIENCE, |waiting| {
        let waiting = waiting.to_string();
        [known, unknown].iter().all(|client| waiting.contains(&client.v4().to_string()))
    })?;
    narrator.say("ringback status:");
    narrator.show(&String::from_utf8_lossy(&daemon.ringback(&["status"])?.stdout));

    server.link_up()?;
    narrator.say("server1 has its link again");
    wait_until("a client gets through", PATIENCE, || {
        unknown.fetch(service, CURL_GIVES_UP).is_ok_and(|page| page.succeeded())
    })?;
    narrator.say("client2 tries again and gets through: that is the evidence of recovery");
    let maildir = daemon.maildir();
    wait_until("a mail is written", PATIENCE, || maildir.mails().is_ok_and(|mails| !mails.is_empty()))?;
    let mails = maildir.mails()?;
    let recipients: Vec<_> = mails.iter().filter_map(lab::Mail::to).collect();
    ensure!(recipients == [KNOWN_MAIL], "only {KNOWN_MAIL} should get a mail, not {recipients:?}");
    narrator.say(&format!("the mail to {KNOWN_MAIL}:"));
    mails.iter().for_each(|mail| narrator.show(&mail.text));

    narrator.say("client2 is in nobody's address book: no mail. Taking the lab down.");
    drop(daemon);
    println!("\nOn real interfaces: cargo xtask run -- --config ringback.toml");
    Ok(())
}

/// One page, with curl; tells how it went.
fn fetch(narrator: &Narrator, client: &Host, service: SocketAddr) -> Result<bool> {
    let page = client.fetch(service, CURL_GIVES_UP)?;
    let answer = if page.succeeded() { page.body.trim() } else { &page.error };
    narrator.say(&format!("{} ({}): curl http://{service}/ -> {answer}", client.name(), client.v4()));
    Ok(page.succeeded())
}
