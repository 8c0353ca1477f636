//! Every map. Sizes that the daemon chooses are 1 here and set when it loads the object.

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, bpf_timer},
    btf_maps::{Array, HashMap, LpmTrie, PerCpuArray, RingBuf},
    macros::btf_map,
};
use monitor_common::{
    Addr, Attempt, Bucket, Counter, Cursor, Event, Flow, GuardCounts, GuardRecord, GuardRule, Handshake, HeldSyn,
    HostState, MAX_GUARDS, OpenFlow, STEERED_SLOTS, ServiceKey, ServiceState, Settings, StandIn, WatchRule, map,
};

/// Array values of a map that can be mapped into user space begin on a page: a bucket is then one cache line.
const ALIGNED: usize = BPF_F_MMAPABLE as usize;

#[btf_map]
pub(crate) static RB_SETTINGS: Array<Settings, 1> = Array::new();

#[btf_map]
pub(crate) static RB_WATCH: LpmTrie<Addr, WatchRule, 4096> = LpmTrie::new();

#[btf_map]
pub(crate) static RB_SERVICES: HashMap<ServiceKey, ServiceState, { map::SERVICES_ENTRIES }> = HashMap::new();

#[btf_map]
pub(crate) static RB_PENDING: Array<Bucket, 1, ALIGNED> = Array::new();

#[btf_map]
pub(crate) static RB_DEADLINES: Array<Attempt, 1, ALIGNED> = Array::new();

#[btf_map]
pub(crate) static RB_CURSORS: Array<Cursor, 1, ALIGNED> = Array::new();

#[btf_map]
pub(crate) static RB_FLOWS: Array<Bucket, 1, ALIGNED> = Array::new();

#[btf_map]
pub(crate) static RB_UNMATCHED: Array<u64, 1> = Array::new();

#[btf_map]
pub(crate) static RB_HOSTS: HashMap<Addr, HostState, 4096> = HashMap::new();

#[btf_map]
pub(crate) static RB_EVENTS: RingBuf<Event, { 1 << 24 }> = RingBuf::new();

#[btf_map]
pub(crate) static RB_COUNTERS: PerCpuArray<u64, { Counter::ALL.len() }> = PerCpuArray::new();

/// The maps of guards have one entry, and the ring a page, unless there are guards.
#[btf_map]
pub(crate) static RB_GUARD_PORTS: Array<u32, 1> = Array::new();

#[btf_map]
pub(crate) static RB_GUARDS: Array<GuardRule, MAX_GUARDS> = Array::new();

#[btf_map]
pub(crate) static RB_GUARD_COUNTS: Array<GuardCounts, MAX_GUARDS> = Array::new();

#[btf_map]
pub(crate) static RB_GUARD_LIFE: Array<u64, 1> = Array::new();

#[btf_map]
pub(crate) static RB_HELD: HashMap<Flow, HeldSyn, 1> = HashMap::new();

#[btf_map]
pub(crate) static RB_HANDSHAKES: Array<Handshake, 1> = Array::new();

#[btf_map]
pub(crate) static RB_OPEN: HashMap<Flow, OpenFlow, 1> = HashMap::new();

#[btf_map]
pub(crate) static RB_GUARD_RING: RingBuf<GuardRecord, 4096> = RingBuf::new();

/// The timer lives in a map value: the kernel keeps it running while the map is pinned, daemon or not.
#[repr(C)]
pub(crate) struct Timer {
    pub(crate) timer: bpf_timer,
    /// When it last ran: the daemon sees by this that it does.
    pub(crate) ran_ns: u64,
}

#[btf_map]
pub(crate) static RB_TIMER: Array<Timer, 1> = Array::new();

#[btf_map]
pub(crate) static RB_STANDIN: Array<StandIn, 1> = Array::new();

#[btf_map]
pub(crate) static RB_STEERED: Array<u64, { STEERED_SLOTS }> = Array::new();

#[btf_map]
pub(crate) static RB_STANDIN_TLS: LpmTrie<Addr, u32, 4096> = LpmTrie::new();

#[btf_map]
pub(crate) static RB_ON_RECORD: LpmTrie<Addr, u32, 65536> = LpmTrie::new();
