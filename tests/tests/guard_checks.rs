//! What guards look at (D-1): each kind of check, well and not, with the reason that operators see.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _, time::Duration};

use anyhow::Result;
use lab::{AppServer, Attempt, Daemon, DaemonConfig, Host, HttpServer, Lab, guarded::LIMIT};
use serde_json::Value;

/// Ports of guards whose checks are passed begin here, of those whose checks fail 100 later.
const WELL: u16 = 8100;
const SICK: u16 = WELL + 100;

/// Answers as `systemctl is-active -- UNIT` does on a host where `web.service` runs and nothing else.
const SYSTEMCTL: &str = "#!/bin/sh\n[ \"$1 $2\" = 'is-active --' ] || exit 4\n\
                         [ \"$3\" = web.service ] && echo active && exit 0\necho inactive; exit 3\n";

/// A kind of check: one that is passed, one that is not, and the reason.
type Kind = (String, String, &'static str);

fn kinds(server: &Host) -> Vec<Kind> {
    let file = |name: &str| server.folder().join(name).display().to_string();
    let kind = |well: &str, sick: &str, reason| (well.to_owned(), sick.to_owned(), reason);
    let nginx = server.service_v6(8099);
    let page = format!("http = '{}/'", server.service_v4(8099));
    vec![
        kind(&format!("tcp = '{nginx}'"), "tcp = '127.0.0.1:8098'", "does not accept a connection"),
        kind(&page, &format!("{page}\nstatus = 204"), "answers 200 where 204 is expected"),
        kind("http = '127.0.0.1:8097/health'\nstatus = 503", "http = '127.0.0.1:8097/health'", "answers 503"),
        // What a server says before its final answer is none.
        kind("http = '127.0.0.1:8096/health'", "http = '127.0.0.1:8095/health'", "answers 101 where 200 is expected"),
        kind("command = ['true']", "command = ['sh', '-c', 'echo no table; exit 2']", "ends with status 2: no table"),
        kind("command = ['sleep', '0.1']", "command = ['sleep', '20']\nlimit = '200ms'", "no result within 200ms"),
        kind("unit = 'web.service'", "unit = 'db.service'", "ends with status 3: inactive"),
        kind("disk = '/'\nmin_free_mib = 1", "disk = '/'\nmin_free_mib = 99999999999", "99999999999 needed"),
        kind("max_load = 100000.0", "max_load = 0.0", "at most 0"),
        kind("min_memory_mib = 1", "min_memory_mib = 99999999999", "99999999999 needed"),
        (
            format!("file = '{}'\nmax_age = '1h'", file("fresh")),
            format!("file = '{}'\nmax_age = '1m'", file("old")),
            "at most 1m",
        ),
    ]
}

// proves: D-1 D-3
#[test]
fn each_kind_of_check_lets_clients_in_or_refuses_them_with_its_reason() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let folder = server.folder();
    fs::write(folder.join("fresh"), "")?;
    let old = std::time::SystemTime::now() - Duration::from_secs(600);
    fs::File::create(folder.join("old"))?.set_modified(old)?;
    fs::create_dir(folder.join("bin"))?;
    fs::write(folder.join("bin/systemctl"), SYSTEMCTL)?;
    fs::set_permissions(folder.join("bin/systemctl"), fs::Permissions::from_mode(0o755))?;
    // What the checks ask, besides the guarded ports themselves: both kinds of server.
    let _nginx = HttpServer::start(server, 8099)?;
    let app = AppServer::start(server, 8097)?;
    app.answers("503")?;
    let (early, switching) = (AppServer::start(server, 8096)?, AppServer::start(server, 8095)?);
    early.answers("103+100+102+103+200")?;
    switching.answers("103+101")?;
    // A daemon has room for 16 guards.
    let kinds: Vec<_> = (0..).zip(kinds(server)).collect();
    kinds.chunks(5).try_for_each(|kinds| each_lets_in_or_refuses(client, server, kinds))
}

fn each_lets_in_or_refuses(client: &Host, server: &Host, kinds: &[(u16, Kind)]) -> Result<()> {
    let mut config = DaemonConfig::new();
    let mut listeners = Vec::new();
    for (number, (well, sick, _)) in kinds {
        for (port, check) in [(WELL + number, well), (SICK + number, sick)] {
            config = config.table(&format!("[[guard]]\nport = {port}\nprobe = '30s'\n[[guard.check]]\n{check}"));
            listeners.push(server.enter(|| TcpListener::bind(("::", port)))??);
        }
    }
    let daemon = Daemon::start(server, config)?;
    for (number, (well, sick, reason)) in kinds {
        for v6 in [false, true] {
            let service = |port| if v6 { server.service_v6(port) } else { server.service_v4(port) };
            assert_eq!(client.connect(None, service(WELL + number), LIMIT)?, Attempt::Connected, "{well}");
            assert_eq!(client.connect(None, service(SICK + number), LIMIT)?, Attempt::Refused, "{sick}");
        }
        let guards = daemon.json(&["guard"])?;
        let line = |port: u16| guards.as_array().into_iter().flatten().find(|line| line["port"] == port).cloned();
        let (well, sick) = (line(WELL + number).unwrap_or_default(), line(SICK + number).unwrap_or_default());
        assert_eq!((&well["health"], &well["reason"]), (&Value::from("healthy"), &Value::Null), "{well:#}");
        assert_eq!((&sick["health"], &sick["refused"]), (&Value::from("sick"), &Value::from(2)), "{sick:#}");
        assert!(sick["reason"].as_str().is_some_and(|found| found.contains(reason)), "{reason}: {sick:#}");
        assert!(daemon.log().contains(reason), "{reason}: {}", daemon.log());
    }
    Ok(())
}

// proves: D-1
#[test]
fn checks_of_one_guard_run_side_by_side_and_all_that_fail_are_named() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let _app = AppServer::start(server, WELL)?;
    let slow = "[[guard.check]]\ncommand = ['sleep', '0.3']\n".repeat(4);
    let fail = |word: &str| format!("[[guard.check]]\ncommand = ['sh', '-c', 'echo {word}; exit 1']\n");
    let table = format!("[[guard]]\nport = {WELL}\n{slow}[[guard]]\nport = {SICK}\n{}{}", fail("one"), fail("two"));
    let daemon = Daemon::start(server, DaemonConfig::new().table(&table))?;
    let begin = std::time::Instant::now();
    assert_eq!(client.connect(None, server.service_v4(WELL), LIMIT)?, Attempt::Connected);
    assert!(begin.elapsed() < Duration::from_millis(900), "one after the other: {:?}", begin.elapsed());
    assert_eq!(client.connect(None, server.service_v4(SICK), LIMIT)?, Attempt::Refused);
    let reason = daemon.json(&["guard"])?[1]["reason"].clone();
    assert!(reason.as_str().is_some_and(|text| text.contains("one") && text.contains("two")), "{reason}");
    Ok(())
}
