//! What the eBPF programs and the daemon both read and write: map keys, map values and events.
//!
//! Every type is `#[repr(C)]` with its padding spelled out, so that both sides agree on each byte and no uninitialised
//! byte leaves the kernel. Sizes are asserted at compile time beside each type. Ports and sequence numbers are in host
//! byte order; times are nanoseconds of `CLOCK_MONOTONIC`.
#![cfg_attr(not(feature = "user"), no_std)]

mod addr;
mod arrival;
mod attempt;
mod bucket;
mod counter;
mod event;
mod fate;
mod flow;
mod flow_hash;
mod gate;
mod guard;
mod host;
mod mark;
mod outcome;
mod service;
mod settings;
mod slot;
mod standin;
mod watch;

pub use addr::Addr;
pub use arrival::Arrival;
pub use attempt::{Attempt, Cursor};
pub use bucket::{Bucket, NEAR_BUCKETS, SLOTS, far, first_look, may_be_far, near, tick, unmatched_place};
pub use counter::Counter;
pub use event::{Event, EventKind, Evidence};
pub use fate::{
    Judgement, LATE_ANSWER_NS, SILENCE_NS, in_silence, is_failed, is_late, is_reported, judge, note_answer,
};
pub use flow::FlowWord;
pub use flow_hash::flow_hash;
pub use gate::{Claims, GATE_ENTRIES, GateState};
pub use guard::{
    DEAD_AFTER_NS, Flow, GuardCounts, GuardFlags, GuardOp, GuardRecord, GuardRecordKind, GuardRequest, GuardRule,
    HANDSHAKES, Handshake, HandshakeFlags, HeldSyn, LONGEST_FRAME, MAX_GUARDS, MAX_HELD, MAX_OPEN, OpenFlow,
};
pub use host::HostState;
pub use mark::MarkRequest;
pub use outcome::Outcome;
pub use service::{ServiceFlags, ServiceKey, ServiceState, SilentSpan};
pub use settings::{LAYOUT, OWN_CONNECTIONS, Settings};
pub use slot::{SlotState, SlotTime, SlotWord, is_deadline_of, is_done, rank, step, trying_until_ns};
pub use standin::{
    OtherPorts, SENT_FOR_SERVER, STAND_IN_PORT, STAND_IN_TLS_PORT, STEERED, STEERED_FOR_NS, STEERED_SLOTS, StandIn,
};
pub use watch::{MAX_PORTS, WatchRule};

/// Names of the maps, as the object declares them and as they are pinned. The kernel keeps 15 characters of a name.
pub mod map {
    /// [`crate::Settings`], one entry.
    pub const SETTINGS: &str = "RB_SETTINGS";
    /// Longest prefix of [`crate::Addr`] to [`crate::WatchRule`].
    pub const WATCH: &str = "RB_WATCH";
    /// [`crate::ServiceKey`] to [`crate::ServiceState`].
    pub const SERVICES: &str = "RB_SERVICES";
    /// How many services there is room for.
    pub const SERVICES_ENTRIES: usize = 65_536;
    /// [`crate::Bucket`]s of attempts that were seen.
    pub const PENDING: &str = "RB_PENDING";
    /// [`crate::Attempt`]s in order of their deadline, one ring per CPU.
    pub const DEADLINES: &str = "RB_DEADLINES";
    /// [`crate::Cursor`] of each CPU's ring.
    pub const CURSORS: &str = "RB_CURSORS";
    /// [`crate::Addr`] of hosts with host-level evidence to [`crate::HostState`].
    pub const HOSTS: &str = "RB_HOSTS";
    /// Ring buffer of [`crate::Event`].
    pub const EVENTS: &str = "RB_EVENTS";
    /// [`crate::Counter`] to a count per CPU.
    pub const COUNTERS: &str = "RB_COUNTERS";
    /// [`crate::StandIn`], one entry; not pinned.
    pub const STAND_IN: &str = "RB_STANDIN";
    /// When a SYN to a server was last given to the page, by a few bits of the server's address; 0: never. Packets of servers
    /// where that is long ago are not looked at any further. Apart from the daemon's entry: the program writes it. Not
    /// pinned.
    pub const STEERED: &str = "RB_STEERED";
    /// Longest prefix of [`crate::Addr`] to 1: servers that the page has a certificate for; not pinned.
    pub const STAND_IN_TLS: &str = "RB_STANDIN_TLS";
    /// Longest prefix of [`crate::Addr`] to 1, or 0: clients that the page is not for; not pinned.
    pub const ON_RECORD: &str = "RB_ON_RECORD";
    /// The one timer that finds expired attempts.
    pub const TIMER: &str = "RB_TIMER";

