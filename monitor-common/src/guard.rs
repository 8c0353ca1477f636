//! Guards: ports of this host whose connection requests make the host check itself (D-1 to D-5).
//!
//! The daemon writes rules and a sign of life; the programs count and hold; what the daemon decides on one flow goes to
//! them as a [`GuardRequest`], so that no change of a count or a flow at the same moment is overwritten.

use crate::Addr;

/// Guards that there can be.
pub const MAX_GUARDS: usize = 16;

/// SYNs that all guards together may hold.
pub const MAX_HELD: usize = 1024;

/// Connections to guarded ports that are counted.
pub const MAX_OPEN: usize = 65_536;

/// Places for handshakes that the gate has let through; a power of two. A newer one takes the place of an older one.
pub const HANDSHAKES: usize = 4096;

/// The longest frame that can be held. A SYN with all options and extension headers that are walked is far shorter.
pub const LONGEST_FRAME: usize = 2048;

/// A daemon that has given no sign of life for this long decides nothing: the programs do. Shorter than the second after
/// which a client repeats its SYN.
pub const DEAD_AFTER_NS: u64 = 800_000_000;

/// One connection, seen from its client.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The end that opened it.
    pub client: Addr,
    /// An address of this host.
    pub server: Addr,
    /// Source port.
    pub client_port: u16,
    /// The guarded port.
    pub server_port: u16,
    /// Keys are compared byte by byte.
    pub _pad: u32,
}

const _: () = assert!(size_of::<Flow>() == 40);

/// Bits of [`GuardRule::flags`].
pub struct GuardFlags;

impl GuardFlags {
    /// The connection is established first, then checked (D-2); otherwise its SYN is held (D-3).
    pub const AFTER: u32 = 1;
    /// Without a decision of the daemon a SYN does not pass.
    pub const CLOSED: u32 = 2;
    /// The last check failed.
    pub const SICK: u32 = 4;
    /// Guarded on the loopback interface too: for packet tests and measurements, whose frames come by it. The checks
    /// themselves must not be guarded.
    pub const LOOPBACK: u32 = 8;
    /// Answers of this port say nothing of its health: of an after-guard that is sick.
    pub const HIDES_ANSWERS: u32 = Self::AFTER | Self::SICK;
}

/// What the daemon wants of one guard; only written by it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuardRule {
    /// How long the daemon may take to decide on a held SYN.
    pub hold_ns: u64,
    /// Until then the last result counts and nothing is held; 0: each request is checked.
    pub good_until_ns: u64,
    /// SYNs that may be held at the same time.
    pub max_held: u32,
    /// [`GuardFlags`].
    pub flags: u32,
}

const _: () = assert!(size_of::<GuardRule>() == 24);

/// What the programs count for one guard; only written by them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuardCounts {
    /// Connections that were checked healthy, or came while one was open, and are not over.
    pub open: u64,
    /// SYNs that wait for the daemon.
    pub held: u64,
    /// SYNs that were dropped because the permitted number was held.
    pub overflow: u64,
    /// SYNs that passed without a decision of the daemon.
    pub unchecked: u64,
    /// SYNs that were dropped because the daemon had not decided.
    pub closed: u64,
}

const _: () = assert!(size_of::<GuardCounts>() == 40);

/// Bits of [`Handshake::flags`].
pub struct HandshakeFlags;

impl HandshakeFlags {
    /// The guard was healthy when the SYN passed.
    pub const CHECKED: u32 = 1;
    /// The SYN/ACK was seen: `isn` counts.
    pub const ANSWERED: u32 = 2;
}

/// A SYN that has passed, until the client's ACK.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    /// Hash of the flow.
    pub hash: u64,
    /// Sequence number of the SYN.
    pub seq: u32,
    /// Sequence number of the SYN/ACK.
    pub isn: u32,
    /// [`HandshakeFlags`].
    pub flags: u32,
    /// Explicit padding.
    pub _pad: u32,
}

const _: () = assert!(size_of::<Handshake>() == 24);

