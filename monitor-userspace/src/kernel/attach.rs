//! Attaching to interfaces: links that are pinned, so that they outlive the daemon, and that are taken over by the next
//! one without a gap.

use std::{collections::HashSet, iter, path::Path};

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
    interface, pins,
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

/// Attaches to each of `interfaces`, and detaches from all others that an earlier daemon was attached to.
pub(super) async fn attach(
    ebpf: &mut Ebpf,
    watch: &Watch,
    interfaces: &[String],
) -> Result<Vec<Attached>, KernelError> {
    if interfaces.is_empty() {
        return Err(KernelError::NoInterface);
    }
    let mut indexed = Vec::with_capacity(interfaces.len());
    for name in interfaces {
        indexed.push((name, interface::index(name)?));
    }
    let pin_dir = &watch.pin_dir;
    let wanted: HashSet<_> = indexed
        .iter()
        .flat_map(|(_, index)| {
            let egress = [pins::egress_path(pin_dir, *index), pins::filter_path(pin_dir, *index)];
            iter::once(pins::xdp_path(pin_dir, *index)).chain(egress.into_iter().filter(|_| watch.egress))
        })
        .collect();
    let mut attached = Vec::with_capacity(indexed.len());
    for (name, ifindex) in indexed {
        let mode = ingress(ebpf, watch, name, ifindex).await?;
        let tc = if watch.egress { egress(ebpf, pin_dir, name, ifindex).await? } else { TcMode::Off };
        tracing::info!(interface = name, ?mode, ?tc, "watching");
        attached.push(Attached { name: name.clone(), ifindex, mode, tc });
    }
    for pin in pins::present(pin_dir)? {
        if pins::is_attachment(&pin) && !wanted.contains(&pin) {
            pins::remove(&pin)?;
            tracing::info!(pin = %pin.display(), "no longer watching");
        }
    }
    Ok(attached)
}

async fn egress(ebpf: &mut Ebpf, pin_dir: &Path, name: &str, ifindex: u32) -> Result<TcMode, KernelError> {
    let program: &mut SchedClassifier = ebpf
        .program_mut(program::EGRESS)
        .ok_or(KernelError::ProgramMissing(program::EGRESS))?
        .try_into()
        .map_err(|source| KernelError::program(program::EGRESS, source))?;
    let place = FilterPlace {
        program: program::EGRESS,
        how: "tc egress",
        side: TcAttachType::Egress,
        interface: name,
        ifindex,
        link: pins::egress_path(pin_dir, ifindex),
        filter: pins::filter_path(pin_dir, ifindex),
    };
    tc::attach(program, &place).await
}

async fn ingress(ebpf: &mut Ebpf, watch: &Watch, name: &str, ifindex: u32) -> Result<XdpMode, KernelError> {
    let xdp: &mut Xdp = ebpf
        .program_mut(program::INGRESS)
        .ok_or(KernelError::ProgramMissing(program::INGRESS))?
        .try_into()
        .map_err(|source| KernelError::program(program::INGRESS, source))?;
    let pin = pins::xdp_path(&watch.pin_dir, ifindex);
    if let Some(old) = pinned(name, &pin)? {
        let link = XdpLink::try_from(old).map_err(|error| refused(name, "pinned XDP link", link_reason(&error)))?;
        match xdp.attach_to_link(link) {
            Ok(id) => {
                // The pin keeps the link; ours is only closed.
                drop(xdp.take_link(id).map_err(|source| KernelError::program(program::INGRESS, source))?);
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
                let link = xdp.take_link(id).map_err(|source| KernelError::program(program::INGRESS, source))?;
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
