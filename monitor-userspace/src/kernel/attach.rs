//! Attaching to interfaces: links that are pinned, so that they outlive the daemon, and that are taken over by the next
//! one without a gap.

use std::{
    collections::HashSet,
    iter,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf,
    programs::{
        ProgramError, SchedClassifier, TcAttachType, Xdp,
        links::{FdLink, LinkError, PinnedLink},
        loaded_programs,
        xdp::XdpLink,
    },
};
use monitor_common::program;
use monitor_core::config::{Watch, XdpPreference};
use serde::{Deserialize, Serialize};

use super::{
    error::{KernelError, errno, link_reason, program_reason},
    interface::{self, LinkLayer},
    pins,
    tc::{self, FilterPlace, TcMode},
};

/// How XDP runs on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum XdpMode {
    /// In the driver, before the kernel makes a packet of the frame.
    Native,
    /// In the kernel's generic path: works everywhere, costs more.
    Generic,
    /// Taken over from an earlier daemon as it was.
    Kept,
}

/// An interface that is watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Its name.
    pub name: String,
    /// Its index.
    pub ifindex: u32,
    /// How XDP runs on it.
    pub mode: XdpMode,
    /// How TC egress runs on it.
    pub tc: TcMode,
}

/// An interface that is to be watched, and is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unwatched {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What is watched of what is to be watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attachments {
    pub(super) attached: Vec<Attached>,
    pub(super) unwatched: Vec<Unwatched>,
}

/// Attaches to each of `interfaces`, and detaches from all others that an earlier daemon was attached to. One that is not
/// there is waited for ([`super::tend`]).
pub(super) async fn attach(ebpf: &mut Ebpf, watch: &Watch, interfaces: &[String]) -> Result<Attachments, KernelError> {
    if interfaces.is_empty() {
        return Err(KernelError::NoInterface);
    }
    let mut all = Attachments::default();
    for name in interfaces {
        match attach_one(ebpf, watch, name).await {
            Ok(attached) => all.attached.push(attached),
            Err(error @ KernelError::UnknownInterface { .. }) => {
                tracing::warn!(interface = name, %error, "not watched until it is there");
                all.unwatched.push(Unwatched { name: name.clone(), reason: "there is no such interface".to_owned() });
            }
            Err(error) => return Err(error),
        }
    }
    remove_others(watch, &all.attached)?;
    Ok(all)
}

/// Attaches to one interface.
pub(super) async fn attach_one(ebpf: &mut Ebpf, watch: &Watch, name: &str) -> Result<Attached, KernelError> {
    let place = (interface::index(name)?, LinkLayer::of(name)?);
    let mode = ingress(ebpf, watch, name, place).await?;
    let tc = if watch.egress { egress(ebpf, &watch.pin_dir, name, place).await? } else { TcMode::Off };
    let (ifindex, layer) = place;
    tracing::info!(interface = name, ?mode, ?tc, ?layer, "watching");
    Ok(Attached { name: name.to_owned(), ifindex, mode, tc })
}

