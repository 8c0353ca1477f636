//! `ringback check`: everything that the start would fail at, and more, in one look.

use std::{
    fs::{self, Permissions},
    io,
    net::{TcpListener, UdpSocket},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output},
};

use anyhow::{Context, Result};
use lab::{Authority, Daemon, DaemonConfig, Host, Lab};

/// The exit status and the lines of `ringback check` of this configuration; `FOLDER` in it is the lab's folder.
fn check(lab: &Lab, host: &Host, config: &str) -> Result<(Option<i32>, Vec<String>)> {
    checked_by(lab, host.command(lab::program()?), config)
}

fn checked_by(lab: &Lab, mut ringback: Command, config: &str) -> Result<(Option<i32>, Vec<String>)> {
    let folder = lab.folder().display().to_string();
    let file = lab.folder().join("check.toml");
    fs::write(&file, config.replace("FOLDER", &folder))?;
    let Output { status, stderr, .. } = ringback.args(["check", "--config"]).arg(&file).output()?;
    let text = String::from_utf8(stderr)?.replace(&format!("{folder}/"), "");
    let text = text.strip_prefix("ringback: ").unwrap_or(&text);
    Ok((status.code(), text.lines().map(str::to_owned).collect()))
}

/// The lines are exactly these, in this order, by their beginnings.
fn assert_lines(lines: &[String], expected: &[&str]) {
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{expected}\n{lines:#?}");
    }
}

// proves: U-7
#[test]
fn every_mistake_in_the_text_in_its_files_and_around_it_is_named_once_in_the_files_order() -> Result<()> {
    let lab = Lab::builder().build()?;
    let gateway = lab.gateway();
    let client = gateway.interfaces().first().context("the gateway has no interface")?;
    let _xdp = gateway.xdp_pass(client)?;
    let expired = Authority::new(gateway, "authority")?.expired()?;
    // Sockets stay in the namespace that they were opened in.
    let take = || Ok::<_, io::Error>((UdpSocket::bind("127.0.0.1:162")?, TcpListener::bind("127.0.0.1:9090")?));
    let _taken = gateway.enter(take)??;
    fs::write(lab.folder().join("file"), "")?;
    fs::write(lab.folder().join("short"), "secret")?;
    fs::set_permissions(lab.folder().join("short"), Permissions::from_mode(0o600))?;
    let config = format!(
        "[watch]
syn_timeot = '3s'
pending = 5
interfaces = ['{client}', 'eth8', 'eth9']
pin_dir = 'FOLDER/pins'
hook = 'native'
[recovery]
trap_listen = '127.0.0.1:162'
signal_listen = '192.0.2.99:8099'
signal_secret_file = 'FOLDER/short'
probe = '5s'
[notify]
smtp = 'mail:25'
language = 'fr'
[standin]
enabled = true
[[standin.tls]]
certificate = '{}'
key = '{}'
[store]
state_dir = 'FOLDER/file/state'
[control]
socket = 'FOLDER/control.sock'
metrics_listen = '127.0.0.1:9090'
[[address]]
client = '10.0.0.1'
mail = 'nobody'
",
        expired.certificate.display(),
        expired.key.display()
    );
    let (status, lines) = check(&lab, gateway, &config)?;
    assert_eq!(status, Some(2));
    assert_lines(
        &lines,
        &[
            "check.toml:2: watch.syn_timeot: there is no key `syn_timeot` here; did you mean `syn_timeout`?",
            "check.toml:3: watch.pending: 5 is out of range: write 1024 to 8388608",
            "check.toml:4: watch.interfaces: there is no interface `eth8`: this host has lo, ",
            "check.toml:4: watch.interfaces: there is no interface `eth9`: this host has lo, ",
            &format!("check.toml:4: watch.interfaces: {client} already has an XDP program: `?` (id "),
            "check.toml:5: watch.pin_dir: pins is not on a BPF file system",
            "check.toml:8: recovery.trap_listen: UDP port 162 on 127.0.0.1 is taken: stop what listens there",
            "check.toml:9: recovery.signal_listen: cannot listen on 192.0.2.99:8099: Cannot assign requested address",
            "check.toml:10: recovery.signal_secret_file: the secret in short is shorter than 16 characters",
            "check.toml:13: notify.smtp: `mail:25`: no scheme: write smtp://host:25",
            "check.toml:14: notify.language: unknown variant `fr`, expected `en` or `ja`",
            "check.toml:18: standin.tls[0].certificate: gateway/authority/expired.pem",
            "check.toml:21: store.state_dir: cannot make file/state: ",
            "check.toml:24: control.metrics_listen: TCP port 9090 on 127.0.0.1 is taken",
            "check.toml:27: address[0].mail: `nobody` is not a mail address",
        ],
    );
    Ok(())
}

