//! The kernel's side of the stand-in page: its program on the watched interfaces, and its two maps.
//!
//! Nothing of it is pinned: program and maps go with the process, and what arrives then passes as it did before.

use std::collections::{HashMap, HashSet};

use aya::{
    Ebpf,
    maps::{Array, LpmTrie, MapData, MapError, lpm_trie::Key},
    programs::{
        LinkOrder, SchedClassifier, TcAttachType,
        tc::{SchedClassifierLinkId, TcAttachOptions},
    },
};
use monitor_common::{Addr, StandIn, map, program};

use super::{
    attach::refused,
    error::{KernelError, program_reason},
    interface, watch_list,
};
use crate::{config::ClientNet, outage::MonotonicNs};

/// How long the programs go on without a word of the daemon's.
const LEASE_NS: u64 = 5_000_000_000;

/// Where the page listens, and what other ports of failed services answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandInTargets {
    /// Port on 127.0.0.1; 0: none.
    pub port_v4: u16,
    /// Port on ::1; 0: none.
    pub port_v6: u16,
    /// [`monitor_common::OtherPorts`].
    pub other_ports: u32,
    /// Whether there are certificates; for which servers says [`StandInMaps::set_tls`].
    pub tls: bool,
}

/// What the page tells the programs.
pub struct StandInMaps {
    entry: Array<MapData, StandIn>,
    tls: LpmTrie<MapData, Addr, u32>,
    on_record: LpmTrie<MapData, Addr, u32>,
}

impl StandInMaps {
    /// Takes the maps out of the object: from here on only the page writes them.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let mut take = |name| ebpf.take_map(name).ok_or(KernelError::MapMissing(name));
        let fail = |name| move |source| KernelError::map(name, source);
        Ok(Self {
            entry: take(map::STAND_IN)?.try_into().map_err(fail(map::STAND_IN))?,
            tls: take(map::STAND_IN_TLS)?.try_into().map_err(fail(map::STAND_IN_TLS))?,
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
            tls: u32::from(targets.tls),
            _pad: 0,
        };
        self.entry.set(0, entry, 0).map_err(|source| KernelError::map(map::STAND_IN, source))
    }

    /// Ends the steering: from now on every SYN passes. Connections that are open go on.
    pub fn stop(&mut self) -> Result<(), KernelError> {
        self.entry.set(0, StandIn::default(), 0).map_err(|source| KernelError::map(map::STAND_IN, source))
    }

    /// Says for which servers there are certificates.
    pub fn set_tls(&mut self, wanted: &[ClientNet]) -> Result<(), KernelError> {
        let wanted: Vec<_> = wanted.iter().map(|net| (*net, true)).collect();
        put(&mut self.tls, map::STAND_IN_TLS, &wanted)
    }

    /// Says for which clients the page is not: networks with `true`, and those inside them that it is for after all.
    pub fn set_on_record(&mut self, wanted: &[(ClientNet, bool)]) -> Result<(), KernelError> {
        put(&mut self.on_record, map::ON_RECORD, wanted)
    }
}

/// Makes a table of networks hold exactly this.
fn put(
    table: &mut LpmTrie<MapData, Addr, u32>,
    name: &'static str,
    wanted: &[(ClientNet, bool)],
) -> Result<(), KernelError> {
    let fail = |source| KernelError::map(name, source);
    let wanted: Vec<(Key<Addr>, u32)> =
        wanted.iter().map(|(net, value)| (watch_list::key(net.net()), u32::from(*value))).collect();
    for (key, value) in &wanted {
        match table.insert(key, *value, 0) {
            Ok(()) => {}
            // The page is then shown to some who are on record, or not for some servers: better than not at all.
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOSPC) => {
                tracing::warn!(table = name, entries = wanted.len(), "not every entry has room in the kernel's table");
                break;
            }
            Err(source) => return Err(fail(source)),
        }
    }
    let kept: HashSet<(u32, [u8; 16])> = wanted.iter().map(|(key, _)| identity(key)).collect();
    let present: Vec<_> = table.keys().collect::<Result<_, _>>().map_err(fail)?;
    for key in present.iter().filter(|key| !kept.contains(&identity(key))) {
        table.remove(key).map_err(fail)?;
    }
    Ok(())
}

/// The table's key in a form that can be hashed.
fn identity(key: &Key<Addr>) -> (u32, [u8; 16]) {
    let addr = key.data();
    (key.prefix_len(), addr.bytes)
}

/// Where the program is; the links are the process's, and go with it.
pub(super) type Links = HashMap<(String, u32), SchedClassifierLinkId>;

/// Puts the program on these interfaces, and takes it off all others.
pub(super) fn attach(ebpf: &mut Ebpf, links: &mut Links, interfaces: &[String]) -> Result<(), KernelError> {
    let failed = |source| KernelError::program(program::STAND_IN, source);
    let program: &mut SchedClassifier = ebpf
        .program_mut(program::STAND_IN)
        .ok_or(KernelError::ProgramMissing(program::STAND_IN))?
        .try_into()
        .map_err(failed)?;
    let mut wanted = HashSet::new();
    for name in interfaces {
        let place = (name.clone(), interface::index(name)?);
        if !links.contains_key(&place) {
            // A program before ours that passes a packet would end the chain; ours only ends it for its own.
            let order = TcAttachOptions::TcxOrder(LinkOrder::first());
            let link = program.attach_with_options(name, TcAttachType::Ingress, order).map_err(|error| {
                let reason =
                    format!("{}; it needs tcx (Linux 6.6), or standin.enabled = false", program_reason(&error));
                refused(name, "the stand-in page's tc ingress", reason)
            })?;
            links.insert(place.clone(), link);
        }
        wanted.insert(place);
    }
    let gone: Vec<_> = links.keys().filter(|place| !wanted.contains(*place)).cloned().collect();
    for place in gone {
        if let Some(link) = links.remove(&place)
            && let Err(error) = program.detach(link)
        {
            // Its interface went away, and the link with it.
            tracing::debug!(interface = place.0, %error, "the stand-in page's link is gone");
        }
    }
    Ok(())
}
