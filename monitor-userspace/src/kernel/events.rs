//! The ring buffer, read in batches.

use aya::{Ebpf, maps::Map};
use monitor_common::{Event, map};
use tokio::io::unix::AsyncFd;

use super::{error::KernelError, ring::Ring};

/// The reading end of the ring buffer.
pub struct Events {
    ring: AsyncFd<Ring>,
    /// Records of another layout: counted, never acted on.
    pub unreadable: u64,
}

impl Events {
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let Some(Map::RingBuf(map)) = ebpf.take_map(map::EVENTS) else {
            return Err(KernelError::MapMissing(map::EVENTS));
        };
        let ring = Ring::new(map).map_err(KernelError::Events)?;
        // SAFETY: the ring owns its descriptor and gives out the same one until it is dropped.
        let ring = unsafe { AsyncFd::register(ring) }.map_err(|error| KernelError::Events(error.into_parts().1))?;
        Ok(Self { ring, unreadable: 0 })
    }

    /// Waits for events and takes up to `limit` of them. Cancel-safe: an event is taken whole or not at all.
    ///
    /// What was taken before is to be let go first: as long as it is not, the kernel wakes nobody.
    pub async fn batch(&mut self, limit: usize) -> Result<Vec<Event>, KernelError> {
        loop {
            let batch = self.take(limit);
            if !batch.is_empty() {
                return Ok(batch);
            }
            let mut ready = self.ring.readable_mut().await.map_err(KernelError::Events)?;
            let batch = take(ready.get_inner_mut(), limit, &mut self.unreadable);
            if batch.is_empty() {
                ready.clear_ready();
            } else {
                return Ok(batch);
            }
        }
    }

    /// Takes up to `limit` events that are there now.
    pub fn take(&mut self, limit: usize) -> Vec<Event> {
        take(self.ring.get_mut(), limit, &mut self.unreadable)
    }

    /// Up to where events are taken.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.ring.get_ref().position()
    }

    /// Passes over what was taken before.
    pub fn skip_to(&mut self, position: u64) {
        self.ring.get_mut().skip_to(position);
    }

    /// Lets go of what was taken: it is not given to anybody again.
    pub fn release(&mut self) {
        self.ring.get_mut().release();
    }
}

fn take(ring: &mut Ring, limit: usize, unreadable: &mut u64) -> Vec<Event> {
    let mut batch = Vec::new();
    while batch.len() < limit {
        let Some(record) = ring.next() else { break };
        match Event::from_bytes(record) {
            Some(event) => batch.push(event),
            None => *unreadable += 1,
        }
    }
    batch
}
