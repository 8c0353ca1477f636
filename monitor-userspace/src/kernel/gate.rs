//! The gate of shared addresses (H-1), from the daemon's side.
//!
//! In: which addresses are shared, and until when this host may be seen to have each. Out: [`monitor_common::GateState`] in
//! a pinned map, and two pinned links on the interface (filters, where the kernel has no tcx); and what others claim of the
//! addresses. It is an object of its own, with pins in a folder of its own: without `[standby]` nothing of it exists.

use std::{
    fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf, EbpfLoader,
    maps::{HashMap, MapData},
    programs::{SchedClassifier, TcAttachType},
};
use monitor_common::{Addr, Claims, GateState, map, program};
use monitor_core::domain::MonotonicNs;

use super::{
    bpffs,
    error::KernelError,
    pins,
    tc::{self, FilterPlace, TcMode},
};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ringback-gate"));

/// The gate on one interface.
pub struct Gate {
    /// Keeps the programs' descriptors; the pins keep the rest.
    pub(super) ebpf: Ebpf,
    states: HashMap<MapData, Addr, GateState>,
    claims: HashMap<MapData, Addr, Claims>,
    folder: PathBuf,
    interface: String,
    addresses: Vec<IpAddr>,
    /// How the programs are on the interface, in the order of [`SIDES`]; empty: they are not.
    modes: Vec<TcMode>,
}

/// The programs, and where they are.
const SIDES: [(&str, TcAttachType); 2] =
    [(program::GATE_IN, TcAttachType::Ingress), (program::GATE_OUT, TcAttachType::Egress)];

/// What others have claimed of one shared address since the daemon's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// How often.
    pub count: u64,
    /// The MAC address that did last.
    pub latest: [u8; 6],
}

impl Gate {
    /// Takes over what an earlier daemon left for `interface`, with its deadlines. An address that was not shared before begins
    /// with its gate closed. [`Gate::attach`] puts the programs on the interface.
    pub fn start(pin_dir: &Path, interface: &str, addresses: &[IpAddr]) -> Result<Self, KernelError> {
        let folder = folder(pin_dir);
        bpffs::ensure(&folder)?;
        let mut loader = EbpfLoader::new();
        loader.map_pin_path(map::GATE, folder.join(map::GATE));
        let gate = Self::load(&mut loader, addresses)?;
        Ok(Self { folder, interface: interface.to_owned(), ..gate })
    }

    /// Puts the programs on the interface of this index.
    pub async fn attach(&mut self, ifindex: u32) -> Result<(), KernelError> {
        let (interface, folder) = (self.interface.clone(), self.folder.clone());
        self.modes.clear();
        let mut wanted = vec![folder.join(map::GATE)];
        for (name, side) in SIDES {
            let place = FilterPlace {
                link: folder.join(format!("{name}_{ifindex}")),
                filter: folder.join(format!("filter_{name}_{ifindex}")),
                ..place(name, side, (&interface, ifindex))
            };
            let mode = tc::attach(self.program(name)?, &place).await?;
            self.modes.push(mode);
            wanted.extend([place.link, place.filter]);
        }
        // Another interface had them before.
        for pin in present(&folder)?.into_iter().filter(|pin| !wanted.contains(pin)) {
            pins::remove(&pin)?;
        }
        Ok(())
    }

    /// Whether the programs are on the interface of this index.
    pub async fn is_attached(&self, ifindex: u32) -> bool {
        for ((name, side), mode) in SIDES.into_iter().zip(&self.modes) {
            let program = self.ebpf.program(name).and_then(|program| <&SchedClassifier>::try_from(program).ok());
            let Some(program) = program else { return false };
            if !tc::is_there(program, *mode, &place(name, side, (&self.interface, ifindex))).await {
                return false;
            }
        }
        self.modes.len() == SIDES.len()
    }

    /// Says which MAC address is this host's own: claims by it are not somebody else's.
    pub fn set_mac(&mut self, mac: [u8; 6]) -> Result<(), KernelError> {
        let own = mac.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        for address in &self.addresses {
            let key = Addr::from(*address);
            let before = self.claims.get(&key, 0).unwrap_or_default();
            self.claims
                .insert(key, Claims { own, ..before }, 0)
                .map_err(|source| KernelError::map(map::CLAIMS, source))?;
        }
        Ok(())
    }

    /// The gate without an interface and without pins: for packet tests.
    pub fn detached(mac: [u8; 6], addresses: &[IpAddr]) -> Result<Self, KernelError> {
        let mut gate = Self::load(&mut EbpfLoader::new(), addresses)?;
        gate.set_mac(mac)?;
        Ok(gate)
    }

    fn load(loader: &mut EbpfLoader<'_>, addresses: &[IpAddr]) -> Result<Self, KernelError> {
        let mut ebpf = loader.load(OBJECT)?;
        let states = ebpf.take_map(map::GATE).ok_or(KernelError::MapMissing(map::GATE))?;
        let states = states.try_into().map_err(|source| KernelError::map(map::GATE, source))?;
        let claims = ebpf.take_map(map::CLAIMS).ok_or(KernelError::MapMissing(map::CLAIMS))?;
        let claims = claims.try_into().map_err(|source| KernelError::map(map::CLAIMS, source))?;
        let mut gate = Self {
            ebpf,
            states,
            claims,
            folder: PathBuf::new(),
            interface: String::new(),
            addresses: addresses.to_vec(),
            modes: Vec::new(),
        };
        share(&mut gate.states, addresses)?;
        for name in [program::GATE_IN, program::GATE_OUT] {
            gate.program(name)?.load().map_err(|source| KernelError::load(&source))?;
        }
        Ok(gate)
    }

    fn program(&mut self, name: &'static str) -> Result<&mut SchedClassifier, KernelError> {
        let program = self.ebpf.program_mut(name).ok_or(KernelError::ProgramMissing(name))?;
        program.try_into().map_err(|source| KernelError::program(name, source))
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

    /// How often others have said that the address is theirs, and who did last.
    #[must_use]
    pub fn claimed(&self, address: IpAddr) -> Claimed {
        let claims = self.claims.get(&Addr::from(address), 0).unwrap_or_default();
        let [_, _, latest @ ..] = claims.latest.to_be_bytes();
        Claimed { count: claims.count, latest }
    }
}

/// Detaches the gate and removes its pins, if there are any: every address is seen again. Returns what was removed.
pub(super) fn cleanup(pin_dir: &Path) -> Result<Vec<String>, KernelError> {
    let folder = folder(pin_dir);
    let mut removed = Vec::new();
    for pin in present(&folder)? {
        pins::remove(&pin)?;
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

/// Where a program of the gate is, without what keeps it there.
fn place<'a>(program: &'static str, side: TcAttachType, (interface, ifindex): (&'a str, u32)) -> FilterPlace<'a> {
    FilterPlace {
        program,
        how: "the gate of shared addresses",
        side,
        interface,
        ifindex,
        after: None,
        link: PathBuf::new(),
        filter: PathBuf::new(),
    }
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
        name == map::GATE || name.starts_with("rb_gate_") || name.starts_with("filter_rb_gate_")
    });
    pins.sort_by_key(|pin| pin.ends_with(map::GATE));
    Ok(pins)
}
