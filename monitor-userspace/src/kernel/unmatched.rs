//! What another gateway asks: whether an attempt that it saw was answered here.

use std::time::Duration;

use aya::maps::{Array, MapData};
use monitor_common::{Addr, Settings, SlotState, SlotWord, flow_hash, map, unmatched_place};
use monitor_core::{
    domain::{MonotonicNs, UnixMs},
    outage::Question,
};

use super::{Kernel, error::KernelError};

/// Gateways' clocks agree to within this.
const CLOCKS: Duration = Duration::from_secs(1);

impl Kernel {
    /// When the service is known to have answered this attempt, or anybody since: the time of its SYN if just that answer
    /// was seen here, else that of the service's latest answer of a SYN that was seen here. `None`: nothing is known.
    pub fn hear(&self, question: &Question) -> Result<Option<UnixMs>, KernelError> {
        if self.answered_without_syn(question)? {
            return Ok(Some(question.since));
        }
        let Some(state) = self.service(question.service)? else { return Ok(None) };
        let answered = (state.last_answer_ns != 0).then(|| self.clock().unix(MonotonicNs(state.last_answer_ns)));
        Ok(answered.filter(|answered| *answered >= question.since + CLOCKS))
    }

    /// Whether the answer of just this SYN passed, and its SYN did not.
    fn answered_without_syn(&self, question: &Question) -> Result<bool, KernelError> {
        let settings = self.ebpf.map(map::SETTINGS).ok_or(KernelError::MapMissing(map::SETTINGS))?;
        let settings: Array<&MapData, Settings> =
            settings.try_into().map_err(|source| KernelError::map(map::SETTINGS, source))?;
        let settings = settings.get(&0, 0).map_err(|source| KernelError::map(map::SETTINGS, source))?;
        let unmatched = self.ebpf.map(map::UNMATCHED).ok_or(KernelError::MapMissing(map::UNMATCHED))?;
        let unmatched: Array<&MapData, u64> =
            unmatched.try_into().map_err(|source| KernelError::map(map::UNMATCHED, source))?;
        let (client, server) = (Addr::from(question.client.ip()), Addr::from(question.service.addr()));
        let hash = flow_hash(settings.hash_seed, client, server, question.client_port, question.service.port());
        let place = unmatched_place(hash, settings.deadline_mask);
        // One entry: no other gateway asks.
        let word = if place < unmatched.len() {
            unmatched.get(&place, 0).map_err(|source| KernelError::map(map::UNMATCHED, source))?
        } else {
            0
        };
        Ok(word == SlotWord::new(hash, question.seq, SlotState::Pending).0)
    }
}
