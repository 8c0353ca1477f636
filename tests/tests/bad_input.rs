//! What an operator can do wrong, and the one line that says so.

use std::fs;

use anyhow::Result;
use lab::{Daemon, DaemonConfig, HttpServer, Lab};

/// Runs a second program on the gateway with this configuration and returns its exit status and words.
fn run(daemon: &Daemon<'_>, lab: &Lab, config: &str) -> Result<(Option<i32>, String)> {
    let file = lab.folder().join("other.toml");
    fs::write(&file, config)?;
    let output = daemon.ringback_with(&file, &["run"])?;
    Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

#[test]
fn each_mistake_gets_a_line_that_says_what_where_and_what_to_do() -> Result<()> {
    let lab = Lab::builder().build()?;
    let _nginx = HttpServer::start(lab.server(1), 80)?;
    let config = DaemonConfig::new().text("recovery.trap_listen", "127.0.0.1:162").text("watch.hook", "native");
    let daemon = Daemon::start(lab.gateway(), config)?;
    let folder = lab.folder().display().to_string();
    let own = |more: &str| {
        format!(
            "watch.pin_dir = '/sys/fs/bpf/{}-other'\ncontrol.socket = '{folder}/other.sock'\nstore.state_dir = '{folder}/other'\n{more}",
            lab.name()
        )
    };
    fs::write(lab.folder().join("junk.db"), "this is not a database, but it is long enough to look at")?;
    let pins = daemon.pin_dir().display();
    for (config, status, words) in [
        (
            own("watch.interfaces = ['client1']\nwatch.hook = 'native'"),
            1,
            "client1 already has an XDP program: `rb_ingress` (id ",
        ),
        (own("watch.interface = ['client1']"), 2, "there is no key `interface` here; did you mean `interfaces`?"),
        (own("watch.syn_timeout = 'soon'"), 2, "`soon` is not a duration: write 500ms, 3s, 10m or 24h"),
        (own("watch.interfaces = ['lo']\nstore.url = 'sqlite:FOLDER/junk.db'"), 1, "cannot use the database"),
        (own("watch.interfaces = ['lo']\nrecovery.trap_listen = '10.9.9.9:1162'"), 1, "10.9.9.9:1162"),
        (
            own("watch.interfaces = ['lo']\nrecovery.trap_listen = '127.0.0.1:162'"),
            1,
            "UDP port 162 on 127.0.0.1 is taken",
        ),
        (
            format!(
                "watch.interfaces = ['lo']\nwatch.pin_dir = '{folder}/pins'\ncontrol.socket = '{folder}/o.sock'\nstore.state_dir = '{folder}/o'"
            ),
            1,
            "is not on a BPF file system: mount one",
        ),
    ] {
        let (code, line) = run(&daemon, &lab, &config.replace("FOLDER", &folder))?;
        assert!(line.contains(words) && code == Some(status) && line.lines().count() == 1, "{config}\n{code:?} {line}");
    }
    // The same socket: the one that runs is named, and goes on.
    let output = daemon.ringback(&["run"])?;
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(line.contains("a ringback daemon already answers on"), "{line}");
    assert!(daemon.status().is_ok(), "{pins}");
    Ok(())
}

#[test]
fn check_names_file_line_key_and_the_nearest_valid_name() -> Result<()> {
    let lab = Lab::builder().build()?;
    let daemon = Daemon::start(lab.gateway(), DaemonConfig::new())?;
    let file = lab.folder().join("check.toml");
    for (config, expected) in [
        (
            "[watch]\nsyn_timeot = '3s'\n",
            ":2: watch.syn_timeot: there is no key `syn_timeot` here; did you mean `syn_timeout`?",
        ),
        ("[watch]\n\nservers = ['10.0.0.0/33']\n", ":3: watch.servers: `10.0.0.0/33` is not something to watch"),
        (
            "[outage]\nmin_failures = 0\n",
            ":2: outage.min_failures: is 0, but an outage needs a failure: write 1 or more",
        ),
        ("[notify]\nsmtp = 'mail:25'\n", ":2: notify.smtp: `mail:25`: "),
        ("[[address]]\nclient = '10.0.0.1'\nmail = 'nobody'\n", ":3: address[0].mail: `nobody` is not a mail address"),
    ] {
        fs::write(&file, config)?;
        let output = daemon.ringback_with(&file, &["check"])?;
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(line.contains(&format!("check.toml{expected}")), "{config}{line}");
        assert_eq!(output.status.code(), Some(2));
    }
    let good = daemon.ringback(&["check"])?;
    assert!(good.status.success() && String::from_utf8_lossy(&good.stdout).contains("no mistakes"), "{good:?}");
    Ok(())
}

#[test]
fn without_a_daemon_the_command_line_says_how_to_start_one() -> Result<()> {
    let lab = Lab::builder().build()?;
    let mut daemon = Daemon::start(lab.gateway(), DaemonConfig::new())?;
    daemon.sigterm()?;
    let output = daemon.ringback(&["status"])?;
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3));
    assert!(line.contains("start it with `ringback run`"), "{line}");
    Ok(())
}

