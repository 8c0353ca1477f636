//! The ring buffer, read in batches.

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use monitor_common::{Event, map};
use tokio::io::unix::AsyncFd;

use super::error::KernelError;

/// The reading end of the ring buffer.
pub struct Events {
    ring: AsyncFd<RingBuf<MapData>>,
    /// Records of another layout: counted, never acted on.
    pub unreadable: u64,
}

impl Events {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let map = ebpf.take_map(map::EVENTS).ok_or(KernelError::MapMissing(map::EVENTS))?;
        let ring = RingBuf::try_from(map).map_err(|source| KernelError::map(map::EVENTS, source))?;
        // SAFETY: the ring buffer owns its descriptor and gives out the same one until it is dropped.
        let ring = unsafe { AsyncFd::register(ring) }.map_err(|error| KernelError::Events(error.into_parts().1))?;
        Ok(Self { ring, unreadable: 0 })
    }

    /// Waits for events and takes up to `limit` of them. Cancel-safe: an event is taken whole or not at all.
    pub async fn batch(&mut self, limit: usize) -> Result<Vec<Event>, KernelError> {
        loop {
            let mut ready = self.ring.readable_mut().await.map_err(KernelError::Events)?;
            let batch = take(ready.get_inner_mut(), limit, &mut self.unreadable);
            if batch.len() < limit {
                ready.clear_ready();
            }
            if !batch.is_empty() {
                return Ok(batch);
            }
        }
    }

    /// Takes up to `limit` events that are there now.
    pub fn take(&mut self, limit: usize) -> Vec<Event> {
        take(self.ring.get_mut(), limit, &mut self.unreadable)
    }
}

fn take(ring: &mut RingBuf<MapData>, limit: usize, unreadable: &mut u64) -> Vec<Event> {
    let mut batch = Vec::new();
    while batch.len() < limit {
        let Some(item) = ring.next() else { break };
        match Event::from_bytes(&item) {
            Some(event) => batch.push(event),
            None => *unreadable += 1,
        }
    }
    batch
}
