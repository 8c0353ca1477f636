//! Servers: what they answer, depending on what is wrong with them, and how they repeat an answer.

use crate::{
    plan::FaultKind,
    time::SECOND,
    world::network::{Packet, Way},
    world::{Happening, World},
};

/// What a server knows of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Served {
    /// Nothing.
    #[default]
    Nothing,
    /// It has answered, and waits for the end of the handshake.
    HalfOpen,
    /// The connection is there.
    Open,
}

/// When an answer that nobody acknowledges is repeated, in seconds after the first.
const REPEATS: [u64; 5] = [1, 3, 7, 15, 31];

impl World<'_> {
    pub(crate) fn server_gets(&mut self, flow: usize, packet: Packet) {
        let service = self.plan.attempts[flow].service;
        let fault = self.plan.fault(service, self.now);
        if fault == Some(FaultKind::HostDown) {
            return;
        }
        match (packet, self.flows[flow].served) {
            (Packet::Syn, _) if fault == Some(FaultKind::Down) => {
                self.flows[flow].served = Served::Nothing;
                self.send(flow, Packet::Refusal, Way::ServerToGateway);
            }
            (Packet::Syn, _) if fault == Some(FaultKind::Silent) => {}
            (Packet::Syn, Served::Nothing) => {
                self.flows[flow].served = Served::HalfOpen;
                self.send(flow, Packet::SynAck, Way::ServerToGateway);
                self.queue
                    .push(self.now + REPEATS[0] * SECOND, Happening::AnswerDue { flow, number: 0, since: self.now });
            }
            (Packet::Syn, Served::HalfOpen) => self.send(flow, Packet::SynAck, Way::ServerToGateway),
            (Packet::Ack, Served::HalfOpen) => self.flows[flow].served = Served::Open,
            (Packet::ClientReset, _) => self.flows[flow].served = Served::Nothing,
            _ => {}
        }
    }

    /// An answer is to be repeated, unless it was acknowledged.
    pub(crate) fn answer_due(&mut self, flow: usize, number: usize, since: u64) {
        if self.flows[flow].served != Served::HalfOpen {
            return;
        }
        match self.plan.fault(self.plan.attempts[flow].service, self.now) {
            Some(FaultKind::Down | FaultKind::HostDown) => self.flows[flow].served = Served::Nothing,
            Some(FaultKind::Silent) => {}
            _ => self.send(flow, Packet::SynAck, Way::ServerToGateway),
        }
        match REPEATS.get(number + 1) {
            Some(next) => {
                let happening = Happening::AnswerDue { flow, number: number + 1, since };
                self.queue.push(since + next * SECOND, happening);
            }
            None => self.flows[flow].served = Served::Nothing,
        }
    }
}
