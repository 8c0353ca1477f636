//! The kernel's side of the stand-in page: its program on the watched interfaces, and its two maps.
//!
//! Nothing of it is pinned: program and maps go with the process, and what arrives then passes as it did before.

use std::collections::HashSet;

use aya::{
    Ebpf,
    maps::{Array, LpmTrie, MapData, MapError, lpm_trie::Key},
    programs::{LinkOrder, SchedClassifier, TcAttachType, tc::TcAttachOptions},
};
use monitor_common::{Addr, StandIn, map, program};

use super::{
    attach::refused,
    error::{KernelError, program_reason},
    watch_list,
};
use crate::{config::ClientNet, outage::MonotonicNs};

/// How long the programs go on without a word of the daemon's.
const LEASE_NS: u64 = 5_000_000_000;

/// A steered connection is no longer looked for this long after the last one began; the page ends its own before.
const STEERED_NS: u64 = 600_000_000_000;

/// Where the page listens, and what other ports of failed services answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandInTargets {
    /// Port on 127.0.0.1; 0: none.
    pub port_v4: u16,
    /// Port on ::1; 0: none.
    pub port_v6: u16,
    /// [`monitor_common::OtherPorts`].
    pub other_ports: u32,
}

/// What the page tells the programs.
pub struct StandInMaps {
    entry: Array<MapData, StandIn>,
    steered: Array<MapData, u64>,
    on_record: LpmTrie<MapData, Addr, u32>,
}

impl StandInMaps {
    /// Takes the maps out of the object: from here on only the page writes them.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let mut take = |name| ebpf.take_map(name).ok_or(KernelError::MapMissing(name));
        let fail = |name| move |source| KernelError::map(name, source);
        Ok(Self {
            entry: take(map::STAND_IN)?.try_into().map_err(fail(map::STAND_IN))?,
            steered: take(map::STEERED)?.try_into().map_err(fail(map::STEERED))?,
            on_record: take(map::ON_RECORD)?.try_into().map_err(fail(map::ON_RECORD))?,
        })
    }

    /// Vouches for the daemon for the next seconds. Must be called every second.
    pub fn alive(&mut self, targets: StandInTargets) -> Result<(), KernelError> {
        let entry = StandIn {
            alive_until_ns: MonotonicNs::now().0 + LEASE_NS,
            port_v4: targets.port_v4,
            port_v6: targets.port_v6,
            other_ports: targets.other_ports,
        };
        self.entry.set(0, entry, 0).map_err(|source| KernelError::map(map::STAND_IN, source))
    }

    /// Ends the steering: from now on every SYN passes. Connections that are open go on.
    pub fn stop(&mut self) -> Result<(), KernelError> {
        self.entry.set(0, StandIn::default(), 0).map_err(|source| KernelError::map(map::STAND_IN, source))
    }

    /// Stops looking for connections of the page's once none can be open any more. Only while nothing is failed: a SYN that
    /// is steered at this moment must not be forgotten.
    pub fn rest(&mut self) -> Result<(), KernelError> {
        let fail = |source| KernelError::map(map::STEERED, source);
        let steered = self.steered.get(&0, 0).map_err(fail)?;
        if steered != 0 && MonotonicNs::now().0 > steered.saturating_add(STEERED_NS) {
            self.steered.set(0, 0, 0).map_err(fail)?;
        }
        Ok(())
    }

    /// Says for which clients the page is not: networks with `true`, and those inside them that it is for after all.
    pub fn set_on_record(&mut self, wanted: &[(ClientNet, bool)]) -> Result<(), KernelError> {
        let fail = |source| KernelError::map(map::ON_RECORD, source);
        let wanted: Vec<(Key<Addr>, u32)> =
            wanted.iter().map(|(net, on_record)| (watch_list::key(net.net()), u32::from(*on_record))).collect();
        for (key, on_record) in &wanted {
            match self.on_record.insert(key, *on_record, 0) {
                Ok(()) => {}
                // The page is then shown to some who are on record: better than not at all.
                Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOSPC) => {
                    tracing::warn!(entries = wanted.len(), "not everyone on record has room in the kernel's table");
                    break;
                }
                Err(source) => return Err(fail(source)),
            }
        }
        let kept: HashSet<(u32, [u8; 16])> = wanted.iter().map(|(key, _)| identity(key)).collect();
        let present: Vec<_> = self.on_record.keys().collect::<Result<_, _>>().map_err(fail)?;
        for key in present.iter().filter(|key| !kept.contains(&identity(key))) {
            self.on_record.remove(key).map_err(fail)?;
        }
        Ok(())
    }
}

/// The table's key in a form that can be hashed.
fn identity(key: &Key<Addr>) -> (u32, [u8; 16]) {
    let addr = key.data();
    (key.prefix_len(), addr.bytes)
}

/// Puts the program on the interfaces. The links are the process's: they go with it.
pub(super) fn attach(ebpf: &mut Ebpf, interfaces: &[String]) -> Result<(), KernelError> {
    let program: &mut SchedClassifier = ebpf
        .program_mut(program::STAND_IN)
        .ok_or(KernelError::ProgramMissing(program::STAND_IN))?
        .try_into()
        .map_err(|source| KernelError::program(program::STAND_IN, source))?;
    for name in interfaces {
        // A program before ours that passes a packet would end the chain; ours only ends it for its own.
        let order = TcAttachOptions::TcxOrder(LinkOrder::first());
        program.attach_with_options(name, TcAttachType::Ingress, order).map_err(|error| {
            let reason = format!("{}; it needs tcx (Linux 6.6), or standin.enabled = false", program_reason(&error));
            refused(name, "the stand-in page's tc ingress", reason)
        })?;
    }
    Ok(())
}
