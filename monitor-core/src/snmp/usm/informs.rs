//! Informs that were taken within the time window, so that one that comes again is acknowledged again and has no second
//! effect (pure).
//!
//! The authority on their time is our own engine, which starts with other boots: nothing of this outlives the process.

use std::collections::HashMap;

use super::{
    UsmRefusal,
    window::{LARGEST_WINDOW, TIME_WINDOW},
};

/// Bytes of a digest that tell a message from any other: the shortest digest has as many (RFC 3414 section 6.3.1).
const DIGEST: usize = 12;

/// What tells an authentic inform from every other one. Its msgID does not: devices that start together send their first
/// informs in the same second, and each of them may count from 1. Nor does its source, which is not authentic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InformKey {
    /// Our snmpEngineTime, as its sender believes it.
    time: u32,
    digest: [u8; DIGEST],
}

impl InformKey {
    /// Of an inform with this digest, which was verified.
    pub(super) fn new(time: u32, digest: &[u8]) -> Self {
        let mut start = [0; DIGEST];
        start.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
        Self { time, digest: start }
    }
}

/// What is known of an inform that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It was not seen before.
    New,
    /// It is being committed.
    Taken,
    /// It was committed: its acknowledgement was lost.
    Committed,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Informs(HashMap<InformKey, bool>);

impl Informs {
    /// Takes an inform at our engine's time `now`, in seconds.
    pub(super) fn take(&mut self, key: InformKey, now: u32) -> Result<Known, UsmRefusal> {
        match self.0.get(&key) {
            Some(false) => return Ok(Known::Taken),
            Some(true) => return Ok(Known::Committed),
            None => {}
        }
        self.0.retain(|key, _| key.time.saturating_add(TIME_WINDOW) >= now);
        if self.0.len() >= LARGEST_WINDOW {
            return Err(UsmRefusal::WindowFull);
        }
        self.0.insert(key, false);
        Ok(Known::New)
    }

    /// What follows from the inform is in the store.
    pub(super) fn committed(&mut self, key: InformKey) {
        if let Some(committed) = self.0.get_mut(&key) {
            *committed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{InformKey, Informs, Known, LARGEST_WINDOW, TIME_WINDOW, UsmRefusal};

    fn key(time: u32, message: usize) -> InformKey {
        InformKey::new(time, &message.to_be_bytes())
    }

    #[test]
    fn an_inform_is_new_once_until_nobody_can_send_it_again() {
        let mut informs = Informs::default();
        let first = key(10, 1);
        assert_eq!(informs.take(first, 10), Ok(Known::New));
        assert_eq!(informs.take(first, 11), Ok(Known::Taken));
        informs.committed(first);
        assert_eq!(informs.take(first, 10 + TIME_WINDOW), Ok(Known::Committed));
        for message in 2..=LARGEST_WINDOW {
            assert_eq!(informs.take(key(10, message), 10), Ok(Known::New));
        }
        assert_eq!(informs.take(key(10, 0), 10), Err(UsmRefusal::WindowFull));
        let later = 11 + TIME_WINDOW;
        assert_eq!(informs.take(key(later, 0), later), Ok(Known::New));
        assert_eq!(informs.0.len(), 1);
    }
}
