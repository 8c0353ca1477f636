//! Interfaces come and go, and programs are taken off them: what is to be watched is looked at again and again, and put
//! right. What cannot be is said.

use aya::Ebpf;
use monitor_core::config::Watch;

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
            tracing::error!(%error, "the interfaces are not looked at");
            return false;
        }
    };
    let mut next = Attachments { attached: Vec::new(), unwatched: missing };
    for name in &names {
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
    if next == *now {
        return false;
    }
    for unwatched in next.unwatched.iter().filter(|unwatched| !now.unwatched.contains(unwatched)) {
        tracing::error!(interface = unwatched.name, reason = unwatched.reason, "not watched");
    }
    *now = next;
    if let Err(error) = attach::remove_others(watch, &now.attached) {
        tracing::error!(%error, "pins of interfaces that are gone stay");
    }
    true
}
