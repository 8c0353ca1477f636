//! By which hook what arrives on an interface is watched: the one that costs least there.
//!
//! XDP in the driver of a network card sees a frame before the kernel makes a packet of it. On other devices XDP costs more
//! than it must: a program takes segmentation offload away from veth and paravirtual cards, and the generic path looks at
//! each packet by itself (docs/performance.md has the figures). TC ingress sees what the kernel has put together, and shares
//! the interface with other programs.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use aya::{
    Ebpf,
    programs::{
        SchedClassifier, TcAttachType, Xdp,
        links::FdLink,
        xdp::{XdpLink, XdpMode},
    },
};
use monitor_common::program;
use monitor_core::config::{HookPreference, Watch};
use serde::{Deserialize, Serialize};

use super::{
    attach::{Place, occupied, pin_link, pinned, refused},
    error::{KernelError, errno, link_reason, program_reason},
    interface::{self, LinkLayer},
    object, pins,
    tc::{self, FilterPlace, TcMode},
};

/// By which hook what arrives on an interface is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// XDP in the driver, before the kernel makes a packet of the frame.
    Native,
    /// XDP in the kernel's generic path.
    Generic,
    /// TC ingress, by a tcx link.
    Tcx,
    /// TC ingress, by a filter of the `clsact` qdisc: before Linux 6.6.
    Clsact,
}

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Native,
    Generic,
    Tc,
}

/// Drivers of paravirtual cards: a program in them takes offloads away (segments that the host has put together).
const PARAVIRTUAL: [&str; 5] = ["virtio_net", "vmxnet3", "xen-netfront", "vif", "hv_netvsc"];

/// How long the kernel may take to let go of a program whose pin is gone.
const LETS_GO: Duration = Duration::from_secs(2);

/// What to try on an interface, one after the other.
fn choices(watch: &Watch, interface: &str) -> &'static [Choice] {
    match watch.hook {
        HookPreference::Native => &[Choice::Native],
        HookPreference::Generic => &[Choice::Generic],
        HookPreference::Tc => &[Choice::Tc],
        HookPreference::Auto if watch.needs_xdp => &[Choice::Native, Choice::Generic],
        HookPreference::Auto if is_card(interface) => &[Choice::Native, Choice::Tc],
        HookPreference::Auto => &[Choice::Tc],
    }
}

/// Whether the interface is a network card whose driver keeps its offloads beside a program.
fn is_card(interface: &str) -> bool {
    let driver = fs::read_link(format!("/sys/class/net/{interface}/device/driver")).ok();
    let name = driver.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    name.is_some_and(|name| !PARAVIRTUAL.contains(&name.as_str()))
}

/// Whether nothing but XDP will do there.
pub(super) fn needs_xdp(watch: &Watch) -> bool {
    match watch.hook {
        HookPreference::Native | HookPreference::Generic => true,
        HookPreference::Auto => watch.needs_xdp,
        HookPreference::Tc => false,
    }
}

/// The pins of what watches by this hook.
pub(super) fn pins_of(hook: Hook, pin_dir: &Path, ifindex: u32) -> Vec<PathBuf> {
    match hook {
        Hook::Native | Hook::Generic => vec![pins::xdp_path(pin_dir, ifindex)],
        Hook::Tcx => vec![pins::ingress_path(pin_dir, ifindex)],
        Hook::Clsact => [program::INGRESS_TC, program::INGRESS_IP_TC]
            .map(|name| pins::ingress_filter_path(pin_dir, name, ifindex))
            .to_vec(),
    }
}

const fn xdp_program(layer: LinkLayer) -> &'static str {
    match layer {
        LinkLayer::Ethernet => program::INGRESS,
        LinkLayer::None => program::INGRESS_IP,
    }
}

const fn tc_program(layer: LinkLayer) -> &'static str {
    match layer {
        LinkLayer::Ethernet => program::INGRESS_TC,
        LinkLayer::None => program::INGRESS_IP_TC,
    }
}

