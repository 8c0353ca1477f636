//! The only place that knows the kernel: loads the programs, attaches and pins them, fills their maps, reads their
//! events.
//!
//! In: `config::Watch`, the services that were learned before, and [`monitor_core::outage::Mark`]s. Out: events, which
//! [`monitor_core::outage::Intake`] understands, and counters. The kernel goes on watching when the daemon is gone: maps and links
//! are pinned, and the ring buffer keeps what happened meanwhile.

mod attach;
mod bpffs;
mod error;
mod events;
mod gate;
mod guards;
mod hook;
mod interface;
mod local;
mod lock;
mod log;
mod marks;
mod object;
mod pins;
mod port;
mod ring;
mod selection;
mod services;
mod standin;
mod table;
mod tc;
mod tend;
mod test_run;
mod timer;
mod trial;
mod unmatched;
mod watch_list;
mod watched;

use std::path::Path;

use aya::{
    Ebpf,
    maps::{Array, MapData, PerCpuArray},
    programs::{SchedClassifier, TestRun as _, TestRunOptions},
};
use monitor_common::{Counter, Settings, map, program};
use monitor_core::{
    config::{HookPreference, Watch, WatchEntry},
    domain::MonotonicNs,
};

pub use self::{
    attach::{Attached, Unwatched, occupant},
    bpffs::look_at_pin_dir,
    error::KernelError,
    events::Events,
    gate::{Claimed, Gate, stop_sharing},
    guards::{GuardReport, Guards, HeldFrame},
    hook::Hook,
    interface::{can_be_read, existing_interfaces, knows_packet_sockets},
    local::local_addresses,
    port::{EventSource, KernelPort},
    selection::{Selection, is_router, select},
    services::surplus,
    standin::{StandInMaps, StandInTargets},
    tc::TcMode,
    trial::{GateProgram, Trial, TrialProgram},
};
use self::{lock::PinLock, log::Log, object::Purpose};
use crate::clock::Now as _;

/// What is not watched while the timer does not run.
const SILENCE: &str = "silence";

/// The loaded programs and their maps.
pub struct Kernel {
    ebpf: Ebpf,
    log: Log,
    /// The stand-in page's program; `None`: it is off. Dropped after the programs and before the lock, as it has pins.
    stand_in: Option<standin::Steerer>,
    /// Held as long as the pins are used; `None` where nothing is pinned.
    lock: Option<PinLock>,
    attachments: attach::Attachments,
    /// What is to be watched, and how; `None`: nothing was attached yet.
    wanted: Option<Watch>,
    watched: Vec<WatchEntry>,
    /// Whether there are guards, from the start to the end.
    guarding: bool,
}

impl Kernel {
    /// Loads the programs, or takes over the pinned state of an earlier daemon. Nothing is on an interface before
    /// [`Kernel::attach`]: what the programs are to know from the first frame on is told them in between.
    ///
    /// `guarding`: whether there are guards; [`Kernel::take_guards`] then has their part.
    pub fn start(watch: &Watch, guarding: bool) -> Result<(Self, Events), KernelError> {
        bpffs::ensure(&watch.pin_dir)?;
        let lock = PinLock::take(&watch.pin_dir)?;
        let (mut kernel, events) = Self::load(watch, guarding, Purpose::Watch)?;
        kernel.lock = Some(lock);
        Ok((kernel, events))
    }

    /// Attaches the programs to the interfaces that are to be watched, and detaches whatever an earlier daemon attached to
    /// others.
    pub async fn attach(&mut self, watch: &Watch) -> Result<(), KernelError> {
        self.attachments = attach::attach(&mut self.ebpf, watch).await?;
        self.wanted = Some(watch.clone());
        Ok(())
    }

    /// Looks whether the programs are where they are to be, and puts them there. To be called each second.
    pub async fn tend(&mut self) {
        let Some(watch) = self.wanted.take() else { return };
        let mut changed = tend::tend(&mut self.ebpf, &watch, &mut self.attachments).await;
        changed |= self.tend_timer();
        if changed
            && self.stand_in.is_some()
            && let Err(error) = self.attach_stand_in(&watch)
        {
            tracing::error!(%error, "the stand-in page is not shown everywhere");
        }
        self.wanted = Some(watch);
    }

