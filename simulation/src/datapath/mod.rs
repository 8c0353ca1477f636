//! The data path in memory: the tables of the eBPF programs with their bounds, and what each program does with them.
//!
//! In: frames as the programs see them, the passing of time, marks. Out: events in a ring buffer, counters. No I/O and no
//! clock. Whatever the programs decide by functions of `monitor-common` is decided by the same functions here; what is
//! written anew follows `monitor-ebpf/src/watch`, file by file, and a packet test compares both.

mod answer;
mod deadline;
mod evidence;
mod report;
mod ring;
mod syn;
mod table;

use std::collections::BTreeMap;

use monitor_common::{
    Addr, Attempt, Counter, Event, MarkRequest, ServiceFlags, ServiceKey, ServiceState, SlotState, SlotWord, flow_hash,
    unmatched_place,
};

use self::{
    deadline::Deadlines,
    ring::Ring,
    table::{Place, Table},
};

/// How large the tables are. All but the sizes of the near part and the ring buffer are settings of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// CPUs that have a ring of deadlines.
    pub cpus: u32,
    /// Buckets of the near part; a power of two.
    pub near_buckets: u32,
    /// Buckets of the far part; a power of two.
    pub far_buckets: u32,
    /// Deadlines per CPU; a power of two.
    pub deadlines: u32,
    /// Bytes of the ring buffer; a power of two.
    pub ring_bytes: u64,
    /// Services that there is room for.
    pub services: usize,
}

/// The two clocks that a program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The exact one.
    pub exact: u64,
    /// That of the last clock tick.
    pub coarse: u64,
}

/// What is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Services that are listed.
    pub listed: Vec<(Addr, u16)>,
    /// Whether any other service is watched once it has answered.
    pub learn: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct DataPath {
    sizes: Sizes,
    syn_timeout_ns: u64,
    hash_seed: u64,
    watched: Watched,
    table: Table,
    deadlines: Vec<Deadlines>,
    services: BTreeMap<([u8; 16], u16), ServiceState>,
    ring: Ring,
    counters: Vec<u64>,
    forgotten: Vec<u64>,
    /// Answers without a SYN, by their place.
    unmatched: BTreeMap<u32, u64>,
}

/// An attempt's slot, as it was when it was found.
#[derive(Clone, Copy, Debug)]
struct Found {
    place: Place,
    was: SlotWord,
}

impl DataPath {
    /// Empty tables.
    #[must_use]
    pub fn new(sizes: Sizes, syn_timeout_ns: u64, hash_seed: u64, watched: Watched) -> Self {
        Self {
            sizes,
            syn_timeout_ns,
            hash_seed,
            watched,
            table: Table::new(sizes.near_buckets, sizes.far_buckets),
            deadlines: (0..sizes.cpus).map(|_| Deadlines::new(sizes.deadlines)).collect(),
            services: BTreeMap::new(),
            ring: Ring::new(sizes.ring_bytes),
            counters: vec![0; Counter::ALL.len()],
            forgotten: Vec::new(),
            unmatched: BTreeMap::new(),
        }
    }

    /// The count of one counter.
    #[must_use]
    pub fn counted(&self, counter: Counter) -> u64 {
        self.counters[counter as usize]
    }

    /// What is known of a service.
    #[must_use]
    pub fn service(&self, addr: Addr, port: u16) -> Option<&ServiceState> {
        self.services.get(&(addr.bytes, port))
    }

    /// Every service in the table, by address and port.
    pub fn services(&self) -> impl Iterator<Item = (ServiceKey, &ServiceState)> {
        self.services.iter().map(|((bytes, port), state)| (ServiceKey::new(Addr { bytes: *bytes }, *port), state))
    }

    /// What a mark's program does. Returns whether there was room.
    pub fn mark(&mut self, request: &MarkRequest) -> bool {
        let key = (request.key.addr.bytes, request.key.port);
        if !self.services.contains_key(&key) && self.services.len() >= self.sizes.services {
            return false;
        }
        let service = self.services.entry(key).or_default();
        service.failed_ns = request.failed_ns;
        if request.ended_ns != 0 {
            service.ended_ns = request.ended_ns;
            service.report_until_ns = request.report_until_ns;
        }
        service.flags = (service.flags & !request.clear) | request.set;
        true
    }

