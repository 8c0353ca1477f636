//! Interfaces: whether they are there, and whether another XDP program sits on them.

use monitor_core::config::{Config, DEFAULT_ROUTE, FORWARDING, Key, Mistake, Mistakes, PeerPath, is_pattern};

use crate::kernel::{self, KernelError, Selection, Unwatched};

pub(super) async fn look(config: &Config, is_running: bool, mistakes: &mut Mistakes) {
    let present = kernel::existing_interfaces();
    let must_be_there = |key: Key, name: &str, mistakes: &mut Mistakes| {
        if !present.iter().any(|other| other == name) {
            let reason = format!("there is no interface `{name}`");
            mistakes.add(Mistake::new(key, reason, format!("this host has {}", present.join(", "))));
        }
    };
    if let Some(standby) = &config.standby {
        must_be_there("standby.interface".into(), &standby.interface, mistakes);
    }
    for (index, peer) in config.peer.iter().enumerate() {
        for (at, path) in peer.paths.iter().enumerate() {
            if let PeerPath::Link(name) = path {
                must_be_there(Key::from("peer").at(index).to("paths").at(at), name, mistakes);
            }
        }
    }
    let key = || Key::from("watch.interfaces");
    let Selection { names: found, missing, twice } = match kernel::select(&config.watch).await {
        Ok(selected) => selected,
        Err(error) => return mistakes.add(Mistake::new(key(), error.to_string(), "look into the kernel's log")),
    };
    for (port, controller) in twice {
        let reason =
            format!("{port} is a port of {controller}, and both are named: each packet would be looked at twice");
        mistakes.add(Mistake::new(key(), reason, format!("name {controller}, or its ports")));
    }
    for Unwatched { name, reason } in missing {
        if is_pattern(&name) || [DEFAULT_ROUTE, FORWARDING].contains(&name.as_str()) {
            let reason = format!("`{name}` is no interface now: {reason}");
            mistakes.add(Mistake::new(key(), reason, "name interfaces in watch.interfaces"));
        } else if present.contains(&name) {
            mistakes.add(Mistake::plain(key(), format!("{name} is not watched: {reason}")));
        } else {
            must_be_there(key(), &name, mistakes);
        }
    }
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
