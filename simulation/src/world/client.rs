//! Clients: how their kernels repeat a SYN, when their applications give up, and what they answer.

use crate::{
    plan::{Attempt, Stack},
    time::SECOND,
    world::network::{Packet, Way},
    world::{Happening, World},
};

/// How an attempt ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its connection is there.
    Connected,
    Refused,
    Unreachable,
    /// Its kernel gave up.
    TimedOut,
    /// Its application gave up.
    GivenUp,
    /// Its host is gone.
    Asleep,
}

impl Stack {
    /// When SYNs are sent after the first, in seconds, and when the kernel gives up.
    const fn times(self) -> (&'static [u64], u64) {
        match self {
            Self::Linux => (&[0, 1, 3, 7, 15, 31, 63], 127),
            Self::NewLinux => (&[0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67], 131),
            Self::Old => (&[0, 3, 9], 21),
        }
    }
}

impl Attempt {
    /// For people.
    pub(crate) fn name(&self) -> String {
        format!("#{} (c{} -> s{})", self.id, self.client, self.service)
    }
}

impl World<'_> {
    /// An application calls connect().
    pub(crate) fn begins(&mut self, flow: usize) {
        let attempt = &self.plan.attempts[flow];
        let mut port = attempt.port;
        // The kernel gives out no port that is in use for this server.
        while self.ports.get(&(attempt.client, attempt.service, port)).is_some_and(|other| self.flows[*other].is_busy())
        {
            port = port.wrapping_add(7).max(1024);
        }
        self.ports.insert((attempt.client, attempt.service, port), flow);
        self.flows[flow].seen = crate::book::seen(self.plan.seed, attempt, port);
        self.flows[flow].began = true;
        self.note(|| {
            format!("{} begins, port {port}, {:?}, patience {:?}", attempt.name(), attempt.stack, attempt.patience)
        });
        let (_, gives_up) = attempt.stack.times();
        self.queue.push(self.now + gives_up * SECOND, Happening::ClientEnds { flow, end: End::TimedOut });
        if let Some(patience) = attempt.patience {
            self.queue.push(self.now + patience, Happening::ClientEnds { flow, end: End::GivenUp });
        }
        if let Some(asleep) = attempt.asleep {
            self.queue.push(asleep.max(self.now), Happening::ClientEnds { flow, end: End::Asleep });
        }
        self.client_sends_syn(flow, 0);
    }

    /// The SYN of this number is due.
    pub(crate) fn client_sends_syn(&mut self, flow: usize, number: usize) {
        if self.flows[flow].end.is_some() {
            return;
        }
        self.send(flow, Packet::Syn, Way::ClientToGateway);
        let attempt = &self.plan.attempts[flow];
        let (times, _) = attempt.stack.times();
        if let Some(next) = times.get(number + 1) {
            self.queue.push(attempt.at + next * SECOND, Happening::SynDue { flow, number: number + 1 });
        }
    }

    /// The client's attempt ends, if it goes on.
    pub(crate) fn client_ends(&mut self, flow: usize, end: End) {
        let now = self.now;
        if self.flows[flow].end.is_none() {
            self.flows[flow].end = Some((now, end));
            let attempt = &self.plan.attempts[flow];
            self.note(|| format!("{} ends: {end:?}", attempt.name()));
        }
    }

    pub(crate) fn client_gets(&mut self, flow: usize, packet: Packet) {
        let attempt = &self.plan.attempts[flow];
        if attempt.asleep.is_some_and(|asleep| asleep <= self.now) {
            return;
        }
        let end = self.flows[flow].end.map(|(_, end)| end);
        match (packet, end) {
            (Packet::SynAck, None | Some(End::Connected)) => {
                self.client_ends(flow, End::Connected);
                self.send(flow, Packet::Ack, Way::ClientToGateway);
            }
            (Packet::SynAck, Some(_)) => self.send(flow, Packet::ClientReset, Way::ClientToGateway),
            (Packet::Refusal, None) => self.client_ends(flow, End::Refused),
            (Packet::Unreachable, None) if attempt.stack != Stack::Old => self.client_ends(flow, End::Unreachable),
            _ => {}
        }
    }
}