    /// Whether the watch list names this service.
    #[must_use]
    pub fn lists(&self, server: Addr, port: u16) -> bool {
        self.watched.listed.contains(&(server, port))
    }

    /// The events that nobody has let go of, from this many after the first on.
    pub fn events(&self, skip: usize) -> impl Iterator<Item = &Event> {
        self.ring.events(skip)
    }

    /// How many events nobody has let go of.
    #[must_use]
    pub fn waiting_events(&self) -> usize {
        self.ring.len()
    }

    /// How many events were let go since the ring was made.
    #[must_use]
    pub const fn released(&self) -> u64 {
        self.ring.released()
    }

    /// Lets go of the first events.
    pub fn release(&mut self, events: usize) {
        self.ring.release(events);
    }

    /// When the timer next has something to do; `None`: nothing waits.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.iter().filter_map(Deadlines::first).map(|attempt| attempt.seen_ns + self.syn_timeout_ns).min()
    }

    /// Everything that the timer has yet to do.
    pub fn all_deadlines(&self) -> impl Iterator<Item = u64> {
        self.deadlines.iter().flat_map(Deadlines::all).map(|attempt| attempt.seen_ns + self.syn_timeout_ns)
    }

    /// Whether the answer of just this SYN passed, and its SYN did not.
    #[must_use]
    pub fn has_unmatched(&self, attempt: &Attempt) -> bool {
        let place = unmatched_place(self.hash(attempt), self.sizes.deadlines - 1);
        self.unmatched.get(&place).is_some_and(|word| SlotWord(*word).may_answer(self.word_of(attempt)))
    }

    fn keep_unmatched(&mut self, attempt: &Attempt) {
        let place = unmatched_place(attempt.hash, self.sizes.deadlines - 1);
        self.unmatched.insert(place, self.word_of(attempt).0);
    }

    /// The words of attempts that were given up for want of room since this was asked for the last time.
    pub fn take_forgotten(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.forgotten)
    }

    /// The words of attempts whose slots were taken since this was asked for the last time, counted or not.
    pub fn take_reused(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.table.reused)
    }

    /// The word of an attempt, whatever its state.
    #[must_use]
    pub fn word_of(&self, attempt: &Attempt) -> SlotWord {
        SlotWord::new(self.hash(attempt), attempt.seq, SlotState::Pending)
    }

    fn count(&mut self, counter: Counter) {
        self.counters[counter as usize] += 1;
    }

    /// A report of this attempt is lost, and counted.
    fn lose(&mut self, attempt: &Attempt) {
        self.count(Counter::ReportsLost);
        self.forgotten.push(self.word_of(attempt).0);
    }

    fn hash(&self, attempt: &Attempt) -> u64 {
        if attempt.hash != 0 {
            return attempt.hash;
        }
        flow_hash(self.hash_seed, attempt.client, attempt.server, attempt.client_port, attempt.server_port)
    }

    fn find(&self, attempt: &Attempt, now_ns: u64) -> Option<Found> {
        self.table.find(attempt.hash, attempt.seq, now_ns).map(|place| Found { place, was: self.table.word(place) })
    }

    /// Says that this is known of the attempt now.
    fn turn(&mut self, found: &mut Found, to: SlotState) {
        found.was = found.was.to(to);
        self.table.put(found.place, found.was);
    }

    fn service_of(&self, attempt: &Attempt) -> Option<&ServiceState> {
        self.service(attempt.server, attempt.server_port)
    }

    fn standing(&self, attempt: &Attempt) -> u32 {
        match self.service_of(attempt) {
            Some(service) => service.flags,
            None if self.lists(attempt.server, attempt.server_port) => ServiceFlags::LISTED,
            None => 0,
        }
    }
}
