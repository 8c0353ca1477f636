//! Corrects what the programs cannot see: connections that ended without a word, SYNs whose record was lost, and connections
//! whose notice was.
//!
//! In: the kernel's tables, this host's connections. Out: words on single connections to the kernel, facts for the machines.

use std::collections::HashSet;

use monitor_common::{Flow, GuardOp, OpenFlow};
use monitor_core::{domain::MonotonicNs, guard::machine::GuardFact};

use super::{connections, worker::Worker};
use crate::clock::Now as _;

/// A connection that the kernel does not know may be in the middle of its handshake; an older one is over.
const SETTLED_NS: u64 = 2_000_000_000;

impl Worker {
    /// One look; called every now and then.
    pub(super) fn sweep(&mut self) {
        let now = MonotonicNs::now();
        for (flow, held) in self.kernel.held() {
            let index = held.guard as usize;
            if let Some(guard) = self.guards.get(index)
                && held.at_ns + guard.rule.hold_ns + SETTLED_NS < now.0
            {
                self.say(index, &flow, held.seq, GuardOp::FORGET);
            }
        }
        let open = self.kernel.open();
        for index in 0..self.guards.len() {
            self.sweep_guard(index, &open, now);
        }
    }

    fn sweep_guard(&mut self, index: usize, open: &[(Flow, OpenFlow)], now: MonotonicNs) {
        let of_guard: Vec<_> = open.iter().filter(|(_, open)| open.guard as usize == index).collect();
        let mut counted = of_guard.iter().filter(|(_, open)| open.checked != 0).count() as i64;
        if of_guard.iter().any(|(_, open)| open.at_ns + SETTLED_NS < now.0) {
            let port = self.guards[index].setting.port;
            match connections::established(port) {
                Ok(known) => {
                    let known: HashSet<Flow> = known.into_iter().map(|connection| connection.flow).collect();
                    for (flow, open) in &of_guard {
                        if open.at_ns + SETTLED_NS < now.0 && !known.contains(flow) {
                            self.say(index, flow, 0, GuardOp::OVER);
                            counted -= i64::from(open.checked);
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, port, "this host's connections cannot be read"),
            }
            if of_guard.iter().any(|(_, open)| open.checked == 0) && !self.guards[index].machine.is_checking() {
                let actions = self.guards[index].machine.observe(now, GuardFact::Established);
                self.act(index, actions);
            }
        }
        let Ok(counts) = self.kernel.counts(index as u32) else { return };
        let off = counted - counts.open.cast_signed();
        if off != 0 && off == self.guards[index].count_off {
            let by = i32::try_from(off).unwrap_or(0).cast_unsigned();
            let nobody = Flow::default();
            self.say(index, &nobody, by, GuardOp::CORRECT);
            self.guards[index].count_off = 0;
        } else {
            self.guards[index].count_off = off;
        }
    }
}