/// A SYN that waits for the daemon.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldSyn {
    /// Since when.
    pub at_ns: u64,
    /// Its sequence number.
    pub seq: u32,
    /// Index of the guard.
    pub guard: u32,
}

const _: () = assert!(size_of::<HeldSyn>() == 16);

/// An established connection to a guarded port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlow {
    /// Since when.
    pub at_ns: u64,
    /// Index of the guard.
    pub guard: u32,
    /// 1: counted in [`GuardCounts::open`]; 0: not checked.
    pub checked: u32,
}

const _: () = assert!(size_of::<OpenFlow>() == 16);

/// What [`GuardRequest::op`] asks for.
pub struct GuardOp;

impl GuardOp {
    /// Let go of the held SYN; it comes again (D-3).
    pub const ADMIT: u32 = 1;
    /// The same without a check: its connection does not count as healthy.
    pub const PASS: u32 = 2;
    /// Forget the held SYN, and let its service have an outage.
    pub const REFUSE: u32 = 3;
    /// Forget the held SYN.
    pub const FORGET: u32 = 4;
    /// The established connection is healthy (D-2).
    pub const HEALTHY: u32 = 5;
    /// The connection is over.
    pub const OVER: u32 = 6;
    /// Correct the count of open connections by `seq`, taken as a signed number.
    pub const CORRECT: u32 = 7;
}

/// Input of [`crate::program::GUARD_REQUEST`], behind [`GuardRequest::OFFSET`] unused bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuardRequest {
    /// Which connection.
    pub flow: Flow,
    /// [`GuardOp`].
    pub op: u32,
    /// Index of the guard.
    pub guard: u32,
    /// Sequence number of the SYN.
    pub seq: u32,
    /// Explicit padding.
    pub _pad: u32,
}

const _: () = assert!(size_of::<GuardRequest>() == 56);

impl GuardRequest {
    /// The request stands behind what the kernel takes for an Ethernet header.
    pub const OFFSET: usize = 16;
}

/// Kinds of [`GuardRecord`].
pub struct GuardRecordKind;

impl GuardRecordKind {
    /// A SYN was held; the frame is in the record.
    pub const HELD: u32 = 1;
    /// A connection that was not checked is established; no frame.
    pub const ESTABLISHED: u32 = 2;
}

/// One record of the guards' ring buffer.
#[repr(C)]
pub struct GuardRecord {
    /// When.
    pub at_ns: u64,
    /// Where the frame came in.
    pub ifindex: u32,
    /// How long the frame is.
    pub length: u32,
    /// [`GuardRecordKind`].
    pub kind: u32,
    /// Index of the guard; of an established connection.
    pub guard: u32,
    /// Which connection is established.
    pub flow: Flow,
    /// The held frame as it came; only `length` bytes count.
    pub frame: [u8; LONGEST_FRAME],
}

const _: () = assert!(size_of::<GuardRecord>() == 64 + LONGEST_FRAME);

#[cfg(feature = "user")]
mod user {
    use super::GuardRequest;
    #[cfg(feature = "aya")]
    use super::{Flow, GuardCounts, GuardRule, HeldSyn, OpenFlow};

    // SAFETY: `repr(C)`, integers only, no implicit padding (sizes asserted above).
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for Flow {}
    // SAFETY: as above.
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for GuardRule {}
    // SAFETY: as above.
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for GuardCounts {}
    // SAFETY: as above.
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for HeldSyn {}
    // SAFETY: as above.
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for OpenFlow {}

    impl GuardRequest {
        /// The frame to run the program on.
        #[must_use]
        pub fn frame(&self) -> Vec<u8> {
            let mut frame = vec![0; Self::OFFSET];
            frame.extend_from_slice(&self.flow.client.bytes);
            frame.extend_from_slice(&self.flow.server.bytes);
            frame.extend_from_slice(&self.flow.client_port.to_ne_bytes());
            frame.extend_from_slice(&self.flow.server_port.to_ne_bytes());
            frame.extend_from_slice(&[0; 4]);
            for word in [self.op, self.guard, self.seq, 0] {
                frame.extend_from_slice(&word.to_ne_bytes());
            }
            frame
        }
    }
}
