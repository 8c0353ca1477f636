//! Metrics of other hosts and of shared addresses.

use monitor_core::heartbeat::wire::Mode;
use prometheus_client::registry::Registry;

use super::{counters, gauges};
use crate::{
    peer::{PeerLine, PeersReport},
    standby::GroupLine,
};

pub(super) fn register(registry: &mut Registry, report: &PeersReport) {
    let of_peers = |value: fn(&PeerLine) -> Option<u64>| {
        report.peers.iter().filter_map(move |peer| Some((vec![("peer", peer.name.clone())], value(peer)?)))
    };
    let heard = |peer: &PeerLine| Some(u64::from(peer.reachable));
    gauges(registry, "peer_heard", "1 while heartbeats of the host come, else 0", of_peers(heard));
    let up = |peer: &PeerLine| peer.watch.as_ref().map(|watch| u64::from(watch.state.is_up()));
    gauges(registry, "peer_up", "1 while the watched host is held for up, else 0", of_peers(up));
    let awaited = |peer: &PeerLine| peer.watch.as_ref().map(|watch| u64::from(watch.awaiting_recovery));
    gauges(registry, "peer_awaiting_recovery", "1 while the watched host's recovery is awaited", of_peers(awaited));
    let paths = report.peers.iter().flat_map(|peer| {
        let labels = |path: &str| vec![("peer", peer.name.clone()), ("path", path.to_owned())];
        peer.paths.iter().map(move |line| (labels(&line.path), u64::from(line.works)))
    });
    gauges(registry, "peer_path_works", "1 while heartbeats come this way, else 0", paths);

    let of_groups = |value: fn(&GroupLine) -> u64| {
        report.groups.iter().map(move |group| (vec![("group", group.group.clone())], value(group)))
    };
    let modes = report.groups.iter().flat_map(|group| {
        [Mode::Undecided, Mode::Active, Mode::Standby].map(|mode| {
            let labels = vec![("group", group.group.clone()), ("mode", mode.word().to_owned())];
            (labels, u64::from(group.mode == mode))
        })
    });
    gauges(registry, "standby_mode", "1 for this host's mode for the shared addresses, 0 for the others", modes);
    let changes = "Changes of this host's mode for the shared addresses";
    counters(registry, "standby_changes", changes, of_groups(|group| group.changes));
    let conflicts = "Claims of the shared addresses by others while this host was active";
    counters(registry, "standby_owner_conflicts", conflicts, of_groups(|group| group.conflicts));
    let stopped = "Questions for and claims of the shared addresses that the closed gate has stopped";
    counters(registry, "standby_gate_stopped", stopped, of_groups(|group| group.stopped));
}
