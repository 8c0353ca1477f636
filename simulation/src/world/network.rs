//! The way between clients, gateways and servers: delay, loss, reordering, and what each program does with what passes.

use monitor_common::Evidence;

use crate::{
    datapath::Now,
    plan::FaultKind,
    random::Random,
    time::{MS, SECOND, US},
    world::{Happening, World},
};

/// What travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Syn,
    SynAck,
    /// RST and ACK of a server.
    Refusal,
    Unreachable,
    /// The end of the handshake.
    Ack,
    /// The RST of a client that wants no connection.
    ClientReset,
}

/// Between which two a packet travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ClientToGateway,
    GatewayToServer,
    ServerToGateway,
    GatewayToClient,
}

/// The clock that packets without need of another read: its tick.
const TICK: u64 = 4 * MS;

/// How long a gateway asks for a host's hardware address before it gives up.
const ARP: u64 = 3 * SECOND;

impl World<'_> {
    /// Sends a packet on its way, if it is not lost.
    pub(crate) fn send(&mut self, flow: usize, packet: Packet, way: Way) {
        let plan = self.plan;
        let attempt = &plan.attempts[flow];
        let mut random = self.random(flow);
        let scenario = &plan.scenario;
        let (loss, fault) = match way {
            Way::ClientToGateway => (scenario.loss_near.0, None),
            Way::GatewayToClient => (scenario.loss_near.1, None),
            Way::GatewayToServer => (scenario.loss_far.0, Some(FaultKind::NoForward)),
            Way::ServerToGateway => (scenario.loss_far.1, Some(FaultKind::NoReturn)),
        };
        let cut = fault.is_some_and(|kind| {
            let what = plan.fault(attempt.service, self.now);
            what == Some(kind) || what == Some(FaultKind::HostDown)
        });
        let lost = !attempt.is_witness && random.per_mille(loss);
        if cut || lost {
            let why = if cut { "cut off" } else { "lost" };
            return self.note(|| format!("{} {packet:?} {way:?} {why}", attempt.name()));
        }
        let delay = scenario.delay.max(100 * US);
        let at = self.now + delay / 2 + random.below(delay / 2) + random.below(scenario.jitter.max(1));
        self.queue.push(at, Happening::Arrives { flow, packet, way });
    }

    /// A packet is there.
    pub(crate) fn arrives(&mut self, flow: usize, packet: Packet, way: Way) {
        match way {
            Way::ClientToGateway | Way::ServerToGateway => {
                let mut random = self.random(flow);
                let mut late = random.below(20) * US;
                if random.per_mille(self.plan.scenario.interrupted) {
                    late = random.below(4 * MS);
                }
                // The program has read the clock, and goes on a moment later.
                self.queue.push(self.now + late, Happening::Passes { flow, packet, clock: self.now });
            }
            Way::GatewayToServer => self.server_gets(flow, packet),
            Way::GatewayToClient => self.client_gets(flow, packet),
        }
    }

    /// The programs of a gateway see a packet and let it go on.
    pub(crate) fn passes(&mut self, flow: usize, packet: Packet, clock: u64) {
        let seen = self.flows[flow].seen;
        let name = self.plan.attempts[flow].name();
        let gateway = self.gateway_of(flow);
        let now = Now { exact: clock, coarse: clock / TICK * TICK };
        let cpu = u32::from(seen.client_port) % self.plan.scenario.sizes.cpus;
        let path = &mut self.gateways[gateway].path;
        let passed = &mut self.flows[flow].passed;
        let next = match packet {
            Packet::Syn => {
                path.syn(cpu, seen, clock);
                passed.syns.push(clock);
                Way::GatewayToServer
            }
            Packet::SynAck => {
                // A router sees it twice: on its way in and on its way out.
                path.syn_ack(cpu, seen, now);
                path.syn_ack(cpu, seen, now);
                passed.answers.push(clock);
                Way::GatewayToClient
            }
            Packet::Refusal => {
                path.evidence(cpu, seen, Evidence::Refused, clock);
                path.evidence(cpu, seen, Evidence::Refused, clock);
                passed.refusals.push(clock);
                Way::GatewayToClient
            }
            Packet::Unreachable => {
                path.evidence(cpu, seen, Evidence::HostUnreachable, clock);
                passed.unreachables.push(clock);
                Way::GatewayToClient
            }
            Packet::ClientReset => {
                path.gave_up(cpu, seen, clock);
                passed.client_resets.push(clock);
                Way::GatewayToServer
            }
            Packet::Ack => Way::GatewayToServer,
        };
        if packet != Packet::Ack {
            self.note(|| {
                format!("gateway {gateway}: {packet:?} of {name} passes (clock {})", crate::journal::Since(clock))
            });
        }
        self.was_forgotten(gateway);
        self.look_at_ring(gateway);
        let service = self.plan.attempts[flow].service;
        if packet == Packet::Syn && self.plan.fault(service, self.now) == Some(FaultKind::HostDown) {
            // Nobody knows its hardware address.
            self.queue.push(self.now + ARP, Happening::NoHost { flow });
        } else {
            self.send(flow, packet, next);
        }
    }

    /// The gateway has asked for the host for long enough.
    pub(crate) fn no_host(&mut self, flow: usize) {
        let service = self.plan.attempts[flow].service;
        if self.plan.fault(service, self.now) == Some(FaultKind::HostDown) {
            self.passes(flow, Packet::Unreachable, self.now);
        } else {
            self.send(flow, Packet::Syn, Way::GatewayToServer);
        }
    }

    /// Numbers for the next packet of this attempt.
    pub(crate) fn random(&mut self, flow: usize) -> Random {
        let flow_of = &mut self.flows[flow];
        flow_of.packets += 1;
        Random::of(self.plan.seed, &[u64::from(self.plan.attempts[flow].id), flow_of.packets])
    }
}
