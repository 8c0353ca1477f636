//! Interfaces: whether they are there, and whether another XDP program sits on them.

use std::collections::BTreeSet;

use monitor_core::config::{Config, Key, Mistake, Mistakes, PeerPath};

use crate::kernel::{self, KernelError};

pub(super) async fn look(config: &Config, is_running: bool, mistakes: &mut Mistakes) {
    let present = kernel::existing_interfaces();
    let mut is_there = |key: Key, name: &str| {
        let found = present.iter().any(|other| other == name);
        if !found {
            let reason = format!("there is no interface `{name}`");
            mistakes.add(Mistake::new(key, reason, format!("this host has {}", present.join(", "))));
        }
        found
    };
    if let Some(standby) = &config.standby {
        is_there("standby.interface".into(), &standby.interface);
    }
    for (index, peer) in config.peer.iter().enumerate() {
        for (at, path) in peer.paths.iter().enumerate() {
            if let PeerPath::Link(name) = path {
                is_there(Key::from("peer").at(index).to("paths").at(at), name);
            }
        }
    }
    let key = || Key::from("watch.interfaces");
    let wanted = match kernel::interfaces(&config.watch) {
        Ok(wanted) => wanted,
        Err(_) => {
            let reason = "no interface to watch: there is no default route";
            return mistakes.add(Mistake::new(key(), reason, "name interfaces in watch.interfaces"));
        }
    };
    let mut seen = BTreeSet::new();
    let wanted = wanted.into_iter().filter(|name| seen.insert(name.clone()));
    let found: Vec<_> = wanted.filter(|name| is_there(key(), name)).collect();
    for name in &found {
        if let Err(KernelError::LinkLayer { interface, kind }) = kernel::can_be_read(name) {
            let reason = format!("{interface} is of a kind whose packets cannot be read (link type {kind})");
            let remedy = "name the interface by which clients' packets come as Ethernet frames or IP packets";
            mistakes.add(Mistake::new(key(), reason, remedy));
        }
    }
    for name in found.iter().filter(|_| !is_running) {
        if let Some(KernelError::Occupied { interface, name, id }) = kernel::occupant(&config.watch, name).await {
            let reason = format!("{interface} already has an XDP program: `{name}` (id {id})");
            let remedy = format!(
                "detach it (`bpftool net detach xdp dev {interface}`) or leave {interface} out of watch.interfaces"
            );
            mistakes.add(Mistake::new(key(), reason, remedy));
        }
    }
}
