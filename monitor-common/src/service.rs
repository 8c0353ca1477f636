//! Services that have answered, are listed, or are failed.

use crate::Addr;

/// How many silences of a service are remembered: enough for a time-out of up to 4.5 seconds, as each is longer than
/// [`crate::SILENCE_NS`] and the one that an attempt lies in may be over at once after it.
const SILENCES: usize = 3;

/// `address:port`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServiceKey {
    /// The server.
    pub addr: Addr,
    /// TCP port.
    pub port: u16,
    /// Keys are compared byte by byte. Two fields: to clear an array of three, the compiler calls a function.
    pub _pad: u16,
    /// As above.
    pub _pad2: u32,
}

const _: () = assert!(size_of::<ServiceKey>() == 24);

impl ServiceKey {
    /// The service on `port` of `addr`.
    #[inline(always)]
    #[must_use]
    pub const fn new(addr: Addr, port: u16) -> Self {
        Self { addr, port, _pad: 0, _pad2: 0 }
    }
}

/// Bits of [`ServiceState::flags`] and [`crate::Event::standing`].
pub struct ServiceFlags;

impl ServiceFlags {
    /// The watch list names this port.
    pub const LISTED: u32 = 1;
    /// It has answered, on this path or before a restart.
    pub const ANSWERED: u32 = 2;
}

/// What is known of a service.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceState {
    /// When it last answered anybody on this path, a clock tick early at most; 0: never since the map was made.
    pub last_answer_ns: u64,
    /// When the daemon marked it failed; 0: it is not.
    pub failed_ns: u64,
    /// [`ServiceFlags`].
    pub flags: u32,
    /// How often it has answered, modulo 2^32: exact where two times would be too close to compare.
    pub answers: u32,
    /// When its latest outage ended; 0: none that is known. Attempts up to then are the daemon's to judge.
    pub ended_ns: u64,
    /// Until when every answer is reported, failed or not.
    pub report_until_ns: u64,
    /// The latest SYN that it answered. It was up when that arrived, so an earlier one that was not answered is its client's own
    /// trouble (design rule 2).
    pub answered_syn_ns: u64,
    /// Its latest silences that were longer than [`crate::SILENCE_NS`], the latest first.
    pub silences: [SilentSpan; SILENCES],
}

const _: () = assert!(size_of::<ServiceState>() == 96);

impl ServiceState {
    /// Remembers a silence in place of the oldest.
    #[inline(always)]
    pub(crate) const fn add_silence(&mut self, silence: SilentSpan) {
        let mut index = SILENCES - 1;
        while index > 0 {
            self.silences[index] = self.silences[index - 1];
            index -= 1;
        }
        self.silences[0] = silence;
    }

    /// The latest silence that holds this moment; both of its times are 0 if none is remembered. Two overlap where a SYN came
    /// just before the answer to an earlier one.
    ///
    /// Without a branch: the verifier follows each way through these comparisons at each place that asks.
    #[inline(always)]
    #[must_use]
    pub const fn silence_at(&self, at_ns: u64) -> SilentSpan {
        let mut found = SilentSpan { from_ns: 0, to_ns: 0 };
        let mut index = SILENCES;
        while index > 0 {
            index -= 1;
            let SilentSpan { from_ns, to_ns } = self.silences[index];
            // All ones if from < at < to, as no time reaches 2^63 ns; else all zeros.
            let holds = ((from_ns.wrapping_sub(at_ns) & at_ns.wrapping_sub(to_ns)).cast_signed() >> 63).cast_unsigned();
            found.from_ns ^= (found.from_ns ^ from_ns) & holds;
            found.to_ns ^= (found.to_ns ^ to_ns) & holds;
        }
        found
    }
}

/// A time in which a service answered nobody.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SilentSpan {
    /// The latest SYN that it answered before.
    pub from_ns: u64,
    /// The first answer after that; both 0: none.
    pub to_ns: u64,
}

#[cfg(feature = "user")]
mod user {
    // SAFETY: `repr(C)`, integers only, no implicit padding (size asserted above).
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::ServiceKey {}
    // SAFETY: as above.
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for super::ServiceState {}
}
