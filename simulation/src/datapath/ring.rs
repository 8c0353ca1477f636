//! The ring buffer of events: bounded in bytes, and freed only by whoever reads it.

use std::collections::VecDeque;

use monitor_common::Event;

/// Bytes of one record: a header and the event.
const RECORD: u64 = 8 + size_of::<Event>() as u64;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    bytes: u64,
    events: VecDeque<Event>,
    released: u64,
}

impl Ring {
    pub(super) const fn new(bytes: u64) -> Self {
        Self { bytes, events: VecDeque::new(), released: 0 }
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&self) -> bool {
        (self.events.len() as u64 + 1) * RECORD < self.bytes
    }

    pub(super) fn push(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(super) fn events(&self, skip: usize) -> impl Iterator<Item = &Event> {
        self.events.iter().skip(skip)
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) const fn released(&self) -> u64 {
        self.released
    }

    pub(super) fn release(&mut self, events: usize) {
        self.released += self.events.drain(..events).count() as u64;
    }
}
