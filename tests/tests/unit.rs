//! The daemon with exactly the capabilities of the shipped systemd unit and its files for each role (G-9, H-10).

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};
use lab::{
    AppServer, Attempt, Cluster, Daemon, DaemonConfig, HttpServer, Lab, Ways,
    cluster::settled,
    guarded::{self, PORT},
};

const LIMIT: Duration = Duration::from_secs(15);

/// `CapabilityBoundingSet=` of the unit and these files of `ringback.service.d`: systemd adds them up.
fn capabilities(roles: &[&str]) -> Result<String> {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?.join("packaging");
    let files = roles.iter().map(|role| packaging.join("ringback.service.d").join(format!("{role}.conf")));
    let mut all = BTreeSet::new();
    for file in files.chain([packaging.join("ringback.service")]) {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let sets = text.lines().filter_map(|line| line.strip_prefix("CapabilityBoundingSet="));
        all.extend(sets.flat_map(str::split_whitespace).map(str::to_owned));
    }
    Ok(all.into_iter().collect::<Vec<_>>().join(" "))
}

/// What a plain gateway does: silence, refusal, a probe and a trap's port below 1024.
fn watches() -> Result<()> {
    let lab = Lab::new()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let config = DaemonConfig::new()
        .text("watch.syn_timeout", "300ms")
        .text("recovery.probe", "1s")
        .text("recovery.trap_listen", "127.0.0.1:162");
    let daemon = Daemon::start_with(lab.gateway(), &capabilities(&[])?, config)?;
    let service = server.service_v4(80);
    let nginx = HttpServer::start(server, 80)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["services"], LIMIT, |services| services.to_string().contains(&service.to_string()))?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
    let _nginx = HttpServer::start(server, 80)?;
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 0 && status["health"] == "ok")?;
    Ok(())
}

/// A sick server refuses in its own name.
fn guards() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let app = AppServer::start(server, PORT)?;
    let _daemon = Daemon::start_with(server, &capabilities(&["guard"])?, guarded::config(&lab, "end = 'fin'"))?;
    assert_eq!(client.connect(None, server.service_v4(PORT), LIMIT)?, Attempt::Connected);
    app.answers("503")?;
    assert_eq!(client.connect(None, server.service_v4(PORT), LIMIT)?, Attempt::Refused);
    Ok(())
}

/// Two hosts share addresses, with a way by the data link.
fn shares() -> Result<()> {
    let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
    let granted = capabilities(&["standby"])?;
    let start = |number| {
        let config = cluster.standby(number, Ways::FrontAndLink, "50ms")?;
        Daemon::start_with(cluster.host(number), &granted, config)
    };
    let daemons = cluster.numbers().map(start).collect::<Result<Vec<_>>>()?;
    settled(&daemons, 1)?;
    assert!(daemons[0].ringback(&["standby", "hand-over"])?.status.success());
    settled(&daemons, 2)
}

// proves: F-6
#[test]
fn each_role_runs_with_the_capabilities_of_its_unit() -> Result<()> {
    watches()?;
    guards()?;
    shares()
}

// proves: U-7
#[test]
fn a_role_without_its_capabilities_does_not_start() -> Result<()> {
    let lab = Lab::builder().build()?;
    let started = Daemon::start_with(lab.server(1), &capabilities(&[])?, guarded::config(&lab, "end = 'fin'"));
    let said = format!("{:#}", started.err().context("it started")?);
    for missing in ["CAP_NET_RAW is missing", "CAP_SYS_PTRACE is missing", "ringback.service.d"] {
        assert!(said.contains(missing), "{said}");
    }
    let cluster = Cluster::new(2)?;
    let config = cluster.standby(1, Ways::FrontAndLink, "50ms")?;
    let started = Daemon::start_with(cluster.host(1), &capabilities(&[])?, config);
    let said = format!("{:#}", started.err().context("it started")?);
    assert!(said.contains("CAP_NET_RAW is missing, which is needed to announce shared addresses"), "{said}");
    Ok(())
}
