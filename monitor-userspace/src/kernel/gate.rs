//! The gate of shared addresses (H-1), from the daemon's side.
//!
//! In: which addresses are shared, and until when this host may be seen to have each. Out: [`monitor_common::GateState`] in
//! a pinned map, and two pinned links on the interface. It is an object of its own, with pins in a folder of its own:
//! without `[standby]` nothing of it exists.

use std::{fs, io, net::IpAddr, path::Path, path::PathBuf};

use aya::{
    Ebpf, EbpfLoader,
    maps::{HashMap, MapData},
    programs::{LinkOrder, SchedClassifier, TcAttachType, links::FdLink, tc::SchedClassifierLink, tc::TcAttachOptions},
};
use monitor_common::{Addr, GateState, map, program};

use super::{
    attach::{pin_link, pinned, refused},
    bpffs,
    error::{KernelError, errno, link_reason, program_reason},
    interface,
};
use crate::outage::MonotonicNs;

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ringback-gate"));

const HOW: &str = "the gate of shared addresses";

/// The gate on one interface.
pub struct Gate {
    /// Keeps the programs' descriptors; the pins keep the rest.
    _ebpf: Ebpf,
    states: HashMap<MapData, Addr, GateState>,
}

impl Gate {
    /// Attaches to `interface`, or takes over what an earlier daemon left there, with its deadlines. An address that was not
    /// shared before begins with its gate closed.
    pub fn start(pin_dir: &Path, interface: &str, addresses: &[IpAddr]) -> Result<Self, KernelError> {
        let folder = folder(pin_dir);
        bpffs::ensure(&folder)?;
        let ifindex = interface::index(interface)?;
        let mut loader = EbpfLoader::new();
        loader.map_pin_path(map::GATE, folder.join(map::GATE));
        let mut ebpf = loader.load(OBJECT)?;
        let gate = ebpf.take_map(map::GATE).ok_or(KernelError::MapMissing(map::GATE))?;
        let mut states: HashMap<MapData, Addr, GateState> =
            gate.try_into().map_err(|source| KernelError::map(map::GATE, source))?;
        share(&mut states, addresses)?;
        let sides = [(program::GATE_IN, TcAttachType::Ingress), (program::GATE_OUT, TcAttachType::Egress)];
        let mut wanted = vec![folder.join(map::GATE)];
        for (name, side) in sides {
            let pin = folder.join(format!("{name}_{ifindex}"));
            attach(&mut ebpf, name, side, interface, &pin)?;
            wanted.push(pin);
        }
        // Another interface had them before.
        for pin in present(&folder)?.into_iter().filter(|pin| !wanted.contains(pin)) {
            remove(&pin)?;
        }
        Ok(Self { _ebpf: ebpf, states })
    }

    /// Lets the address be seen until this time; [`MonotonicNs`] 0 closes its gate at once.
    pub fn open_until(&mut self, address: IpAddr, until: MonotonicNs) -> Result<(), KernelError> {
        let key = Addr::from(address);
        let stopped = self.states.get(&key, 0).map(|state| state.stopped).unwrap_or(0);
        let state = GateState { open_until_ns: until.0, stopped };
        self.states.insert(key, state, 0).map_err(|source| KernelError::map(map::GATE, source))
    }

    /// How many frames the closed gate of this address has stopped.
    #[must_use]
    pub fn stopped(&self, address: IpAddr) -> u64 {
        self.states.get(&Addr::from(address), 0).map_or(0, |state| state.stopped)
    }
}

/// Detaches the gate and removes its pins, if there are any: every address is seen again. Returns what was removed.
pub(super) fn cleanup(pin_dir: &Path) -> Result<Vec<String>, KernelError> {
    let folder = folder(pin_dir);
    let mut removed = Vec::new();
    for pin in present(&folder)? {
        remove(&pin)?;
        removed.push(format!("gate/{}", pin.file_name().unwrap_or_default().to_string_lossy()));
    }
    // Not there, or somebody else's file is in it.
    let _ = fs::remove_dir(folder);
    Ok(removed)
}

/// Takes the gate away, as `[standby]` is not configured any more.
pub fn stop_sharing(pin_dir: &Path) -> Result<(), KernelError> {
    let removed = cleanup(pin_dir)?;
    if !removed.is_empty() {
        tracing::warn!("[standby] is gone from the configuration: this host answers for its addresses again");
    }
    Ok(())
}

fn folder(pin_dir: &Path) -> PathBuf {
    pin_dir.join("gate")
}

/// Makes the map hold exactly these addresses; what is known of one stays.
fn share(states: &mut HashMap<MapData, Addr, GateState>, addresses: &[IpAddr]) -> Result<(), KernelError> {
    let failed = |source| KernelError::map(map::GATE, source);
    let wanted: Vec<_> = addresses.iter().map(|address| Addr::from(*address)).collect();
    let present: Vec<_> = states.keys().collect::<Result<_, _>>().map_err(failed)?;
    for gone in present.iter().filter(|addr| !wanted.contains(addr)) {
        states.remove(gone).map_err(failed)?;
    }
    for new in wanted.iter().filter(|addr| !present.contains(addr)) {
        states.insert(new, GateState::default(), 0).map_err(failed)?;
    }
    Ok(())
}

fn attach(
    ebpf: &mut Ebpf,
    name: &'static str,
    side: TcAttachType,
    interface: &str,
    pin: &Path,
) -> Result<(), KernelError> {
    let failed = |source| KernelError::program(name, source);
    let program: &mut SchedClassifier =
        ebpf.program_mut(name).ok_or(KernelError::ProgramMissing(name))?.try_into().map_err(failed)?;
    program.load().map_err(|source| KernelError::load(&source))?;
    if let Some(old) = pinned(interface, pin)? {
        let link = SchedClassifierLink::try_from(old).map_err(|error| refused(interface, HOW, link_reason(&error)))?;
        match program.attach_to_link(link) {
            Ok(id) => {
                // The pin keeps the link; ours is only closed.
                drop(program.take_link(id).map_err(failed)?);
                return Ok(());
            }
            // The interface went away and another has its index now: the link is dead.
            Err(_) => remove(pin)?,
        }
    }
    let order = TcAttachOptions::TcxOrder(LinkOrder::first());
    let id = program.attach_with_options(interface, side, order).map_err(|error| {
        let reason = match errno(&error) {
            Some(libc::EINVAL) => "this kernel has no tcx: [standby] needs Linux 6.6 or newer".to_owned(),
            _ => program_reason(&error),
        };
        refused(interface, HOW, reason)
    })?;
    let link = program.take_link(id).map_err(failed)?;
    let link = FdLink::try_from(link).map_err(|error| refused(interface, HOW, link_reason(&error)))?;
    pin_link(link, pin)
}

/// Links first, so that nothing runs on a map that is gone.
fn present(folder: &Path) -> Result<Vec<PathBuf>, KernelError> {
    let failed = |source| KernelError::Pin { what: "read", path: folder.to_path_buf(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut pins: Vec<_> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(failed)?;
    pins.retain(|pin| {
        let name = pin.file_name().unwrap_or_default().to_string_lossy();
        name == map::GATE || name.starts_with("rb_gate_")
    });
    pins.sort_by_key(|pin| pin.ends_with(map::GATE));
    Ok(pins)
}

fn remove(pin: &Path) -> Result<(), KernelError> {
    fs::remove_file(pin).map_err(|source| KernelError::Pin { what: "remove", path: pin.to_path_buf(), source })
}
