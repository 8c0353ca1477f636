//! The guards' side of the kernel: rules in, held SYNs and counts out, frames put back into the stack.
//!
//! In: [`GuardRule`]s, signs of life, words on single connections. Out: [`GuardReport`]s. Nothing here decides.

use std::os::fd::OwnedFd;

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, MapData, RingBuf},
    programs::{ProgramError, SchedClassifier, Xdp},
};
use monitor_common::{
    Flow, GuardCounts, GuardRecordKind, GuardRequest, GuardRule, HANDSHAKES, HeldSyn, LONGEST_FRAME, MAX_HELD,
    MAX_OPEN, OpenFlow, Outcome, map, program,
};
use tokio::io::unix::AsyncFd;

use super::{error::KernelError, test_run::test_run};

/// Ports that there are.
const PORTS: u32 = 65_536;

/// Room for every SYN that can be held, and as many notices of established connections.
const RING_BYTES: u32 = 4 << 20;

/// What the programs report of a guarded port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GuardReport {
    /// A SYN is held.
    Held(HeldFrame),
    /// A connection that was not checked is established.
    Established {
        /// Index of the guard.
        guard: u32,
        /// Which.
        flow: Flow,
    },
}

/// A SYN that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldFrame {
    /// Where it came in.
    pub ifindex: u32,
    /// When, by the kernel's clock.
    pub at_ns: u64,
    /// From the Ethernet header to the end.
    pub frame: Vec<u8>,
}

impl GuardReport {
    /// Reads one record of the ring buffer; `None` for one of another layout.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let half = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        let addr = |at: usize| Some(monitor_common::Addr { bytes: bytes.get(at..at + 16)?.try_into().ok()? });
        let at_ns = u64::from_ne_bytes(bytes.get(..8)?.try_into().ok()?);
        let (ifindex, length, kind, guard) = (word(8)?, word(12)? as usize, word(16)?, word(20)?);
        let flow =
            Flow { client: addr(24)?, server: addr(40)?, client_port: half(56)?, server_port: half(58)?, _pad: 0 };
        match kind {
            GuardRecordKind::ESTABLISHED => Some(Self::Established { guard, flow }),
            GuardRecordKind::HELD if length <= LONGEST_FRAME => {
                let frame = bytes.get(64..64 + length)?.to_vec();
                Some(Self::Held(HeldFrame { ifindex, at_ns, frame }))
            }
            _ => None,
        }
    }
}

/// The kernel's part of all guards.
pub struct Guards {
    ring: AsyncFd<RingBuf<MapData>>,
    ports: Array<MapData, u32>,
    rules: Array<MapData, GuardRule>,
    counts: Array<MapData, GuardCounts>,
    life: Array<MapData, u64>,
    held: HashMap<MapData, Flow, HeldSyn>,
    open: HashMap<MapData, Flow, OpenFlow>,
    request: OwnedFd,
    reinject: OwnedFd,
}

/// Sizes the guards' maps before the object is loaded.
pub(super) fn size(loader: &mut EbpfLoader<'_>, guarding: bool) {
    if guarding {
        loader.map_max_entries(map::GUARD_PORTS, PORTS);
        loader.map_max_entries(map::HELD, MAX_HELD as u32);
        loader.map_max_entries(map::HANDSHAKES, HANDSHAKES as u32);
        loader.map_max_entries(map::OPEN, MAX_OPEN as u32);
        loader.map_max_entries(map::GUARD_RING, RING_BYTES);
    }
}

fn take<T>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, KernelError>
where
    T: TryFrom<aya::maps::Map, Error = aya::maps::MapError>,
{
    let map = ebpf.take_map(name).ok_or(KernelError::MapMissing(name))?;
    T::try_from(map).map_err(|source| KernelError::map(name, source))
}

fn descriptor(name: &'static str, fd: Result<&aya::programs::ProgramFd, ProgramError>) -> Result<OwnedFd, KernelError> {
    use std::os::fd::AsFd as _;
    let fd = fd.map_err(|source| KernelError::program(name, source))?;
    fd.as_fd().try_clone_to_owned().map_err(KernelError::Events)
}

