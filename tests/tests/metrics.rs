//! What Prometheus reads of peers, shared addresses and guards.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use lab::{AppServer, Attempt, Cluster, Daemon, FrameSocket, Ways, cluster::settled, wait_until};
use monitor_core::standby::announcement;

const LIMIT: Duration = Duration::from_secs(15);
const METRICS: u16 = 9460;
const GUARDED: u16 = 8080;

/// Samples by name and labels.
fn metrics(cluster: &Cluster, number: u8) -> Result<BTreeMap<String, u64>> {
    let host = cluster.host(number);
    let fetched = host.fetch_path(host.service_v4(METRICS), "/metrics", LIMIT)?;
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    };
    anyhow::ensure!(fetched.body.ends_with("# EOF\n"), "{fetched:?}");
    Ok(fetched.body.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
}

/// Waits until all of these samples are there with these values.
fn shows(cluster: &Cluster, number: u8, wanted: &[(&str, u64)]) -> Result<()> {
    let met = wait_until("the metrics say so", LIMIT, || {
        metrics(cluster, number)
            .is_ok_and(|metrics| wanted.iter().all(|(name, value)| metrics.get(*name) == Some(value)))
    });
    met.with_context(|| format!("{:#?}", metrics(cluster, number)))
}

// proves: H-3a H-4 D-1
#[test]
fn metrics_show_peers_shared_addresses_and_guards() -> Result<()> {
    let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
    let app = AppServer::start(cluster.host(1), GUARDED)?;
    let start = |number: u8| {
        let group = format!("[[standby.group]]\nname = 'web'\naddresses = ['10.9.0.50']\npriority = {number}\n");
        let guard = format!("[[guard]]\nport = {GUARDED}\n[[guard.check]]\nhttp = '127.0.0.1:{GUARDED}/health'\n");
        let config =
            cluster.config(number, Ways::Both, "watch = true\nrunning_every = '200ms'\njudge_every = '600ms'")?;
        let config = config
            .text("standby.interface", "eth0")
            .text("standby.beat", "100ms")
            .text("control.metrics_listen", &cluster.host(number).service_v4(METRICS).to_string());
        Daemon::start(cluster.host(number), config.table(&group).table(&guard))
    };
    let (first, mut second) = (start(1)?, start(2)?);
    wait_until("the first is active", LIMIT, || settled(std::slice::from_ref(&first), 1).is_ok())?;
    let back = "ringback_peer_path_works{peer=\"host2\",path=\"10.8.0.2:7411\"}";
    shows(
        &cluster,
        1,
        &[
            ("ringback_peer_heard{peer=\"host2\"}", 1),
            ("ringback_peer_up{peer=\"host2\"}", 1),
            ("ringback_peer_awaiting_recovery{peer=\"host2\"}", 0),
            (back, 1),
            ("ringback_standby_mode{group=\"web\",mode=\"active\"}", 1),
            ("ringback_standby_mode{group=\"web\",mode=\"standby\"}", 0),
            ("ringback_standby_changes_total{group=\"web\"}", 1),
            ("ringback_standby_owner_conflicts_total{group=\"web\"}", 0),
            ("ringback_guard_sick{port=\"8080\"}", 0),
            ("ringback_guard_checks_total{port=\"8080\"}", 0),
        ],
    )?;
    shows(&cluster, 2, &[("ringback_standby_mode{group=\"web\",mode=\"standby\"}", 1)])?;
    // A way is cut, a stranger claims the address, a client finds the application well and then sick.
    cluster.cut("back1")?;
    let claim = announcement::frames([10, 9, 0, 50].into(), [2, 0, 0, 0, 0, 9]).remove(0);
    let stranger: FrameSocket = cluster.lab().switch().context("a switch")?.frame_socket("br0")?;
    stranger.send(&claim)?;
    let guarded = cluster.host(1).service_v4(GUARDED);
    assert_eq!(cluster.client().connect(None, guarded, LIMIT)?, Attempt::Connected);
    shows(
        &cluster,
        1,
        &[("ringback_guard_open{port=\"8080\"}", 0), ("ringback_guard_checks_total{port=\"8080\"}", 1)],
    )?;
    app.answers("503")?;
    assert_eq!(cluster.client().connect(None, guarded, LIMIT)?, Attempt::Refused);
    shows(
        &cluster,
        1,
        &[
            (back, 0),
            ("ringback_standby_owner_conflicts_total{group=\"web\"}", 1),
            ("ringback_guard_sick{port=\"8080\"}", 1),
            ("ringback_guard_admitted_total{port=\"8080\"}", 1),
            ("ringback_guard_refused_total{port=\"8080\"}", 1),
            ("ringback_guard_held{port=\"8080\"}", 0),
        ],
    )?;
    second.kill9()?;
    shows(
        &cluster,
        1,
        &[
            ("ringback_peer_heard{peer=\"host2\"}", 0),
            ("ringback_peer_up{peer=\"host2\"}", 0),
            ("ringback_peer_awaiting_recovery{peer=\"host2\"}", 1),
        ],
    )
}