fn filter<'a>(pin_dir: &Path, place: &Place<'a>) -> FilterPlace<'a> {
    let wanted = tc_program(place.layer);
    FilterPlace {
        link: pins::ingress_path(pin_dir, place.ifindex),
        filter: pins::ingress_filter_path(pin_dir, wanted, place.ifindex),
        ..place.filter(wanted, "tc ingress", TcAttachType::Ingress)
    }
}

/// Attaches by the first hook that takes the program, or takes over what an earlier daemon attached.
pub(super) async fn attach(ebpf: &mut Ebpf, watch: &Watch, place: &Place<'_>) -> Result<Hook, KernelError> {
    let choices = choices(watch, place.name);
    let pin = pins::xdp_path(&watch.pin_dir, place.ifindex);
    // Where TC takes its place, it goes when TC is there (`remove_others`).
    if pin.exists() && choices != [Choice::Tc] {
        let before = mode(place.ifindex).await;
        if !choices.contains(&before) {
            give_up(place, &pin).await?;
        } else if take_over(ebpf, place, &pin)? {
            return Ok(before.into());
        }
    }
    let mut last = None;
    for (at, choice) in choices.iter().enumerate() {
        let tried = match choice {
            Choice::Native => xdp(ebpf, place, (XdpMode::Driver, "native XDP"), &pin).map(|()| Hook::Native),
            Choice::Generic => xdp(ebpf, place, (XdpMode::Skb, "generic XDP"), &pin).map(|()| Hook::Generic),
            Choice::Tc => {
                let program = object::classifier(ebpf, tc_program(place.layer))?;
                tc::attach(program, &filter(&watch.pin_dir, place)).await.map(Hook::from).map_err(Tried::Fatal)
            }
        };
        let error = match tried {
            Ok(hook) => return Ok(hook),
            Err(Tried::Fatal(error)) => return Err(error),
            Err(Tried::Refused { is_taken: true, reason }) => {
                occupied(place.name, place.ifindex).await.unwrap_or(reason)
            }
            Err(Tried::Refused { reason, .. }) => reason,
        };
        let rest = &choices[at + 1..];
        if let KernelError::Occupied { .. } = error
            && !rest.contains(&Choice::Tc)
        {
            return Err(error);
        }
        if !rest.is_empty() {
            tracing::info!(interface = place.name, %error, next = ?rest[0], "another hook takes its place");
        }
        last = Some(error);
    }
    Err(last.unwrap_or_else(|| refused(place.name, "any hook", "none was tried".to_owned())))
}

/// Why an attempt to attach did not work.
enum Tried {
    /// The device or its driver does not take it.
    Refused { is_taken: bool, reason: KernelError },
    /// Another hook would not help.
    Fatal(KernelError),
}

impl From<KernelError> for Tried {
    fn from(error: KernelError) -> Self {
        Self::Fatal(error)
    }
}

impl From<Choice> for Hook {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Native => Self::Native,
            Choice::Generic => Self::Generic,
            Choice::Tc => Self::Tcx,
        }
    }
}

impl From<TcMode> for Hook {
    fn from(mode: TcMode) -> Self {
        match mode {
            TcMode::Clsact => Self::Clsact,
            TcMode::Tcx | TcMode::Off => Self::Tcx,
        }
    }
}

/// Puts today's program in the place of an earlier daemon's. Returns whether there was one.
fn take_over(ebpf: &mut Ebpf, place: &Place<'_>, pin: &Path) -> Result<bool, KernelError> {
    let Some(old) = pinned(place.name, pin)? else { return Ok(false) };
    let wanted = xdp_program(place.layer);
    let program = object::xdp(ebpf, wanted)?;
    let link = XdpLink::try_from(old).map_err(|error| refused(place.name, "pinned XDP link", link_reason(&error)))?;
    match program.attach_to_link(link) {
        Ok(id) => {
            // The pin keeps the link; ours is only closed.
            drop(program.take_link(id).map_err(|source| KernelError::program(wanted, source))?);
            Ok(true)
        }
        // The interface went away and another has its index now: the link is dead.
        Err(_) => pins::remove(pin).map(|()| false),
    }
}