#[test]
fn a_database_of_a_newer_version_is_left_alone() -> Result<()> {
    let lab = Lab::builder().build()?;
    let mut daemon = Daemon::start(lab.gateway(), DaemonConfig::new())?;
    daemon.sigterm()?;
    let database = daemon.state_dir().join("ringback.db");
    let mut python = lab.gateway().command("python3");
    let script = "import sqlite3,sys; d=sqlite3.connect(sys.argv[1]); d.execute('update schema_version set version=999'); d.commit()";
    assert!(python.args(["-c", script]).arg(&database).output()?.status.success());
    let output = daemon.ringback(&["run"])?;
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(line.contains("schema version 999") && line.contains("install the newer ringback again"), "{line}");
    assert_eq!(output.status.code(), Some(1));
    Ok(())
}

#[test]
fn the_address_book_is_written_while_no_daemon_runs_and_counts_for_the_next() -> Result<()> {
    let lab = Lab::builder().build()?;
    let mut daemon = Daemon::start(lab.gateway(), DaemonConfig::new())?;
    daemon.sigterm()?;
    let file = lab.folder().join("people.csv");
    fs::write(&file, "10.1.1.1,sato@example.test,ja\n10.1.2.0/24,not an address\n")?;
    let path = file.display().to_string();
    let output = daemon.ringback(&["address", "import", &path])?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains(":2: `not an address` is not a mail address") && text.contains("nothing was"), "{text}");
    assert_eq!(daemon.json(&["address", "list"])?, serde_json::json!([]));
    fs::write(&file, "10.1.1.1,sato@example.test,ja\n10.1.2.0/24,noc@example.test\n")?;
    assert!(daemon.ringback(&["address", "import", &path])?.status.success());
    assert!(daemon.ringback(&["address", "remove", "10.1.2.0/24"])?.status.success());
    daemon.launch()?;
    let lines = daemon.json(&["address", "list"])?;
    assert_eq!(lines.as_array().map(Vec::len), Some(1), "{lines}");
    assert_eq!(lines[0]["mail"], "sato@example.test");
    Ok(())
}

#[test]
fn without_the_right_to_load_programs_a_line_says_which_rights_are_needed() -> Result<()> {
    let lab = Lab::builder().build()?;
    let file = lab.folder().join("own.toml");
    let folder = lab.folder().display();
    let pins = format!("/sys/fs/bpf/{}-rights", lab.name());
    fs::write(
        &file,
        format!(
            "watch.interfaces = ['client1']\nwatch.pin_dir = '{pins}'\ncontrol.socket = '{folder}/r.sock'\nstore.state_dir = '{folder}/r'\n"
        ),
    )?;
    let mut unprivileged = lab.gateway().command("setpriv");
    unprivileged.args(["--bounding-set", "-bpf,-sys_admin,-perfmon,-net_admin", "--inh-caps", "-all", "--"]);
    let output = unprivileged.arg(lab::program()?).args(["run", "--config"]).arg(&file).output()?;
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.contains("CAP_BPF") && line.trim().lines().count() == 1, "{line}");
    Ok(())
}
