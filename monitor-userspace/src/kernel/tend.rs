//! Interfaces come and go, and programs are taken off them: what is to be watched is looked at again and again, and put
//! right. What cannot be is said.

use aya::Ebpf;
use monitor_core::config::{DEFAULT_ROUTE, Watch};

use super::{
    attach::{self, Attachments, Unwatched},
    error::KernelError,
    selection::{self, Selection},
};

/// Looks at every interface that is to be watched, and attaches to those where the programs are missing. Returns whether
/// anything has changed.
pub(super) async fn tend(ebpf: &mut Ebpf, watch: &Watch, now: &mut Attachments) -> bool {
    let Selection { names, missing, .. } = match selection::select(watch).await {
        Ok(selection) => selection,
        Err(error) => {
            // Whether they are there is not known: nothing is taken off.
            return say(now, Unwatched { name: "any interface".to_owned(), reason: error.to_string() });
        }
    };
    let mut next = Attachments { attached: Vec::new(), unwatched: missing };
    for name in names.iter().chain(&kept(watch, &names, &next, now)) {
        let known = now.attached.iter().find(|attached| attached.name == *name);
        if let Some(attached) = known {
            match attach::what_is_missing(ebpf, attached).await {
                None => {
                    next.attached.push(attached.clone());
                    continue;
                }
                Some(reason) => tracing::warn!(interface = name, reason, "not watched any more"),
            }
        }
        match attach::attach_one(ebpf, watch, name).await {
            Ok(attached) => next.attached.push(attached),
            Err(KernelError::UnknownInterface { .. }) => next.unwatched.push(Unwatched::gone(name)),
            Err(error) => next.unwatched.push(Unwatched { name: name.clone(), reason: error.to_string() }),
        }
    }
    // Also what is half there: a hook by which only one side is seen invents failures.
    if let Err(error) = attach::remove_others(watch, &next.attached) {
        tracing::error!(%error, "pins of interfaces that are gone stay");
    }
    if next == *now {
        return false;
    }
    for unwatched in next.unwatched.iter().filter(|unwatched| !now.unwatched.contains(unwatched)) {
        tracing::error!(interface = unwatched.name, reason = unwatched.reason, "not watched");
    }
    *now = next;
    true
}

/// A default route may be away for a moment, as when a lease is renewed: what was watched for it is watched until another
/// takes its place.
fn kept(watch: &Watch, names: &[String], next: &Attachments, now: &Attachments) -> Vec<String> {
    let is_away = next.unwatched.iter().any(|unwatched| unwatched.name == DEFAULT_ROUTE);
    let only = watch.interfaces.is_empty() || watch.interfaces == [DEFAULT_ROUTE];
    let attached = now.attached.iter().map(|attached| &attached.name).filter(|name| !names.contains(name));
    if is_away && only { attached.cloned().collect() } else { Vec::new() }
}

/// Says it, once. Returns whether it is new.
fn say(now: &mut Attachments, unwatched: Unwatched) -> bool {
    if now.unwatched.contains(&unwatched) {
        return false;
    }
    tracing::error!(interface = unwatched.name, reason = unwatched.reason, "not watched");
    now.unwatched.push(unwatched);
    true
}
