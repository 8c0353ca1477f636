//! SYN/ACKs that matched no SYN of this gateway: where several share the traffic, another one asks for them.

use aya::maps::{Array, MapData};
use monitor_common::{Addr, Settings, SlotState, SlotWord, flow_hash, map, unmatched_place};
use monitor_core::outage::Question;

use super::{Kernel, error::KernelError};

impl Kernel {
    /// Whether the answer of just this SYN passed, and its SYN did not.
    pub fn has_unmatched_answer(&self, question: &Question) -> Result<bool, KernelError> {
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
        Ok(SlotWord(word).may_answer(SlotWord::new(hash, question.seq, SlotState::Pending)))
    }
}
