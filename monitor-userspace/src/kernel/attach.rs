//! Attaching to interfaces: links that are pinned, so that they outlive the daemon, and that are taken over by the next
//! one without a gap.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf,
    programs::{
        SchedClassifier, TcAttachType,
        links::{FdLink, LinkError, PinnedLink},
        loaded_programs,
    },
};
use monitor_common::program;
use monitor_core::config::Watch;
use serde::{Deserialize, Serialize};

use super::{
    error::{KernelError, link_reason},
    hook::{self, Hook},
    interface::{self, LinkLayer},
    object, pins,
    selection::{self, Selection},
    tc::{self, FilterPlace, TcMode},
};

/// An interface that is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Its name.
    pub name: String,
    /// Its index.
    pub ifindex: u32,
    /// By which hook what arrives is watched.
    pub ingress: Hook,
    /// How TC egress runs on it.
    pub egress: TcMode,
}

/// An interface that is to be watched, and is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unwatched {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl Unwatched {
    /// One that is not there any more.
    pub(super) fn gone(name: &str) -> Self {
        Self { name: name.to_owned(), reason: "there is no such interface".to_owned() }
    }
}

/// What is watched of what is to be watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attachments {
    pub(super) attached: Vec<Attached>,
    pub(super) unwatched: Vec<Unwatched>,
}

/// Attaches to each interface that is selected, and detaches from all others that an earlier daemon was attached to. What is
/// not there is waited for ([`super::tend`]).
pub(super) async fn attach(ebpf: &mut Ebpf, watch: &Watch) -> Result<Attachments, KernelError> {
    let before = pins::present(&watch.pin_dir)?;
    let attached = attach_all(ebpf, watch).await;
    if attached.is_err() {
        // A start that fails leaves nothing behind that was not there.
        for pin in pins::present(&watch.pin_dir)?.iter().filter(|pin| pins::is_attachment(pin) && !before.contains(pin))
        {
            pins::remove(pin)?;
        }
    }
    attached
}

async fn attach_all(ebpf: &mut Ebpf, watch: &Watch) -> Result<Attachments, KernelError> {
    let Selection { names, missing, twice } = selection::select(watch).await?;
    for (port, controller) in &twice {
        tracing::warn!(port, controller, "both are watched: each packet is looked at twice");
    }
    for missing in &missing {
        tracing::warn!(interface = missing.name, reason = missing.reason, "not watched until it is there");
    }
    let mut all = Attachments { attached: Vec::new(), unwatched: missing };
    for name in &names {
        match attach_one(ebpf, watch, name).await {
            Ok(attached) => all.attached.push(attached),
            // It went away just now.
            Err(KernelError::UnknownInterface { .. }) => all.unwatched.push(Unwatched::gone(name)),
            Err(error) => return Err(error),
        }
    }
    remove_others(watch, &all.attached)?;
    Ok(all)
}

/// Attaches to one interface.
pub(super) async fn attach_one(ebpf: &mut Ebpf, watch: &Watch, name: &str) -> Result<Attached, KernelError> {
    let place = Place { name, ifindex: interface::index(name)?, layer: LinkLayer::of(name)? };
    let ingress = hook::attach(ebpf, watch, &place).await?;
    let egress = if watch.egress { egress(ebpf, &watch.pin_dir, &place).await? } else { TcMode::Off };
    tracing::info!(interface = name, ?ingress, ?egress, layer = ?place.layer, "watching");
    Ok(Attached { name: name.to_owned(), ifindex: place.ifindex, ingress, egress })
}

/// Detaches from all other interfaces and hooks, and forgets those that are gone.
pub(super) fn remove_others(watch: &Watch, attached: &[Attached]) -> Result<(), KernelError> {
    let pin_dir = &watch.pin_dir;
    let wanted: HashSet<_> = attached
        .iter()
        .flat_map(|Attached { ifindex, ingress, .. }| {
            let egress = [program::EGRESS, program::EGRESS_IP].map(|name| pins::filter_path(pin_dir, name, *ifindex));
            let egress = egress.into_iter().chain([pins::egress_path(pin_dir, *ifindex)]);
            hook::pins_of(*ingress, pin_dir, *ifindex).into_iter().chain(egress.filter(|_| watch.egress))
        })
        .collect();
    for pin in pins::present(pin_dir)? {
        if pins::is_attachment(&pin) && !wanted.contains(&pin) {
            pins::remove(&pin)?;
            tracing::info!(pin = %pin.display(), "no longer watching");
        }
    }
    Ok(())
}