    /// Starts the timer again if it does not run. Returns whether what is said of it has changed.
    fn tend_timer(&mut self) -> bool {
        let stopped = match self.timer_runs() {
            Ok(true) => None,
            Ok(false) => Some("the programs' timer had stopped, and is started again".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        self.attachments.unwatched.retain(|unwatched| unwatched.name != SILENCE);
        let Some(reason) = stopped else { return false };
        tracing::error!(reason, "silence is not noticed");
        if let Err(error) = self.arm() {
            tracing::error!(%error, "the timer is not started");
        }
        self.attachments.unwatched.push(Unwatched { name: SILENCE.to_owned(), reason });
        true
    }

    /// Whether the timer runs by which silence is noticed.
    pub fn timer_runs(&self) -> Result<bool, KernelError> {
        timer::runs(&self.ebpf)
    }

    /// Starts the timer, or takes over one that runs.
    pub fn arm(&self) -> Result<(), KernelError> {
        match self.run(program::ARM, &[0; 64])? {
            0 => Ok(()),
            code => Err(KernelError::Timer(code.cast_signed())),
        }
    }

    /// From here on the program of the stand-in page is put on the watched interfaces while a service is failed that has the
    /// page: what arrives for it is given to the page from when [`Kernel::take_stand_in`]'s maps say so.
    pub fn attach_stand_in(&mut self, watch: &Watch) -> Result<(), KernelError> {
        let interfaces: Vec<_> = self.attachments.attached.iter().map(|attached| attached.name.clone()).collect();
        let steerer = self.stand_in.get_or_insert_with(|| standin::Steerer::new(&watch.pin_dir));
        steerer.configure(&mut self.ebpf, &interfaces)
    }

    /// Takes off the interfaces what nobody needs any more. To be called now and then.
    pub fn rest(&mut self) -> Result<(), KernelError> {
        let Some(stand_in) = &mut self.stand_in else { return Ok(()) };
        stand_in.rest(&mut self.ebpf, MonotonicNs::now())
    }

    /// The maps by which failed services are answered for.
    pub fn take_stand_in(&mut self) -> Result<StandInMaps, KernelError> {
        StandInMaps::take(&mut self.ebpf)
    }

    /// Loads the programs without attaching or pinning anything: for packet tests and measurements with `tried`.
    pub fn detached(watch: &Watch, tried: &[TrialProgram]) -> Result<(Self, Events), KernelError> {
        let (mut kernel, events) = Self::load(watch, false, Purpose::Trial)?;
        kernel.load_tried(tried)?;
        Ok((kernel, events))
    }

    /// The same with guards.
    pub fn detached_with_guards(watch: &Watch, tried: &[TrialProgram]) -> Result<(Self, Events, Guards), KernelError> {
        let (mut kernel, events) = Self::load(watch, true, Purpose::Trial)?;
        kernel.load_tried(tried)?;
        let guards = kernel.take_guards()?;
        Ok((kernel, events, guards))
    }

    /// The guards' part of the kernel; once.
    pub fn take_guards(&mut self) -> Result<Guards, KernelError> {
        Guards::new(&mut self.ebpf)
    }

    /// [`Kernel::detached`] with the programs that are only there to be measured, and without the timer: nothing expires but
    /// by [`TrialProgram::Look`].
    pub fn measured(watch: &Watch) -> Result<(Self, Events), KernelError> {
        Self::prepare(watch, false, Purpose::Measurement)
    }

    /// Takes other settings, but keeps interfaces and capacities.
    pub fn configure(&mut self, watch: &Watch) -> Result<(), KernelError> {
        object::configure(&mut self.ebpf, watch)?;
        self.put_watch_list(watch)
    }

    fn load(watch: &Watch, guarding: bool, purpose: Purpose) -> Result<(Self, Events), KernelError> {
        let (kernel, events) = Self::prepare(watch, guarding, purpose)?;
        kernel.arm()?;
        Ok((kernel, events))
    }

    fn prepare(watch: &Watch, guarding: bool, purpose: Purpose) -> Result<(Self, Events), KernelError> {
        let mut ebpf = object::load(watch, guarding, purpose)?;
        object::configure(&mut ebpf, watch)?;
        let events = Events::new(&mut ebpf)?;
        let log = Log::new(&mut ebpf)?;
        let mut kernel = Self {
            ebpf,
            log,
            lock: None,
            attachments: attach::Attachments::default(),
            wanted: None,
            stand_in: None,
            watched: watch.servers.clone(),
            guarding,
        };
        kernel.put_watch_list(watch)?;
        Ok((kernel, events))
    }

    /// Goes on with other settings: watch list, time-out, interfaces. Capacities keep their values until a restart.
    pub async fn reload(&mut self, watch: &Watch) -> Result<(), KernelError> {
        if self.guarding && watch.hook == HookPreference::Tc {
            return Err(KernelError::GuardsNeedXdp);
        }
        let watch = &Watch { needs_xdp: watch.needs_xdp || self.guarding, ..watch.clone() };
        // First what may fail: the old settings stay in force then.
        self.attach(watch).await?;
        if self.stand_in.is_some() {
            self.attach_stand_in(watch)?;
        }
        self.configure(watch)
    }

    /// Where the programs are attached, and how.
    #[must_use]
    pub fn attached(&self) -> &[Attached] {
        &self.attachments.attached
    }

    /// Which interfaces are to be watched and are not, and why.
    #[must_use]
    pub fn unwatched(&self) -> &[Unwatched] {
        &self.attachments.unwatched
    }

    /// Which set of maps this is: the seed of their hashes, which is drawn when they are made.
    pub fn maps_id(&self) -> Result<u64, KernelError> {
        let map = self.ebpf.map(map::SETTINGS).ok_or(KernelError::MapMissing(map::SETTINGS))?;
        let settings: Array<&MapData, Settings> =
            map.try_into().map_err(|source| KernelError::map(map::SETTINGS, source))?;
        Ok(settings.get(&0, 0).map_err(|source| KernelError::map(map::SETTINGS, source))?.hash_seed)
    }

    /// Passes on what the programs have to say; seldom anything.
    pub fn flush_log(&mut self) {
        self.log.flush();
    }

    /// One counter, summed over the CPUs.
    pub fn count(&self, counter: Counter) -> Result<u64, KernelError> {
        let map = self.ebpf.map(map::COUNTERS).ok_or(KernelError::MapMissing(map::COUNTERS))?;
        let counters: PerCpuArray<&MapData, u64> =
            map.try_into().map_err(|source| KernelError::map(map::COUNTERS, source))?;
        let values = counters.get(&(counter as u32), 0).map_err(|source| KernelError::map(map::COUNTERS, source))?;
        Ok(values.iter().sum())
    }

    /// Every counter, summed over the CPUs.
    pub fn counters(&self) -> Result<Vec<(Counter, u64)>, KernelError> {
        Counter::ALL.iter().map(|counter| Ok((*counter, self.count(*counter)?))).collect()
    }

    /// Runs a program that is never attached. Returns what it returned.
    fn run(&self, name: &'static str, frame: &[u8]) -> Result<u32, KernelError> {
        let program: &SchedClassifier = self
            .ebpf
            .program(name)
            .ok_or(KernelError::ProgramMissing(name))?
            .try_into()
            .map_err(|source| KernelError::program(name, source))?;
        let options = TestRunOptions { data_in: Some(frame), ..TestRunOptions::default() };
        let result = program.test_run(options).map_err(|source| KernelError::program(name, source))?;
        Ok(result.return_value)
    }
}

/// Removes what a killed daemon's stand-in page has left on interfaces; the page is off.
pub fn remove_stand_in(pin_dir: &Path) -> Result<(), KernelError> {
    pins::remove_stand_in(pin_dir, &[])
}

/// Detaches everything and removes all pins. Returns what was removed.
pub fn cleanup(pin_dir: &Path, force: bool) -> Result<Vec<String>, KernelError> {
    let _no_daemon = if force || !pin_dir.exists() { None } else { Some(PinLock::take(pin_dir)?) };
    let mut removed = gate::cleanup(pin_dir)?;
    removed.append(&mut pins::remove_all(pin_dir)?);
    Ok(removed)
}