/// How the XDP program of an interface runs.
async fn mode(ifindex: u32) -> Choice {
    match interface::xdp_on(ifindex).await {
        Some(interface::XdpOn { generic: true, .. }) => Choice::Generic,
        _ => Choice::Native,
    }
}

/// Takes an earlier daemon's program off, as it runs in a way that is not wanted any more. The kernel lets go of it a moment
/// later.
async fn give_up(place: &Place<'_>, pin: &Path) -> Result<(), KernelError> {
    let ours = interface::xdp_on(place.ifindex).await;
    pins::remove(pin)?;
    let begin = Instant::now();
    while ours.is_some() && interface::xdp_on(place.ifindex).await == ours && begin.elapsed() < LETS_GO {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

fn xdp(ebpf: &mut Ebpf, place: &Place<'_>, (mode, how): (XdpMode, &'static str), pin: &Path) -> Result<(), Tried> {
    let wanted = xdp_program(place.layer);
    let program = object::xdp(ebpf, wanted)?;
    match program.attach_to_if_index(place.ifindex, mode) {
        Ok(id) => {
            let link = program.take_link(id).map_err(|source| KernelError::program(wanted, source))?;
            let link = FdLink::try_from(link).map_err(|error| refused(place.name, how, link_reason(&error)))?;
            Ok(pin_link(link, pin)?)
        }
        Err(error) => {
            let is_taken = matches!(errno(&error), Some(libc::EBUSY | libc::EEXIST));
            Err(Tried::Refused { is_taken, reason: refused(place.name, how, program_reason(&error)) })
        }
    }
}

/// Why the program is not there any more; `None`: it is.
pub(super) async fn what_is_missing(ebpf: &Ebpf, hook: Hook, place: &Place<'_>) -> Option<String> {
    let by_tc = match hook {
        Hook::Native | Hook::Generic => {
            let program = ebpf.program(xdp_program(place.layer)).and_then(|program| <&Xdp>::try_from(program).ok());
            let ours = program.and_then(|program| program.info().ok()).map(|info| info.id());
            let there = interface::xdp_on(place.ifindex).await.map(|on| on.program);
            return (there != ours).then(|| "its XDP program was taken off".to_owned());
        }
        Hook::Tcx => TcMode::Tcx,
        Hook::Clsact => TcMode::Clsact,
    };
    let wanted = tc_program(place.layer);
    let program = ebpf.program(wanted).and_then(|program| <&SchedClassifier>::try_from(program).ok());
    let Some(program) = program else { return Some("its TC program is not loaded".to_owned()) };
    let filter = place.filter(wanted, "tc ingress", TcAttachType::Ingress);
    (!tc::is_there(program, by_tc, &filter).await).then(|| "its TC ingress program was taken off".to_owned())
}

/// The id of the program that watches what arrives by TC, once it is loaded: what answers for failed servers comes after it.
pub(super) fn tc_program_id(ebpf: &Ebpf) -> Option<u32> {
    let program = <&SchedClassifier>::try_from(ebpf.program(program::INGRESS_TC)?).ok()?;
    program.info().ok().map(|info| info.id())
}

/// Whether that program watches the interface.
pub(super) fn is_watched_by_tc(program: u32, pin_dir: &Path, (name, ifindex): (&str, u32)) -> bool {
    let by_link = SchedClassifier::query_tcx(name, TcAttachType::Ingress)
        .is_ok_and(|(_, there)| there.iter().any(|info| info.id() == program));
    by_link || pins::ingress_filter_path(pin_dir, program::INGRESS_TC, ifindex).exists()
}