    /// Established connections; one entry while they are not followed.
    pub const FLOWS: &str = "RB_FLOWS";

    /// Unmatched SYN/ACKs: [`crate::SlotWord`]s of attempts whose answer was seen here and whose SYN was not, each at
    /// [`crate::unmatched_place`]; 0: none. One entry where no other gateway asks. Not pinned.
    pub const UNMATCHED: &str = "RB_UNMATCHED";

    /// Port to the index of its guard + 1; 0: none.
    pub const GUARD_PORTS: &str = "RB_GUARD_PORTS";
    /// [`crate::GuardRule`] of each guard.
    pub const GUARDS: &str = "RB_GUARDS";
    /// [`crate::GuardCounts`] of each guard.
    pub const GUARD_COUNTS: &str = "RB_GUARD_COUNTS";
    /// When the daemon last gave a sign of life; one entry.
    pub const GUARD_LIFE: &str = "RB_GUARD_LIFE";
    /// [`crate::Flow`] to [`crate::HeldSyn`].
    pub const HELD: &str = "RB_HELD";
    /// [`crate::Handshake`]s that the gate let through.
    pub const HANDSHAKES: &str = "RB_HANDSHAKES";
    /// [`crate::Flow`] to [`crate::OpenFlow`].
    pub const OPEN: &str = "RB_OPEN";
    /// Ring buffer of [`crate::GuardRecord`].
    pub const GUARD_RING: &str = "RB_GUARD_RING";

    /// [`crate::Addr`] of shared addresses to [`crate::GateState`]; in the object of the gate.
    pub const GATE: &str = "RB_GATE";
    /// [`crate::Addr`] of shared addresses to [`crate::Claims`]; in the object of the gate, not pinned.
    pub const CLAIMS: &str = "RB_CLAIMS";

    /// Every map that is pinned with the object that watches. Those of guards are not: what a dead daemon held is of no use to the next.
    pub const PINNED: [&str; 11] =
        [FLOWS, SETTINGS, WATCH, SERVICES, PENDING, DEADLINES, CURSORS, HOSTS, EVENTS, COUNTERS, TIMER];
}

/// Names of the programs in the object.
pub mod program {
    /// XDP: what arrives.
    pub const INGRESS: &str = "rb_ingress";
    /// TC ingress: the same as [`INGRESS`] where XDP would cost more or is taken.
    pub const INGRESS_TC: &str = "rb_ingress_tc";
    /// TC egress: what this host itself sends.
    pub const EGRESS: &str = "rb_egress";
    /// XDP: what arrives on an interface without a link-layer header.
    pub const INGRESS_IP: &str = "rb_ingress_ip";
    /// TC ingress: the same.
    pub const INGRESS_IP_TC: &str = "rb_ingress_ip_tc";
    /// TC egress: what leaves by such an interface.
    pub const EGRESS_IP: &str = "rb_egress_ip";
    /// TC ingress: gives connections to failed services to the page; attached only when that is configured.
    pub const STAND_IN: &str = "rb_standin";
    /// Arms the timer of [`super::map::TIMER`]; run once, never attached.
    pub const ARM: &str = "rb_arm";
    /// Changes one service's state; run with a [`super::MarkRequest`], never attached.
    pub const MARK: &str = "rb_mark";
    /// Changes what is known of one connection to a guarded port; run with a [`super::GuardRequest`], never attached.
    pub const GUARD_REQUEST: &str = "rb_guard_req";
    /// XDP that passes what the daemon puts back into the stack; never attached.
    pub const REINJECT: &str = "rb_reinject";
    /// XDP that only passes: what the others are measured against.
    pub const PASS: &str = "rb_pass";
    /// XDP: the path of a new SYN, another flow in each run.
    pub const NEW_SYN: &str = "rb_new_syn";
    /// XDP: the path of a new SYN and its SYN/ACK.
    pub const PAIR: &str = "rb_pair";
    /// TC: one look of the timer at the deadlines.
    pub const LOOK: &str = "rb_look";

    /// TC ingress in the object of the gate: questions for shared addresses.
    pub const GATE_IN: &str = "rb_gate_in";
    /// TC egress in the object of the gate: claims of shared addresses.
    pub const GATE_OUT: &str = "rb_gate_out";

    /// Those that are put on interfaces to watch them.
    pub const ATTACHED: [&str; 6] = [INGRESS, EGRESS, INGRESS_TC, INGRESS_IP, INGRESS_IP_TC, EGRESS_IP];

    /// Those that are only loaded to be measured.
    pub const MEASURED: [&str; 4] = [PASS, NEW_SYN, PAIR, LOOK];
}