/// Why the programs are not on an interface any more that they were put on; `None`: they are.
pub(super) async fn what_is_missing(ebpf: &Ebpf, attached: &Attached) -> Option<String> {
    let Attached { name, ifindex, ingress, egress } = attached;
    match interface::index(name) {
        Err(_) => return Some("there is no such interface".to_owned()),
        Ok(now) if now != *ifindex => return Some("it was made again".to_owned()),
        Ok(_) => {}
    }
    let layer = match LinkLayer::of(name) {
        Ok(layer) => layer,
        Err(error) => return Some(error.to_string()),
    };
    let place = Place { name, ifindex: *ifindex, layer };
    if let Some(missing) = hook::what_is_missing(ebpf, *ingress, &place).await {
        return Some(missing);
    }
    let wanted = egress_program(layer);
    let program = ebpf.program(wanted).and_then(|program| <&SchedClassifier>::try_from(program).ok());
    let Some(program) = program else { return Some("its TC program is not loaded".to_owned()) };
    let place = place.filter(wanted, "tc egress", TcAttachType::Egress);
    (!tc::is_there(program, *egress, &place).await).then(|| "its TC egress program was taken off".to_owned())
}

/// An interface that programs are put on.
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) ifindex: u32,
    pub(super) layer: LinkLayer,
}

impl<'a> Place<'a> {
    /// Where a TC program of ours is, without what keeps it there.
    pub(super) fn filter(&self, program: &'static str, how: &'static str, side: TcAttachType) -> FilterPlace<'a> {
        FilterPlace {
            program,
            how,
            side,
            interface: self.name,
            ifindex: self.ifindex,
            after: None,
            link: PathBuf::new(),
            filter: PathBuf::new(),
        }
    }
}

const fn egress_program(layer: LinkLayer) -> &'static str {
    match layer {
        LinkLayer::Ethernet => program::EGRESS,
        LinkLayer::None => program::EGRESS_IP,
    }
}

async fn egress(ebpf: &mut Ebpf, pin_dir: &Path, place: &Place<'_>) -> Result<TcMode, KernelError> {
    let wanted = egress_program(place.layer);
    let filter = FilterPlace {
        link: pins::egress_path(pin_dir, place.ifindex),
        filter: pins::filter_path(pin_dir, wanted, place.ifindex),
        ..place.filter(wanted, "tc egress", TcAttachType::Egress)
    };
    tc::attach(object::classifier(ebpf, wanted)?, &filter).await
}

/// The link that is pinned there, if one is.
pub(super) fn pinned(interface: &str, pin: &Path) -> Result<Option<FdLink>, KernelError> {
    match PinnedLink::from_pin(pin) {
        Ok(link) => Ok(Some(FdLink::from(link))),
        Err(LinkError::SyscallError(error)) if error.io_error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refused(interface, "pinned link", link_reason(&error))),
    }
}

pub(super) fn pin_link(link: FdLink, pin: &Path) -> Result<(), KernelError> {
    link.pin(pin).map(drop).map_err(|error| KernelError::Pin {
        what: "make",
        path: pin.to_path_buf(),
        source: std::io::Error::other(error.to_string()),
    })
}

/// The XDP program of somebody else that keeps ours off an interface where nothing but XDP will do; one that an earlier
/// daemon has left is ours.
pub async fn occupant(watch: &Watch, name: &str) -> Option<KernelError> {
    let ifindex = interface::index(name).ok()?;
    let is_ours = pins::xdp_path(&watch.pin_dir, ifindex).exists();
    if is_ours || !hook::needs_xdp(watch) { None } else { occupied(name, ifindex).await }
}

pub(super) async fn occupied(name: &str, ifindex: u32) -> Option<KernelError> {
    let id = interface::xdp_on(ifindex).await?.program;
    let occupant = loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.id() == id)
        .and_then(|program| program.name_as_str().filter(|name| !name.is_empty()).map(str::to_owned))
        .unwrap_or_else(|| "?".to_owned());
    Some(KernelError::Occupied { interface: name.to_owned(), name: occupant, id })
}

pub(super) fn refused(interface: &str, how: &'static str, reason: String) -> KernelError {
    KernelError::Attach { interface: interface.to_owned(), how, reason }
}
