//! What the machines of guards decide is carried out.
//!
//! In: [`Action`]s. Out: checks that run, words on single connections to the kernel, frames back into the stack, RST and FIN,
//! observations for the core: a sick guard is an outage of its service.

use std::{collections::HashSet, io, net::IpAddr};

use monitor_common::{Flow, GuardFlags, GuardOp};
use monitor_core::{
    config::{GuardEnd, GuardMode},
    domain::{ClientAddr, MonotonicNs, Service, UnixMs},
    guard::{
        frame,
        machine::{Action, GuardOutcome},
    },
    outage::{GuardFinding, Observation},
};

use super::{
    connections::{self, Connection},
    guarded::HeldRequest,
    worker::Worker,
};
use crate::{clock::Now as _, health};

impl Worker {
    pub(super) fn act(&mut self, index: usize, actions: Vec<Action>) {
        let mut admitted = HashSet::new();
        for action in actions {
            match action {
                Action::Check(number) => {
                    let checks = self.guards[index].setting.check.clone();
                    self.running.spawn(async move { (index, number, health::run(&checks).await) });
                }
                Action::Admit(request) => {
                    if let Some(held) = self.guards[index].waiting.remove(&request)
                        && self.release(index, &held, GuardOp::ADMIT)
                    {
                        self.guards[index].admitted += 1;
                        admitted.insert((IpAddr::from(held.flow.server), held.flow.server_port));
                    }
                }
                Action::Pass(request) => {
                    if let Some(held) = self.guards[index].waiting.remove(&request)
                        && self.release(index, &held, GuardOp::PASS)
                    {
                        self.guards[index].passed += 1;
                    }
                }
                Action::Refuse(request) => self.refuse(index, request),
                Action::Forget(request) => {
                    if let Some(held) = self.guards[index].waiting.remove(&request) {
                        self.say(index, &held.flow, held.seq, GuardOp::FORGET);
                    }
                }
                Action::Settle(outcome) => self.settle(index, outcome),
                Action::GoodUntil(until) => {
                    self.guards[index].rule.good_until_ns = until.0;
                    self.set_rule(index);
                }
                Action::Sick => {
                    let guard = &mut self.guards[index];
                    guard.rule.flags |= GuardFlags::SICK;
                    guard.sick_since = Some(MonotonicNs::now());
                    tracing::warn!(port = guard.setting.port, reason = guard.reason, "guard: sick");
                    self.set_rule(index);
                }
                Action::Recovered => {
                    let guard = &mut self.guards[index];
                    guard.rule.flags &= !GuardFlags::SICK;
                    guard.sick_since = None;
                    tracing::info!(port = guard.setting.port, "guard: well again");
                    let services = std::mem::take(&mut guard.refused_services);
                    self.set_rule(index);
                    // One that was let through now answers by itself: that is the better evidence.
                    for (addr, port) in services.into_iter().filter(|service| !admitted.contains(service)) {
                        let service = Service::new(addr, port);
                        self.report(Observation::Probed { service, connected: true, at: MonotonicNs::now() });
                    }
                }
            }
        }
    }

    /// Lets go of a held SYN. Returns whether it was still held: the kernel may have decided meanwhile.
    pub(super) fn release(&self, index: usize, waiting: &HeldRequest, op: u32) -> bool {
        if !self.say(index, &waiting.flow, waiting.seq, op) {
            return false;
        }
        let held = &waiting.held;
        let mut bytes = held.frame.clone();
        frame::complete_checksum(&mut bytes);
        if let Err(error) = self.kernel.reinject(held.ifindex, &bytes) {
            tracing::error!(%error, "a held connection request is lost; the client repeats it");
        }
        true
    }

    fn refuse(&mut self, index: usize, request: u64) {
        let Some(held) = self.guards[index].waiting.remove(&request) else { return };
        if !self.say(index, &held.flow, held.seq, GuardOp::REFUSE) {
            return;
        }
        let guard = &mut self.guards[index];
        guard.refused += 1;
        guard.refused_service(&held.flow);
        if let Some(answer) = frame::reset(&held.held.frame)
            && let Err(error) = self.replies.send(held.held.ifindex, &answer)
        {
            tracing::error!(%error, "a refusal is not sent; the client waits for its time-out");
        }
    }

