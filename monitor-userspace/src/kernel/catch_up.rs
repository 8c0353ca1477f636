//! What happened while no daemon lived, or was read by one that did not live to commit it.

use std::net::IpAddr;

use aya::maps::{Array, HashMap, MapData};
use monitor_common::{Addr, Event, EventKind, Evidence, HostState, Note, NoteKey, ServiceKey, map};
use monitor_core::{domain::Service, outage::Mark};

use super::{Kernel, error::KernelError, services};

impl Kernel {
    /// Everything that was reported up to `at`, in kernel nanoseconds, is in the store.
    pub fn commit(&mut self, at: u64) -> Result<(), KernelError> {
        let map = self.ebpf.map_mut(map::COMMITTED).ok_or(KernelError::MapMissing(map::COMMITTED))?;
        let mut committed: Array<&mut MapData, u64> =
            map.try_into().map_err(|source| KernelError::map(map::COMMITTED, source))?;
        let before = committed.get(&0, 0).map_err(|source| KernelError::map(map::COMMITTED, source))?;
        if at > before {
            committed.set(0, at, 0).map_err(|source| KernelError::map(map::COMMITTED, source))?;
        }
        Ok(())
    }

    fn committed(&self) -> Result<u64, KernelError> {
        let map = self.ebpf.map(map::COMMITTED).ok_or(KernelError::MapMissing(map::COMMITTED))?;
        let committed: Array<&MapData, u64> =
            map.try_into().map_err(|source| KernelError::map(map::COMMITTED, source))?;
        committed.get(&0, 0).map_err(|source| KernelError::map(map::COMMITTED, source))
    }

    /// Clients that were reported as failed after the last commit, as the events that reported them: an earlier daemon
    /// may have read these from the ring buffer and not lived to commit them.
    pub fn uncommitted(&self) -> Result<Vec<Event>, KernelError> {
        let committed = self.committed()?;
        let notes = self.ebpf.map(map::NOTES).ok_or(KernelError::MapMissing(map::NOTES))?;
        let notes: HashMap<&MapData, NoteKey, Note> =
            notes.try_into().map_err(|source| KernelError::map(map::NOTES, source))?;
        let mut events = Vec::new();
        for entry in notes.iter() {
            let (key, note) = entry.map_err(|source| KernelError::map(map::NOTES, source))?;
            let Some(evidence) = Evidence::from_number(note.evidence).filter(|_| note.reported_ns > committed) else {
                continue;
            };
            let state =
                self.service(services::service(&ServiceKey::new(key.server, key.server_port)))?.unwrap_or_default();
            events.push(Event {
                kind: EventKind::Failed,
                evidence,
                client: key.client,
                server: key.server,
                seen_ns: note.reported_ns,
                at_ns: note.reported_ns,
                last_answer_ns: state.last_answer_ns,
                client_port: note.client_port,
                server_port: key.server_port,
                attempts: 1 + note.unreported,
                standing: state.flags,
                ifindex: 0,
                answers: state.answers,
                seq: note.seq,
            });
        }
        Ok(events)
    }

    /// What takes back the marks of services, and of hosts, that have no outage among these services any more: an
    /// earlier daemon closed it and did not live to say so.
    pub fn marks_beyond(&self, failed: &[Service]) -> Result<Vec<Mark>, KernelError> {
        let mut marks: Vec<_> = self
            .services()?
            .into_iter()
            .filter(|(service, state)| state.failed_ns != 0 && !failed.contains(service))
            .map(|(service, _)| Mark::Recovered(service))
            .collect();
        let hosts = self.ebpf.map(map::HOSTS).ok_or(KernelError::MapMissing(map::HOSTS))?;
        let hosts: HashMap<&MapData, Addr, HostState> =
            hosts.try_into().map_err(|source| KernelError::map(map::HOSTS, source))?;
        for host in hosts.keys() {
            let host = IpAddr::from(host.map_err(|source| KernelError::map(map::HOSTS, source))?);
            if !failed.iter().any(|service| service.addr() == host) {
                marks.push(Mark::HostRecovered(host));
            }
        }
        Ok(marks)
    }
}
