//! Loading the object: sizes, pins, settings.

use std::path::Path;

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, MapData, MapInfo},
    programs::{Program, SchedClassifier, Xdp},
    util::nr_cpus,
};
use monitor_common::{LAYOUT, NEAR_BUCKETS, Settings, map, program};
use monitor_core::config::Watch;

use super::{error::KernelError, guards, pins};

/// The eBPF object that the build script made.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/ringback"));

/// Sizes of the maps that the configuration decides.
struct Sizes {
    cpus: u32,
    buckets: u32,
    deadlines_per_cpu: u32,
    flow_buckets: u32,
    unmatched: u32,
}

impl Sizes {
    fn new(watch: &Watch) -> Self {
        let cpus = nr_cpus().ok().and_then(|cpus| u32::try_from(cpus).ok()).unwrap_or(1);
        let deadlines_per_cpu = watch.pending.next_power_of_two();
        // Half as many buckets of five slots as attempts can be pending: full, a bucket holds two on average.
        let buckets = deadlines_per_cpu.saturating_mul(cpus).next_power_of_two() / 2;
        let flow_buckets = if watch.established { buckets } else { 1 };
        let unmatched = if watch.shared { deadlines_per_cpu } else { 1 };
        Self { cpus, buckets, deadlines_per_cpu, flow_buckets, unmatched }
    }

    const fn entries(&self) -> [(&'static str, u32); 5] {
        [
            (map::PENDING, NEAR_BUCKETS + self.buckets),
            (map::DEADLINES, self.deadlines_per_cpu * self.cpus),
            (map::CURSORS, self.cpus),
            (map::FLOWS, self.flow_buckets),
            (map::UNMATCHED, self.unmatched),
        ]
    }
}

/// What the programs are loaded for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To watch. Maps are pinned at `watch.pin_dir`; those that an earlier daemon pinned are taken over if they have today's
    /// layout.
    Watch,
    /// To try frames on. Everything goes with the process.
    Trial,
    /// The same with the programs that are only there to be measured; the verifier takes its time over them.
    Measurement,
}

/// Loads object and programs.
pub(super) fn load(watch: &Watch, guarding: bool, purpose: Purpose) -> Result<Ebpf, KernelError> {
    let sizes = Sizes::new(watch);
    if purpose == Purpose::Watch
        && let Some(reason) = other_layout(&watch.pin_dir, &sizes)
    {
        tracing::warn!(reason, "kernel state of another layout or size is replaced; pending attempts are forgotten");
        pins::clear(&watch.pin_dir)?;
    }
    let mut loader = EbpfLoader::new();
    for name in map::PINNED.into_iter().filter(|_| purpose == Purpose::Watch) {
        loader.map_pin_path(name, pins::map_path(&watch.pin_dir, name));
    }
    for (name, entries) in sizes.entries() {
        loader.map_max_entries(name, entries);
    }
    let client_ack = u32::from(watch.client_ack);
    loader.override_global("CLIENT_ACK", &client_ack, true);
    let own = u32::from(watch.own);
    loader.override_global("OWN", &own, true);
    let shared = u32::from(watch.shared);
    loader.override_global("UNMATCHED", &shared, true);
    let established = u32::from(watch.established);
    loader.override_global("ESTABLISHED", &established, true);
    let guards_on = u32::from(guarding);
    loader.override_global("GUARDS", &guards_on, true);
    guards::size(&mut loader, guarding);
    let mut ebpf = loader.load(OBJECT)?;
    for (name, program) in ebpf.programs_mut() {
        let is_wanted = match purpose {
            Purpose::Watch | Purpose::Trial => !program::ATTACHED.contains(&name) && !program::MEASURED.contains(&name),
            Purpose::Measurement => true,
        };
        if !is_wanted {
            continue;
        }
        let loaded = match program {
            Program::Xdp(program) => program.load(),
            Program::SchedClassifier(program) => program.load(),
            _ => Ok(()),
        };
        loaded.map_err(|source| KernelError::load(&source))?;
    }
    Ok(ebpf)
}

/// A TC program, loaded: the verifier takes its time, so those that are attached are loaded when one is first needed.
pub(super) fn classifier<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut SchedClassifier, KernelError> {
    let program: &mut SchedClassifier = ebpf
        .program_mut(name)
        .ok_or(KernelError::ProgramMissing(name))?
        .try_into()
        .map_err(|source| KernelError::program(name, source))?;
    if program.fd().is_err() {
        program.load().map_err(|source| KernelError::load(&source))?;
    }
    Ok(program)
}

/// The same for an XDP program.
pub(super) fn xdp<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Xdp, KernelError> {
    let program: &mut Xdp = ebpf
        .program_mut(name)
        .ok_or(KernelError::ProgramMissing(name))?
        .try_into()
        .map_err(|source| KernelError::program(name, source))?;
    if program.fd().is_err() {
        program.load().map_err(|source| KernelError::load(&source))?;
    }
    Ok(program)
}

/// Why the pinned maps cannot be used as they are, if so.
fn other_layout(pin_dir: &Path, sizes: &Sizes) -> Option<String> {
    let settings_pin = pins::map_path(pin_dir, map::SETTINGS);
    if !settings_pin.exists() {
        return None;
    }
    let settings = MapData::from_pin(&settings_pin)
        .ok()
        .and_then(|data| Array::<_, Settings>::try_from(aya::maps::Map::Array(data)).ok())
        .and_then(|settings| settings.get(&0, 0).ok());
    match settings {
        None => return Some(format!("{} cannot be read", map::SETTINGS)),
        Some(settings) if settings.layout != LAYOUT && settings.layout != 0 => {
            return Some(format!("layout {} where {LAYOUT} is wanted", settings.layout));
        }
        Some(_) => {}
    }
    sizes.entries().into_iter().find_map(|(name, wanted)| {
        let info = MapInfo::from_pin(pins::map_path(pin_dir, name)).ok()?;
        let found = info.max_entries();
        (found != wanted).then(|| format!("{name} has {found} entries where {wanted} are wanted"))
    })
}

/// Writes the settings. The hash seed stays: attempts that are pending were placed by it.
pub(super) fn configure(ebpf: &mut Ebpf, watch: &Watch) -> Result<(), KernelError> {
    let sizes = Sizes::new(watch);
    let map = ebpf.map_mut(map::SETTINGS).ok_or(KernelError::MapMissing(map::SETTINGS))?;
    let mut settings: Array<&mut MapData, Settings> =
        map.try_into().map_err(|source| KernelError::map(map::SETTINGS, source))?;
    let before = settings.get(&0, 0).map_err(|source| KernelError::map(map::SETTINGS, source))?;
    let now = Settings {
        layout: LAYOUT,
        cpus: sizes.cpus,
        bucket_mask: sizes.buckets - 1,
        deadline_mask: sizes.deadlines_per_cpu - 1,
        syn_timeout_ns: u64::try_from(watch.syn_timeout.as_nanos()).unwrap_or(u64::MAX / 2),
        hash_seed: if before.hash_seed == 0 { random_seed() } else { before.hash_seed },
        flow_mask: sizes.flow_buckets - 1,
        _pad: 0,
    };
    settings.set(0, now, 0).map_err(|source| KernelError::map(map::SETTINGS, source))
}

/// The standard library's hash keys come from the operating system's random source.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id()) | 1
}