    /// What becomes of the established connections that were not checked (D-2).
    fn settle(&mut self, index: usize, outcome: GuardOutcome) {
        if self.guards[index].setting.mode != GuardMode::After {
            return;
        }
        let unchecked: Vec<_> = self
            .kernel
            .open()
            .into_iter()
            .filter(|(_, open)| open.guard as usize == index && open.checked == 0)
            .collect();
        if unchecked.is_empty() {
            return;
        }
        let sick_since = self.guards[index].sick_since;
        match outcome {
            GuardOutcome::Healthy => {
                for (flow, open) in unchecked {
                    self.say(index, &flow, 0, GuardOp::HEALTHY);
                    self.guards[index].admitted += 1;
                    // Its answer was hidden while the guard was sick; it did not fail.
                    if sick_since.is_some_and(|since| open.at_ns >= since.0) {
                        let service = Service::new(IpAddr::from(flow.server), flow.server_port);
                        let client = ClientAddr::new(IpAddr::from(flow.client));
                        self.report(Observation::Withdrawn { service, client, attempts: 1 });
                    }
                }
            }
            GuardOutcome::Sick => {
                let guard = &mut self.guards[index];
                let flows: HashSet<Flow> = unchecked.iter().map(|(flow, _)| *flow).collect();
                guard.refused += flows.len() as u64;
                end(guard.setting.port, guard.setting.end, flows);
                for (flow, open) in unchecked {
                    self.guards[index].refused_service(&flow);
                    // While sick, the kernel itself notes the attempt: its answer is hidden.
                    let noted = sick_since.is_some_and(|since| open.at_ns > since.0);
                    let now = UnixMs::now();
                    let finding = GuardFinding {
                        client: ClientAddr::new(IpAddr::from(flow.client)),
                        service: Service::new(IpAddr::from(flow.server), flow.server_port),
                        seen: MonotonicNs(open.at_ns),
                        at: now,
                        attempts: u32::from(!noted),
                    };
                    if self.core.try_guarded(finding).is_err() {
                        tracing::error!(?finding, "the core does not take what a guard has found");
                    }
                    // Its end is seen to pass; should that be missed, it is not waited for.
                    self.say(index, &flow, 0, GuardOp::OVER);
                }
            }
        }
    }

    pub(super) fn say(&self, index: usize, flow: &Flow, seq: u32, op: u32) -> bool {
        self.kernel.request(*flow, index as u32, seq, op).unwrap_or_else(|error| {
            tracing::error!(%error, "the kernel does not take a decision");
            false
        })
    }

    fn set_rule(&mut self, index: usize) {
        if let Err(error) = self.kernel.set_rule(index as u32, self.guards[index].rule) {
            tracing::error!(%error, "the kernel does not take a guard's rule");
        }
    }

    fn report(&self, observation: Observation) {
        // Never waited for: a core that stands still must not keep connections waiting.
        if self.core.try_observed(observation).is_err() {
            tracing::error!(?observation, "the core does not take what a guard has found");
        }
    }
}

/// Ends these connections, off this task: a look through all processes takes a while.
fn end(port: u16, how: GuardEnd, flows: HashSet<Flow>) {
    tokio::task::spawn_blocking(move || {
        let known = match connections::established(port) {
            Ok(known) => known,
            Err(error) => return tracing::error!(%error, port, "connections to a sick server cannot be ended"),
        };
        for connection in known.iter().filter(|connection| flows.contains(&connection.flow)) {
            let ended = match how {
                GuardEnd::Reset => connection.reset(),
                GuardEnd::Fin => Connection::finish(connection),
            };
            match ended {
                // It has ended by itself.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::error!(%error, port, "a connection to a sick server is not ended"),
                Ok(()) => {}
            }
        }
    });
}