// proves: U-7
#[test]
fn each_missing_right_is_named_with_what_it_is_needed_for() -> Result<()> {
    let lab = Lab::builder().build()?;
    let gateway = lab.gateway();
    let client = gateway.interfaces().first().context("the gateway has no interface")?;
    let config = format!(
        "watch.interfaces = ['{client}']
control.socket = 'FOLDER/c.sock'
store.state_dir = 'FOLDER/state'
[[guard]]
port = 80
[[guard.check]]
tcp = '127.0.0.1:80'
"
    );
    let without = |rights: &str| -> Result<_> {
        let mut ringback = gateway.command("setpriv");
        ringback.args(["--bounding-set", rights, "--inh-caps", "-all", "--"]).arg(lab::program()?);
        checked_by(&lab, ringback, &config)
    };
    let (status, lines) = without("-bpf,-sys_admin,-perfmon,-net_admin,-net_raw")?;
    assert_eq!(status, Some(2));
    assert_lines(
        &lines,
        &[
            "check.toml: CAP_BPF is missing, which is needed to load eBPF programs: run as root",
            "check.toml: CAP_NET_ADMIN is missing, which is needed to attach",
            "check.toml: CAP_PERFMON is missing",
            "check.toml: CAP_NET_RAW is missing, which is needed for the refusals of guards",
        ],
    );
    assert_lines(&without("-net_raw")?.1, &["check.toml: CAP_NET_RAW is missing"]);
    // CAP_SYS_ADMIN includes what was split off from it.
    assert_lines(&without("-bpf,-perfmon")?.1, &[]);
    Ok(())
}

// proves: U-7
#[test]
fn what_the_daemon_itself_has_is_no_mistake_and_a_relay_needs_nothing_of_the_kernel() -> Result<()> {
    let lab = Lab::builder().build()?;
    let gateway = lab.gateway();
    let config = DaemonConfig::new()
        .text("recovery.trap_listen", "127.0.0.1:162")
        .text("control.metrics_listen", "127.0.0.1:9090");
    let daemon = Daemon::start(gateway, config)?;
    let output = daemon.ringback(&["check"])?;
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");

    fs::write(lab.folder().join("key"), "a key of thirty-two characters, surely")?;
    fs::set_permissions(lab.folder().join("key"), Permissions::from_mode(0o600))?;
    let relay = "watch.interfaces = ['eth9']
control.socket = 'FOLDER/c.sock'
store.state_dir = 'FOLDER/relay'
[[gateway]]
name = 'gw'
keys = [{ id = 'k', file = 'FOLDER/key' }]
";
    let mut unprivileged = lab.server(1).command("setpriv");
    unprivileged.args(["--bounding-set", "-all", "--inh-caps", "-all", "--"]).arg(lab::program()?);
    let (status, lines) = checked_by(&lab, unprivileged, relay)?;
    assert_eq!((status, lines), (Some(0), Vec::new()));
    // Traps of servers make it look into its mailbox.
    let taken = lab.server(1).enter(|| UdpSocket::bind("127.0.0.1:162"))??;
    let (status, lines) = check(&lab, lab.server(1), &format!("recovery.trap_listen = '127.0.0.1:162'\n{relay}"))?;
    assert_lines(&lines, &["check.toml:1: recovery.trap_listen: UDP port 162 on 127.0.0.1 is taken"]);
    assert_eq!(status, Some(2));
    drop(taken);
    Ok(())
}