/// Detaches from all other interfaces, and forgets those that are gone.
pub(super) fn remove_others(watch: &Watch, attached: &[Attached]) -> Result<(), KernelError> {
    let pin_dir = &watch.pin_dir;
    let wanted: HashSet<_> = attached
        .iter()
        .flat_map(|Attached { ifindex, .. }| {
            let egress = [program::EGRESS, program::EGRESS_IP].map(|name| pins::filter_path(pin_dir, name, *ifindex));
            let egress = egress.into_iter().chain([pins::egress_path(pin_dir, *ifindex)]);
            iter::once(pins::xdp_path(pin_dir, *ifindex)).chain(egress.filter(|_| watch.egress))
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

const fn ingress_program(layer: LinkLayer) -> &'static str {
    match layer {
        LinkLayer::Ethernet => program::INGRESS,
        LinkLayer::None => program::INGRESS_IP,
    }
}

/// Why the programs are not on an interface any more that they were put on; `None`: they are.
pub(super) async fn what_is_missing(ebpf: &Ebpf, attached: &Attached) -> Option<String> {
    let Attached { name, ifindex, tc, .. } = attached;
    match interface::index(name) {
        Err(_) => return Some("there is no such interface".to_owned()),
        Ok(now) if now != *ifindex => return Some("it was made again".to_owned()),
        Ok(_) => {}
    }
    let layer = match LinkLayer::of(name) {
        Ok(layer) => layer,
        Err(error) => return Some(error.to_string()),
    };
    let xdp = ebpf.program(ingress_program(layer)).and_then(|program| <&Xdp>::try_from(program).ok());
    let ours = xdp.and_then(|program| program.info().ok()).map(|info| info.id());
    if interface::xdp_program(*ifindex).await != ours {
        return Some("its XDP program was taken off".to_owned());
    }
    let wanted = egress_program(layer);
    let place = FilterPlace {
        program: wanted,
        how: "tc egress",
        side: TcAttachType::Egress,
        interface: name,
        ifindex: *ifindex,
        link: PathBuf::new(),
        filter: PathBuf::new(),
    };
    let program = ebpf.program(wanted).and_then(|program| <&SchedClassifier>::try_from(program).ok());
    let Some(program) = program else { return Some("its TC program is not loaded".to_owned()) };
    (!tc::is_there(program, *tc, &place).await).then(|| "its TC program was taken off".to_owned())
}

const fn egress_program(layer: LinkLayer) -> &'static str {
    match layer {
        LinkLayer::Ethernet => program::EGRESS,
        LinkLayer::None => program::EGRESS_IP,
    }
}

async fn egress(
    ebpf: &mut Ebpf,
    pin_dir: &Path,
    name: &str,
    (ifindex, layer): (u32, LinkLayer),
) -> Result<TcMode, KernelError> {
    let wanted = egress_program(layer);
    let program: &mut SchedClassifier = ebpf
        .program_mut(wanted)
        .ok_or(KernelError::ProgramMissing(wanted))?
        .try_into()
        .map_err(|source| KernelError::program(wanted, source))?;
    let place = FilterPlace {
        program: wanted,
        how: "tc egress",
        side: TcAttachType::Egress,
        interface: name,
        ifindex,
        link: pins::egress_path(pin_dir, ifindex),
        filter: pins::filter_path(pin_dir, wanted, ifindex),
    };
    tc::attach(program, &place).await
}

async fn ingress(
    ebpf: &mut Ebpf,
    watch: &Watch,
    name: &str,
    (ifindex, layer): (u32, LinkLayer),
) -> Result<XdpMode, KernelError> {
    let wanted = ingress_program(layer);
    let xdp: &mut Xdp = ebpf
        .program_mut(wanted)
        .ok_or(KernelError::ProgramMissing(wanted))?
        .try_into()
        .map_err(|source| KernelError::program(wanted, source))?;
    let pin = pins::xdp_path(&watch.pin_dir, ifindex);
    if let Some(old) = pinned(name, &pin)? {
        let link = XdpLink::try_from(old).map_err(|error| refused(name, "pinned XDP link", link_reason(&error)))?;
        match xdp.attach_to_link(link) {
            Ok(id) => {
                // The pin keeps the link; ours is only closed.
                drop(xdp.take_link(id).map_err(|source| KernelError::program(wanted, source))?);
                return Ok(XdpMode::Kept);
            }
            // The interface went away and another has its index now: the link is dead.
            Err(_) => pins::remove(&pin)?,
        }
    }
    let modes: &[XdpMode] = match watch.xdp {
        XdpPreference::Auto => &[XdpMode::Native, XdpMode::Generic],
        XdpPreference::Native => &[XdpMode::Native],
        XdpPreference::Generic => &[XdpMode::Generic],
    };
    let mut last = None;
    for mode in modes {
        let (flags, how) = match mode {
            XdpMode::Generic => (aya::programs::XdpMode::Skb, "generic XDP"),
            XdpMode::Native | XdpMode::Kept => (aya::programs::XdpMode::Driver, "native XDP"),
        };
        match xdp.attach_to_if_index(ifindex, flags) {
            Ok(id) => {
                let link = xdp.take_link(id).map_err(|source| KernelError::program(wanted, source))?;
                let link = FdLink::try_from(link).map_err(|error| refused(name, how, link_reason(&error)))?;
                pin_link(link, &pin)?;
                return Ok(*mode);
            }
            Err(error) => {
                if let Some(occupant) = occupant_after(&error, name, ifindex).await {
                    return Err(occupant);
                }
                last = Some(refused(name, how, program_reason(&error)));
            }
        }
    }
    Err(last.unwrap_or(KernelError::NoInterface))
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

/// Who sits on the interface, if that is why attaching failed.
async fn occupant_after(error: &ProgramError, name: &str, ifindex: u32) -> Option<KernelError> {
    if !matches!(errno(error), Some(libc::EBUSY | libc::EEXIST)) {
        return None;
    }
    occupied(name, ifindex).await
}

/// The XDP program of somebody else that keeps ours off an interface; one that an earlier daemon has left is ours.
pub async fn occupant(pin_dir: &Path, name: &str) -> Option<KernelError> {
    let ifindex = interface::index(name).ok()?;
    if pins::xdp_path(pin_dir, ifindex).exists() { None } else { occupied(name, ifindex).await }
}

async fn occupied(name: &str, ifindex: u32) -> Option<KernelError> {
    let id = interface::xdp_program(ifindex).await?;
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