impl Guards {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let ring: RingBuf<MapData> = take(ebpf, map::GUARD_RING)?;
        // SAFETY: the ring buffer owns its descriptor and gives out the same one until it is dropped.
        let ring = unsafe { AsyncFd::register(ring) }.map_err(|error| KernelError::Events(error.into_parts().1))?;
        let name = program::GUARD_REQUEST;
        let request: &SchedClassifier = ebpf
            .program(name)
            .ok_or(KernelError::ProgramMissing(name))?
            .try_into()
            .map_err(|source| KernelError::program(name, source))?;
        let request = descriptor(name, request.fd())?;
        let name = program::REINJECT;
        let reinject: &Xdp = ebpf
            .program(name)
            .ok_or(KernelError::ProgramMissing(name))?
            .try_into()
            .map_err(|source| KernelError::program(name, source))?;
        let reinject = descriptor(name, reinject.fd())?;
        Ok(Self {
            ring,
            ports: take(ebpf, map::GUARD_PORTS)?,
            rules: take(ebpf, map::GUARDS)?,
            counts: take(ebpf, map::GUARD_COUNTS)?,
            life: take(ebpf, map::GUARD_LIFE)?,
            held: take(ebpf, map::HELD)?,
            open: take(ebpf, map::OPEN)?,
            request,
            reinject,
        })
    }

    /// Puts the guard of that index on a port.
    pub fn guard(&mut self, index: u32, port: u16, rule: GuardRule) -> Result<(), KernelError> {
        self.set_rule(index, rule)?;
        self.ports.set(u32::from(port), index + 1, 0).map_err(|source| KernelError::map(map::GUARD_PORTS, source))
    }

    /// Changes a guard's rule.
    pub fn set_rule(&mut self, index: u32, rule: GuardRule) -> Result<(), KernelError> {
        self.rules.set(index, rule, 0).map_err(|source| KernelError::map(map::GUARDS, source))
    }

    /// A sign of life at this kernel time; 0: the daemon decides no more.
    pub fn beat(&mut self, now_ns: u64) -> Result<(), KernelError> {
        self.life.set(0, now_ns, 0).map_err(|source| KernelError::map(map::GUARD_LIFE, source))
    }

    /// What a guard's programs have counted.
    pub fn counts(&self, index: u32) -> Result<GuardCounts, KernelError> {
        self.counts.get(&index, 0).map_err(|source| KernelError::map(map::GUARD_COUNTS, source))
    }

    /// Every held SYN.
    pub fn held(&self) -> Vec<(Flow, HeldSyn)> {
        // An entry that goes while the table is read is not held any more.
        self.held.iter().filter_map(Result::ok).collect()
    }

    /// Every established connection that is known.
    pub fn open(&self) -> Vec<(Flow, OpenFlow)> {
        self.open.iter().filter_map(Result::ok).collect()
    }

    /// Waits for reports. Cancel-safe: a report is taken whole or not at all.
    pub async fn reports(&mut self) -> Result<Vec<GuardReport>, KernelError> {
        loop {
            let mut ready = self.ring.readable_mut().await.map_err(KernelError::Events)?;
            let batch = drain(ready.get_inner_mut());
            ready.clear_ready();
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }

    /// Reports that are there now.
    pub fn take_reports(&mut self) -> Vec<GuardReport> {
        drain(self.ring.get_mut())
    }

    /// The daemon's word on one connection. Returns whether there was one.
    pub fn request(&self, flow: Flow, guard: u32, seq: u32, op: u32) -> Result<bool, KernelError> {
        let frame = GuardRequest { flow, op, guard, seq, _pad: 0 }.frame();
        let result = test_run(&self.request, &frame, None, false);
        let returned = result.map_err(|source| KernelError::TestRun(program::GUARD_REQUEST, source))?;
        Ok(Outcome::of(returned) == Outcome::Done)
    }

    /// Puts a frame back into the stack, as if it had just come in on that interface.
    pub fn reinject(&self, ifindex: u32, frame: &[u8]) -> Result<(), KernelError> {
        let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        // `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let context: Vec<u8> = [0, length, 0, ifindex, 0, 0].iter().flat_map(|word: &u32| word.to_ne_bytes()).collect();
        test_run(&self.reinject, frame, Some(&context), true)
            .map(drop)
            .map_err(|source| KernelError::TestRun(program::REINJECT, source))
    }
}

fn drain(ring: &mut RingBuf<MapData>) -> Vec<GuardReport> {
    let mut batch = Vec::new();
    while let Some(item) = ring.next() {
        batch.extend(GuardReport::from_bytes(&item));
    }
    batch
}
