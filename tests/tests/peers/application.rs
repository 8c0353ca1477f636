//! A host vouches for its application (O-5), and falls silent when that does not work.

use std::{fs, os::unix::fs::PermissionsExt as _};

use anyhow::{Context as _, Result};
use lab::{AppServer, Cluster, HttpServer};
use serde_json::Value;

use super::{mails, sees, start, told};

/// Host 2 vouches for `application`; `stall` and `heal` do that to it.
fn vouches_for(
    cluster: &Cluster,
    application: &str,
    reason: &str,
    stall: impl Fn() -> Result<()>,
    heal: impl Fn() -> Result<()>,
) -> Result<()> {
    let first = start(cluster, 1, "")?;
    let second = start(cluster, 2, &format!("application = '{application}'\n"))?;
    sees(&first, "host2", "running")?;
    stall()?;
    sees(&first, "host2", "down")?;
    sees(&second, "host1", "running")?;
    let trouble = second.json(&["peers"])?["peers"][0]["watch"]["own_trouble"].clone();
    assert!(trouble.as_str().is_some_and(|trouble| trouble.contains(reason)), "{trouble}");
    assert!(second.log().contains(reason), "{}", second.log());
    heal()?;
    sees(&first, "host2", "running")?;
    assert_eq!(second.json(&["peers"])?["peers"][0]["watch"]["own_trouble"], Value::Null);
    assert_eq!(mails(&first, 4)?, [told("host2", "back"), told("host2", "down")].concat());
    Ok(())
}

// proves: O-5c
#[test]
fn an_application_that_hangs_is_not_vouched_for() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let app = AppServer::start(cluster.host(2), 8080)?;
    // What it says before its final answer is none, and counts neither for nor against it.
    app.answers("103+200")?;
    // It still accepts connections: only an answer shows that it lives.
    let application = format!("http://{}/health", cluster.host(2).service_v4(8080));
    vouches_for(&cluster, &application, "no result within 200ms", || app.hang(), || app.go_on())
}

// proves: O-5c
#[test]
fn a_port_that_is_closed_is_not_vouched_for() -> Result<()> {
    let cluster = Cluster::new(2)?;
    let host = cluster.host(2);
    let nginx = std::cell::RefCell::new(Some(HttpServer::start(host, 8080)?));
    let application = format!("tcp:{}", host.service_v6(8080));
    let stop = || {
        nginx.take();
        Ok(())
    };
    let start = || {
        nginx.replace(Some(HttpServer::start(host, 8080)?));
        Ok(())
    };
    vouches_for(&cluster, &application, "does not accept a connection", stop, start)
}

// proves: O-5c
#[test]
fn a_command_that_fails_or_a_unit_that_is_not_active_is_not_vouched_for() -> Result<()> {
    for unit in [false, true] {
        let cluster = Cluster::new(2)?;
        let folder = cluster.host(2).folder();
        let well = folder.join("well");
        fs::write(&well, "")?;
        // A lab's host has no systemd: this answers as `systemctl is-active -- UNIT` does.
        fs::create_dir(folder.join("bin"))?;
        let systemctl = folder.join("bin/systemctl");
        let script = "#!/bin/sh\n[ \"$*\" = 'is-active -- web.service' ] || exit 4\n[ -e WELL ] && echo active && exit 0\n\
                      echo failed; exit 3\n";
        fs::write(&systemctl, script.replace("WELL", &well.display().to_string()))?;
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755))?;
        let (application, reason) = if unit {
            ("unit:web.service".to_owned(), "status 3: failed")
        } else {
            (format!("command:test -e {}", well.display()), "ends with status 1")
        };
        let stall = || fs::remove_file(&well).context("stalling");
        let heal = || fs::write(&well, "").context("healing");
        vouches_for(&cluster, &application, reason, stall, heal)?;
    }
    Ok(())
}
