//! Whether a trap of an SNMPv3 engine is new: its time window and what was received in it before (RFC 3414 section 3.2,
//! step 7b; pure).
//!
//! The sender of a trap is the authority on its own time. Only traps that mean recovery are remembered: another one that
//! comes twice has no effect either time.

use std::collections::HashMap;

use super::UsmRefusal;
use crate::{domain::UnixMs, snmp::RemoteEngine};

/// How much older than the newest a message may be, in seconds (RFC 3414 section 2.2.3).
pub(super) const TIME_WINDOW: u32 = 150;

/// snmpEngineBoots of an engine that must be given new keys (RFC 3414 section 2.2.2).
pub(super) const BOOTS_EXHAUSTED: u32 = i32::MAX as u32;

/// Recoveries that one engine may report within a time window.
pub(super) const LARGEST_WINDOW: usize = 4096;

/// What tells a message from every other one of its engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct EngineStamp {
    /// snmpEngineBoots.
    pub(super) boots: u32,
    /// snmpEngineTime, in seconds.
    pub(super) time: u32,
    /// msgID.
    pub(super) message: i32,
}

/// The engines that have sent authenticated messages.
#[derive(Debug, Default)]
pub(super) struct Windows {
    engines: HashMap<Vec<u8>, RemoteEngine>,
}

impl Windows {
    /// Goes on from what the store has kept.
    pub(super) fn new(engines: Vec<RemoteEngine>) -> Self {
        Self { engines: engines.into_iter().map(|engine| (engine.id.clone(), engine)).collect() }
    }

    /// Takes the time of an authenticated message, or says why the message is refused.
    pub(super) fn admit(&mut self, engine: &[u8], stamp: EngineStamp, now: UnixMs) -> Result<(), UsmRefusal> {
        if stamp.boots == BOOTS_EXHAUSTED {
            return Err(UsmRefusal::NotInWindow);
        }
        let Some(known) = self.engines.get_mut(engine) else {
            let (boots, time) = (stamp.boots, stamp.time);
            let first = RemoteEngine { id: engine.to_vec(), boots, time, received: now, seen: Vec::new() };
            self.engines.insert(engine.to_vec(), first);
            return Ok(());
        };
        if (stamp.boots, stamp.time) > (known.boots, known.time) {
            if stamp.boots > known.boots {
                known.seen.clear();
            }
            known.boots = stamp.boots;
            known.time = stamp.time;
            known.received = now;
            known.seen.retain(|(time, _)| time.saturating_add(TIME_WINDOW) >= stamp.time);
            return Ok(());
        }
        let elapsed = u32::try_from(now.since(known.received).as_secs()).unwrap_or(u32::MAX);
        let engine_now = known.time.saturating_add(elapsed);
        if stamp.boots < known.boots || stamp.time.saturating_add(TIME_WINDOW) < engine_now {
            return Err(UsmRefusal::NotInWindow);
        }
        if known.seen.contains(&(stamp.time, stamp.message)) {
            return Err(UsmRefusal::Replayed);
        }
        Ok(())
    }

    /// Remembers an admitted message that means recovery; returns what the store must keep before it is acted on.
    pub(super) fn remember(&mut self, engine: &[u8], stamp: EngineStamp) -> Result<RemoteEngine, UsmRefusal> {
        let known = self.engines.get_mut(engine).ok_or(UsmRefusal::NotInWindow)?;
        if known.seen.len() >= LARGEST_WINDOW {
            return Err(UsmRefusal::WindowFull);
        }
        known.seen.push((stamp.time, stamp.message));
        Ok(known.clone())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::{BOOTS_EXHAUSTED, EngineStamp, LARGEST_WINDOW, TIME_WINDOW, UsmRefusal, Windows};
    use crate::domain::UnixMs;

    const ENGINE: &[u8] = &[0x80, 0, 0, 0, 1, 2];

    fn stamp(boots: u32, time: u32, message: i32) -> EngineStamp {
        EngineStamp { boots, time, message }
    }

    fn at(seconds: u64) -> UnixMs {
        UnixMs(1_700_000_000_000 + i64::try_from(seconds).unwrap() * 1000)
    }

    #[test]
    fn a_message_is_taken_once_and_not_after_its_window() {
        let mut windows = Windows::default();
        windows.admit(ENGINE, stamp(3, 1000, 7), at(0)).unwrap();
        windows.remember(ENGINE, stamp(3, 1000, 7)).unwrap();
        assert_eq!(windows.admit(ENGINE, stamp(3, 1000, 7), at(1)), Err(UsmRefusal::Replayed));
        windows.admit(ENGINE, stamp(3, 1000, 8), at(1)).unwrap();
        // No newer message has come, but the engine's clock goes on.
        assert_eq!(windows.admit(ENGINE, stamp(3, 1000, 9), at(151)), Err(UsmRefusal::NotInWindow));
        windows.admit(ENGINE, stamp(3, 1001, 9), at(151)).unwrap();
        assert_eq!(windows.admit(ENGINE, stamp(2, 9999, 10), at(151)), Err(UsmRefusal::NotInWindow));
        windows.admit(ENGINE, stamp(4, 0, 1), at(152)).unwrap();
        assert_eq!(windows.admit(ENGINE, stamp(BOOTS_EXHAUSTED, 1, 1), at(152)), Err(UsmRefusal::NotInWindow));
    }

    #[test]
    fn a_window_has_a_limit() {
        let mut windows = Windows::default();
        windows.admit(ENGINE, stamp(1, 5, 0), at(0)).unwrap();
        for message in 0..i32::try_from(LARGEST_WINDOW).unwrap() {
            windows.remember(ENGINE, stamp(1, 5, message)).unwrap();
        }
        assert_eq!(windows.remember(ENGINE, stamp(1, 5, -1)), Err(UsmRefusal::WindowFull));
        windows.admit(ENGINE, stamp(1, 6 + TIME_WINDOW, 0), at(151)).unwrap();
        windows.remember(ENGINE, stamp(1, 6 + TIME_WINDOW, 0)).unwrap();
    }

    proptest! {
        #[test]
        fn nothing_is_taken_twice_in_any_order_and_over_restarts(
            messages in proptest::collection::vec((1u32..4, 0u32..400, 0i32..3, 0u64..200, any::<bool>()), 1..80),
        ) {
            let mut windows = Windows::default();
            let mut taken = HashSet::new();
            let mut now = 0;
            for (boots, time, message, pause, restart) in messages {
                now += pause;
                let stamp = stamp(boots, time, message);
                if windows.admit(ENGINE, stamp, at(now)).is_ok() {
                    let kept = windows.remember(ENGINE, stamp).unwrap();
                    prop_assert!(taken.insert(stamp), "{stamp:?} twice");
                    if restart {
                        windows = Windows::new(vec![kept]);
                    }
                }
            }
        }
    }
}
