//! What strangers hold of the listeners for metrics, signals and answers, and what goes on all the same; a daemon that hangs.

use std::{
    fs,
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab::{
    Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, MailSink, curl, learn,
    standin::{config as with_page, failed, url},
    wait_until,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LIMIT: Duration = Duration::from_secs(20);
const MAIL: &str = "sato@example.test";
const SECRET: &str = "0123456789abcdef0123";
const PORTS: [u16; 3] = [9460, 8099, 7412];

/// Every listener that a gateway has on a network, beside the page.
fn config(lab: &Lab, mail: &MailSink) -> Result<DaemonConfig> {
    let secret = lab.gateway().folder().join("secret");
    fs::write(&secret, SECRET)?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    let secret = secret.display().to_string();
    Ok(DaemonConfig::new()
        .text("watch.syn_timeout", "500ms")
        .text("notify.smtp", &mail.url())
        .text("control.metrics_listen", "0.0.0.0:9460")
        .text("recovery.signal_listen", "0.0.0.0:8099")
        .text("recovery.signal_secret_file", &secret)
        .text("heartbeat.answer_listen", "0.0.0.0:7412")
        .text("heartbeat.secret_file", &secret)
        .text("heartbeat.name", "gateway")
        .table(&format!("[[peer]]\nname = 'other'\npaths = ['{}:7411']\nwatch = true", lab.server(2).v4()))
        .address(lab.client(1).v4(), MAIL))
}

/// The gateway's address in the clients' network.
fn gateway(lab: &Lab) -> String {
    let client = lab.client(1).v4().to_string();
    format!("{}.1", client.rsplit_once('.').map_or("", |(network, _)| network))
}

/// One outage from its begin to its mail.
fn outage(lab: &Lab, daemon: &Daemon<'_>, mail: &MailSink) -> Result<()> {
    let service = lab.server(1).service_v4(80);
    let nginx = HttpServer::start(lab.server(1), 80)?;
    learn(daemon, lab.client(1), service)?;
    drop(nginx);
    let told = mail.mails()?.len();
    assert_eq!(lab.client(1).connect(None, service, LIMIT)?, Attempt::Refused);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
    let _nginx = HttpServer::start(lab.server(1), 80)?;
    assert_eq!(lab.client(1).connect(None, service, LIMIT)?, Attempt::Connected);
    wait_until("the mail is there", LIMIT, || mail.mails().is_ok_and(|mails| mails.len() == told + 1))
}

// With the usual limit of 1,024 open files, and with one that is far too low for all that is wanted.
// proves: F-15a F-20
#[test]
fn a_thousand_unfinished_requests_to_each_listener_stop_neither_mail_nor_status() -> Result<()> {
    for files in [1024, 200] {
        let lab = Lab::builder().clients(2).servers(2).addresses_per_client(250).build()?;
        let mail = MailSink::start(lab.gateway(), 2525)?;
        let daemon = Daemon::start_with_files(lab.gateway(), files, config(&lab, &mail)?)?;
        let to = gateway(&lab);
        let targets: Vec<_> = PORTS.iter().map(|port| format!("{to}:{port}")).collect();
        let from: Vec<_> =
            lab.client_addresses(2).into_iter().filter(IpAddr::is_ipv4).map(|ip| ip.to_string()).collect();
        let mut flood = lab.client(2).command("python3");
        flood.args(["-c", include_str!("../src/unfinished.py"), "1000", &targets.join(" "), &from.join(" ")]);
        let flood = lab.client(2).spawn("unfinished", &mut flood)?;
        wait_until("the requests are held", LIMIT, || flood.output().contains("holds"))
            .with_context(|| flood.output())?;
        for _ in 0..3 {
            outage(&lab, &daemon, &mail).with_context(|| format!("{files} files: {}", daemon.log()))?;
            let begin = Instant::now();
            let status = daemon.ringback(&["status"])?;
            assert!(
                status.status.success() && begin.elapsed() < Duration::from_secs(5),
                "{:?}: {status:?}",
                begin.elapsed()
            );
        }
        let open = fs::read_dir(format!("/proc/{}/fd", daemon.id()?))?.count();
        assert!(open < usize::try_from(files)?, "{open} of {files} files are open");
        // Whoever comes from elsewhere is answered; by one who came after thousands it may be displaced once.
        for path in ["9460/metrics", "7412/v1/peers"] {
            let url = format!("http://{to}:{path}");
            wait_until(&format!("{path} is answered"), LIMIT, || {
                curl(lab.client(1), &[&url]).is_ok_and(|seen| seen.status == 200)
            })?;
        }
    }
    Ok(())
}

#[test]
fn a_daemon_that_hangs_ends_every_command_with_one_line() -> Result<()> {
    let lab = Lab::builder().build()?;
    let daemon = Daemon::start(lab.gateway(), DaemonConfig::new())?;
    let id = Pid::from_raw(daemon.id()?.cast_signed());
    kill(id, Signal::SIGSTOP)?;
    let verbs: [&[&str]; 10] = [
        &["status"],
        &["outages"],
        &["waiting"],
        &["waiting", "add", "1", "10.0.0.1"],
        &["services"],
        &["guard"],
        &["peers"],
        &["address", "list"],
        &["address", "add", "10.0.0.1", MAIL],
        &["signal", "10.0.0.1"],
    ];
    let ended = thread::scope(|scope| {
        let running: Vec<_> =
            verbs.iter().map(|verb| scope.spawn(|| daemon.ringback_with(&daemon.config_file(), verb))).collect();
        running
            .into_iter()
            .map(|verb| verb.join().map_err(|_| anyhow::anyhow!("panicked"))?)
            .collect::<Result<Vec<_>>>()
    });
    kill(id, Signal::SIGCONT)?;
    for (verb, output) in verbs.iter().zip(ended?) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{verb:?}: {said}");
        assert!(said.contains("does not answer within 15 s") && said.lines().count() == 1, "{verb:?}: {said}");
    }
    assert!(daemon.ringback(&["status"])?.status.success());
    Ok(())
}

/// Python's client sends all of a body before it reads, as most do.
const POST: &str = r#"
import http.client, sys
address, path, length, expect = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
client = http.client.HTTPConnection(address, timeout=20)
headers = {"Expect": "100-continue"} if expect else {}
client.request("POST", path, body=b"x" * length, headers=headers)
answer = client.getresponse()
print(answer.status, len(answer.read()))
"#;

fn post(from: &Host, address: &str, path: &str, length: usize, expect: &[&str]) -> Result<String> {
    let mut python = from.command("python3");
    let output = python.args(["-c", POST, address, path, &length.to_string()]).args(expect).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok(said.split_whitespace().next().unwrap_or("nothing").to_owned()
        + if output.status.success() { "" } else { &said })
}

// proves: F-28
#[test]
fn a_program_that_posts_a_large_body_to_the_page_sees_the_answer() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, service) = (lab.client(1), lab.server(1).service_v4(80));
    let _daemon = failed(&lab, client, service, with_page())?;
    for length in [0, 100_000, 1_000_000, 10_000_000] {
        for expect in [&[][..], &["expect"]] {
            for _ in 0..3 {
                let seen = post(client, &service.to_string(), "/up", length, expect)?;
                assert_eq!(seen, "503", "{length} bytes, {expect:?}");
            }
        }
    }
    // curl sends nothing of the body before it was asked for it.
    let file = lab.folder().join("body");
    fs::write(&file, vec![b'x'; 10_000_000])?;
    let data = format!("@{}", file.display());
    let seen = curl(client, &["--data-binary", &data, "-H", "Expect: 100-continue", &url(service, "/up")])?;
    assert_eq!((seen.exit, seen.status), (0, 503), "{seen:?}");
    Ok(())
}

#[test]
fn a_body_that_no_listener_wants_does_not_hide_its_answer() -> Result<()> {
    let lab = Lab::builder().servers(2).build()?;
    let mail = MailSink::start(lab.gateway(), 2525)?;
    let _daemon = Daemon::start(lab.gateway(), config(&lab, &mail)?)?;
    for (port, path, status) in [(9460, "/metrics", "405"), (8099, "/v1/recovered", "401"), (7412, "/v1/peers", "405")]
    {
        for length in [100_000, 10_000_000] {
            let seen = post(lab.client(1), &format!("{}:{port}", gateway(&lab)), path, length, &[])?;
            assert!(seen == status || (port == 8099 && seen == "413"), "{port}: {seen}");
        }
    }
    Ok(())
}
