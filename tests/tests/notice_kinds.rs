//! Operators are mailed of each kind of failure that a gateway sees: at its opening, and at its end with how many wait. What
//! a guard finds (`sick`) and peers that are down: `notice.rs`.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result};
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab, Mail, MailSink, learn, wait_until};
use nix::{
    libc,
    sys::socket::{setsockopt, sockopt},
};

const LIMIT: Duration = Duration::from_secs(20);

/// What `[[notice]]` can name; each has a recipient of its own.
const KINDS: [&str; 6] = ["unanswered", "refused", "unreachable", "stalled", "sick", "peer-down"];

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: lab.test\r\n\r\n";

/// A web server that two clients use.
struct Scene<'lab> {
    lab: &'lab Lab,
    service: SocketAddr,
    nginx: Option<HttpServer>,
    /// Connections that are open all the time.
    open: Vec<TcpStream>,
}

impl Scene<'_> {
    /// Both clients try.
    fn try_all(&self, expected: Attempt) -> Result<()> {
        for client in self.lab.clients() {
            let limit = if expected == Attempt::TimedOut { Duration::from_millis(700) } else { LIMIT };
            assert_eq!(client.connect(None, self.service, limit)?, expected);
        }
        Ok(())
    }

    fn ask_all(&mut self) -> Result<()> {
        self.open.iter_mut().try_for_each(|stream| Ok(stream.write_all(REQUEST)?))
    }
}

/// One way to fail, and the way back.
struct Case {
    kind: &'static str,
    /// As the mail calls it.
    evidence: &'static str,
    syn_timeout: &'static str,
    fail: fn(&mut Scene<'_>) -> Result<()>,
    recover: fn(&mut Scene<'_>) -> Result<()>,
}

fn speak_again(scene: &mut Scene<'_>) -> Result<()> {
    scene.lab.server(1).speak_again()
}

const CASES: [Case; 4] = [
    Case {
        kind: "unanswered",
        evidence: "unanswered",
        syn_timeout: "500ms",
        fail: |scene| {
            scene.lab.server(1).fall_silent()?;
            scene.try_all(Attempt::TimedOut)
        },
        recover: |scene| {
            speak_again(scene)?;
            scene.try_all(Attempt::Connected)
        },
    },
    Case {
        kind: "refused",
        evidence: "refused",
        syn_timeout: "500ms",
        fail: |scene| {
            scene.nginx = None;
            scene.try_all(Attempt::Refused)
        },
        recover: |scene| {
            scene.nginx = Some(HttpServer::start(scene.lab.server(1), 80)?);
            scene.try_all(Attempt::Connected)
        },
    },
    Case {
        kind: "unreachable",
        evidence: "host-unreachable",
        // Only the gateway's own ICMP can be the evidence.
        syn_timeout: "60s",
        fail: |scene| {
            scene.lab.server(1).link_down()?;
            scene.try_all(Attempt::Unreachable)
        },
        recover: |scene| {
            scene.lab.server(1).link_up()?;
            scene.try_all(Attempt::Connected)
        },
    },
    Case {
        kind: "stalled",
        evidence: "stalled",
        syn_timeout: "2s",
        fail: |scene| {
            scene.lab.server(1).fall_silent()?;
            scene.ask_all()
        },
        recover: |scene| {
            // What they sent again and was answered would be taken back: they give up first.
            for stream in scene.open.drain(..) {
                setsockopt(&stream, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
            }
            speak_again(scene)?;
            scene.try_all(Attempt::Connected)
        },
    },
];

fn wait_for_mails(sink: &MailSink, daemon: &Daemon<'_>, count: usize) -> Result<Vec<Mail>> {
    wait_until(&format!("{count} mails"), LIMIT, || sink.mails().is_ok_and(|mails| mails.len() >= count))
        .with_context(|| daemon.log())?;
    sink.mails()
}

// proves: B-1a
#[test]
fn each_kind_of_failure_is_mailed_to_those_who_want_it_at_its_opening_and_at_its_end() -> Result<()> {
    for Case { kind, evidence, syn_timeout, fail, recover } in CASES {
        let lab = Lab::builder().clients(2).build()?;
        let service = lab.server(1).service_v4(80);
        let sink = MailSink::start(lab.gateway(), 2525)?;
        let config = DaemonConfig::new()
            .text("watch.syn_timeout", syn_timeout)
            .set("watch.established", "true")
            .text("notify.smtp", &sink.url());
        let config = KINDS.iter().fold(config, |config, kind| {
            config.table(&format!(
                "[[notice]]\nto = ['{kind}@lab.test']\nevidence = ['{kind}']\ngather = '0s'\npause = '0s'"
            ))
        });
        let daemon = Daemon::start(lab.gateway(), config)?;
        let nginx = Some(HttpServer::start(lab.server(1), 80)?);
        learn(&daemon, lab.client(1), service)?;
        let mut scene = Scene { lab: &lab, service, nginx, open: Vec::new() };
        for client in lab.clients() {
            let mut stream = client.enter(|| TcpStream::connect_timeout(&service, LIMIT))??;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.write_all(REQUEST)?;
            assert_ne!(stream.read(&mut [0; 4096])?, 0);
            scene.open.push(stream);
        }
        if kind != "stalled" {
            scene.open.clear();
        }
        fail(&mut scene).with_context(|| kind)?;
        wait_for_mails(&sink, &daemon, 1)?;
        daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 2).with_context(|| kind)?;
        recover(&mut scene).with_context(|| kind)?;
        let mails = wait_for_mails(&sink, &daemon, 2)?;
        assert_eq!(mails.len(), 2, "{mails:#?}");
        assert!(mails.iter().all(|mail| mail.to() == Some(format!("{kind}@lab.test"))), "{mails:#?}");
        assert_eq!(mails[0].header("Subject"), Some(format!("Ringback: {service} is down: {evidence}")), "{mails:#?}");
        assert_eq!(mails[1].header("Subject"), Some(format!("Ringback: {service} is back")), "{mails:#?}");
        assert!(mails[1].text.contains("\nWaiting:   2 clients\n"), "{mails:#?}");
        daemon.wait_for(&["status"], LIMIT, |status| status["outbox"]["delivered"] == 2)?;
    }
    Ok(())
}
