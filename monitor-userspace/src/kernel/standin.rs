//! The kernel's side of the stand-in page: its program on the watched interfaces, and its maps.
//!
//! The program is on the interfaces only while a service is failed that has the page, and as long afterwards as connections to
//! the page may be open: no frame passes it when all is well. Nothing of it is pinned: program and maps go with the process,
//! and what arrives then passes as it did before. Without tcx (before Linux 6.6) the program is a filter, which a killed process
//! leaves behind: five seconds later it steers nothing any more, and the next start or `cleanup` removes it.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use aya::{
    Ebpf,
    maps::{Array, LpmTrie, MapData, MapError, lpm_trie::Key},
    programs::{SchedClassifier, TcAttachType, tc::SchedClassifierLinkId},
};
use monitor_common::{Addr, STAND_IN_PORT, STAND_IN_TLS_PORT, STEERED_FOR_NS, StandIn, map, program};
use monitor_core::domain::{ClientNet, MonotonicNs, Service};

use super::{
    error::KernelError,
    hook,
    interface::{self, LinkLayer},
    pins,
    tc::{self, FilterPlace},
    watch_list,
};
use crate::clock::Now as _;

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

/// Where the program is.
type Links = HashMap<(String, u32), SchedClassifierLinkId>;

/// Where the program is to be, and where it is.
pub(super) struct Steerer {
    /// Where it is remembered which filters there are.
    pin_dir: PathBuf,
    interfaces: Vec<String>,
    links: Links,
    /// Those that have the page.
    failed: HashSet<Service>,
    /// When the last of them recovered.
    recovered: Option<MonotonicNs>,
}

impl Drop for Steerer {
    /// After the programs, which are off their interfaces by then.
    fn drop(&mut self) {
        if let Err(error) = pins::remove_stand_in(&self.pin_dir, &[]) {
            tracing::error!(%error, "the stand-in page's filters are left: run `ringback cleanup`");
        }
    }
}

impl Steerer {
    pub(super) fn new(pin_dir: &Path) -> Self {
        Self {
            pin_dir: pin_dir.to_path_buf(),
            interfaces: Vec::new(),
            links: Links::new(),
            failed: HashSet::new(),
            recovered: None,
        }
    }

    /// Takes these interfaces from here on. The program is put on each, so that what cannot be is known at once.
    pub(super) fn configure(&mut self, ebpf: &mut Ebpf, interfaces: &[String]) -> Result<(), KernelError> {
        // The page is for browsers in a network; a frame that is answered in the server's name has a link-layer header.
        let has_header = |name: &&String| !LinkLayer::of(name).is_ok_and(|layer| layer == LinkLayer::None);
        self.interfaces = interfaces.iter().filter(has_header).cloned().collect();
        for name in interfaces.iter().filter(|name| !has_header(name)) {
            tracing::warn!(
                interface = name,
                "the stand-in page is not shown by this interface: it has no link-layer header"
            );
        }
        self.attach(ebpf, &self.interfaces.clone())?;
        let kept: Vec<_> = self.links.keys().map(|(_, index)| pins::stand_in_path(&self.pin_dir, *index)).collect();
        pins::remove_stand_in(&self.pin_dir, &kept)?;
        self.rest(ebpf, MonotonicNs::now())
    }

    /// A service is marked as failed; its page needs the program.
    pub(super) fn failed(&mut self, ebpf: &mut Ebpf, service: Service) -> Result<(), KernelError> {
        if matches!(service.port(), STAND_IN_PORT | STAND_IN_TLS_PORT)
            && self.failed.insert(service)
            && self.failed.len() == 1
        {
            return self.attach(ebpf, &self.interfaces.clone());
        }
        Ok(())
    }

    /// A service has recovered.
    pub(super) fn recovered(&mut self, service: Service) {
        if self.failed.remove(&service) {
            self.recovered = Some(MonotonicNs::now());
        }
    }

    /// Takes the program off when nobody can need it any more.
    pub(super) fn rest(&mut self, ebpf: &mut Ebpf, now: MonotonicNs) -> Result<(), KernelError> {
        if self.links.is_empty() || self.is_needed(now) { Ok(()) } else { self.attach(ebpf, &[]) }
    }

    /// Whether a service is failed, or a connection to the page may still be open.
    fn is_needed(&self, now: MonotonicNs) -> bool {
        !self.failed.is_empty() || self.recovered.is_some_and(|since| now.0.saturating_sub(since.0) < STEERED_FOR_NS)
    }

    /// Puts the program on these interfaces, and takes it off all others.
    fn attach(&mut self, ebpf: &mut Ebpf, interfaces: &[String]) -> Result<(), KernelError> {
        attach(ebpf, &mut self.links, &self.pin_dir, interfaces)
    }
}

/// One interface that does not take the program does not keep it from the others.
fn attach(ebpf: &mut Ebpf, links: &mut Links, pin_dir: &Path, interfaces: &[String]) -> Result<(), KernelError> {
    let failed = |source| KernelError::program(program::STAND_IN, source);
    // A SYN is seen before it is answered for the server.
    let watching = hook::tc_program_id(ebpf);
    let program: &mut SchedClassifier = ebpf
        .program_mut(program::STAND_IN)
        .ok_or(KernelError::ProgramMissing(program::STAND_IN))?
        .try_into()
        .map_err(failed)?;
    let mut wanted = HashSet::new();
    let mut refusal = None;
    for name in interfaces {
        match put_on(program, (links, watching), pin_dir, name) {
            Ok(place) => drop(wanted.insert(place)),
            Err(error) => refusal = refusal.or(Some(error)),
        }
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
    refusal.map_or(Ok(()), Err)
}

/// Puts the program on this interface unless it is there.
fn put_on(
    program: &mut SchedClassifier,
    (links, watching): (&mut Links, Option<u32>),
    pin_dir: &Path,
    name: &str,
) -> Result<(String, u32), KernelError> {
    let ifindex = interface::index(name)?;
    let key = (name.to_owned(), ifindex);
    if !links.contains_key(&key) {
        // Before programs of others: one that passes a packet would end the chain. Ours only ends it for its own packets.
        let place = FilterPlace {
            program: program::STAND_IN,
            how: "the stand-in page's tc ingress",
            side: TcAttachType::Ingress,
            interface: name,
            ifindex,
            after: watching.filter(|id| hook::is_watched_by_tc(*id, pin_dir, (name, ifindex))),
            link: PathBuf::new(),
            filter: pins::stand_in_path(pin_dir, ifindex),
        };
        links.insert(key.clone(), tc::attach_for_now(program, &place)?);
    }
    Ok(key)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use monitor_common::STEERED_FOR_NS;

    use super::Steerer;
    use monitor_core::domain::MonotonicNs;

    /// F-25: connections that were opened before the recovery end properly.
    #[test]
    fn the_program_stays_until_no_connection_can_be_open() {
        let mut steerer = Steerer::new(std::path::Path::new("/nonexistent"));
        assert!(!steerer.is_needed(MonotonicNs(0)));
        let service = "10.0.2.7:80".parse().unwrap();
        steerer.failed.insert(service);
        assert!(steerer.is_needed(MonotonicNs(u64::MAX)), "however long it is failed");
        steerer.recovered(service);
        let recovered = steerer.recovered.unwrap().0;
        assert!(steerer.is_needed(MonotonicNs(recovered + STEERED_FOR_NS - 1)));
        assert!(!steerer.is_needed(MonotonicNs(recovered + STEERED_FOR_NS)));
    }
}
