//! The kinds of history: how many clients, how large the tables, how bad the network. All of it is drawn from the seed.

use super::FaultKind;
use crate::{
    datapath::Sizes,
    random::Random,
    time::{MS, SECOND, US},
};

/// What is asked for from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Attempts of one history at most.
    pub attempts: u32,
    /// Gateways that share the traffic.
    pub gateways: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self { attempts: 400, gateways: 1 }
    }
}

/// What one history is like. Chances are per mille.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Attempts without those of witnesses.
    pub attempts: u32,
    /// Clients.
    pub clients: u16,
    /// Services; the last is well all the time.
    pub services: u16,
    /// Ports that a client uses.
    pub ports: u16,
    /// How long clients try, in nanoseconds.
    pub lasts: u64,
    /// Faults of one service.
    pub most_faults: u8,
    /// What kinds of faults there are.
    pub kinds: Vec<FaultKind>,
    /// Applications that give up early.
    pub impatient: u32,
    /// Hosts that are gone before their attempt ends.
    pub sleepy: u32,
    /// Delay of one way between a client and the gateway, or the gateway and a server, at most.
    pub delay: u64,
    /// What is added to it at random.
    pub jitter: u64,
    /// Packets lost between clients and the gateway, to the gateway and from it.
    pub loss_near: (u32, u32),
    /// The same between the gateway and servers.
    pub loss_far: (u32, u32),
    /// Sizes of the tables.
    pub sizes: Sizes,
    /// Packets whose program is interrupted, by milliseconds.
    pub interrupted: u32,
    /// Whether services are listed, else they are learned.
    pub listed: bool,
    /// Times that the daemon is killed.
    pub kills: u32,
    /// Times that the store takes no changes.
    pub troubles: u32,
    /// How long a commit takes at most.
    pub commit: u64,
    /// Steps of the wall clock.
    pub clock_steps: u32,
    /// Faults whose end somebody speaks of.
    pub words: u32,
    /// Events that the daemon takes in one turn at most.
    pub batch: usize,
    /// `outage.settle`, in nanoseconds.
    pub settle: u64,
    /// `outage.min_failures`.
    pub min_failures: u32,
    /// `outage.min_clients`.
    pub min_clients: u32,
    /// `outage.skip_connected`.
    pub skip_connected: bool,
    /// First pause between probes, in nanoseconds; 0: none.
    pub probes: u64,
    /// Deliveries that go wrong.
    pub mail_trouble: u32,
}

impl Scenario {
    /// The scenario of a seed.
    pub(crate) fn of(random: &mut Random, options: &Options) -> Self {
        let attempts = match random.below(4) {
            0 => random.within(4, 30),
            1 => random.within(30, 120),
            _ => random.within(100, 1 + u64::from(options.attempts).max(101)),
        };
        let attempts = attempts.min(u64::from(options.attempts)) as u32;
        let clean = random.per_mille(350);
        let loss = |random: &mut Random| if clean { 0 } else { *random.pick(&[0, 0, 5, 20, 100, 300]) };
        let delay = *random.pick(&[200 * US, 5 * MS, 50 * MS, 150 * MS]);
        let kinds = [
            vec![FaultKind::Down],
            vec![FaultKind::Silent],
            vec![FaultKind::HostDown],
            vec![FaultKind::NoReturn],
            vec![FaultKind::NoReturn, FaultKind::NoForward],
            vec![FaultKind::Down, FaultKind::Silent, FaultKind::HostDown, FaultKind::NoReturn, FaultKind::NoForward],
        ];
        let sometimes =
            |random: &mut Random, times, most| if random.per_mille(times) { random.within(1, most) as u32 } else { 0 };
        let strict = random.per_mille(850);
        Self {
            attempts,
            clients: random.within(1, 2 + u64::from(attempts) / 2) as u16,
            services: random.within(1, 5) as u16,
            ports: *random.pick(&[1, 3, 20_000]),
            lasts: *random.pick(&[10 * SECOND, 30 * SECOND, 120 * SECOND]),
            most_faults: *random.pick(&[1, 2, 6]),
            kinds: random.pick(&kinds).clone(),
            impatient: *random.pick(&[0, 300, 800]),
            sleepy: *random.pick(&[0, 0, 50]),
            delay,
            jitter: if random.per_mille(500) { delay / 2 + 1 } else { 1 },
            loss_near: (loss(random), loss(random)),
            loss_far: (loss(random), loss(random)),
            sizes: sizes(random),
            interrupted: *random.pick(&[0, 20, 200]),
            // What one gateway has learned, the others learn a minute later.
            listed: random.per_mille(300) || options.gateways > 1,
            kills: sometimes(random, 400, 6),
            troubles: sometimes(random, 250, 3),
            commit: *random.pick(&[MS, 10 * MS, 200 * MS]),
            clock_steps: if options.gateways > 1 { 0 } else { sometimes(random, 150, 4) },
            words: *random.pick(&[0, 0, 0, 500]),
            batch: *random.pick(&[4, 64, 4096]),
            // F19: a settling outage cannot be shared.
            settle: if strict { 0 } else { *random.pick(&[0, 2 * SECOND, 10 * SECOND]) },
            min_failures: if strict { 1 } else { random.within(1, 4) as u32 },
            min_clients: if strict { 1 } else { random.within(1, 3) as u32 },
            skip_connected: !strict && random.per_mille(300),
            probes: if random.per_mille(100) { 5 * SECOND } else { 0 },
            mail_trouble: *random.pick(&[0, 100, 500]),
        }
    }
}

/// Mostly large enough; sometimes so small that everything overflows.
fn sizes(random: &mut Random) -> Sizes {
    let tiny = random.per_mille(300);
    Sizes {
        cpus: *random.pick(&[1, 2, 4]),
        near_buckets: if tiny { *random.pick(&[1, 4]) } else { 2048 },
        far_buckets: if tiny { *random.pick(&[1, 8]) } else { 1024 },
        deadlines: if tiny { *random.pick(&[16, 64]) } else { 4096 },
        ring_bytes: *random.pick(&[1 << 10, 4 << 10, 1 << 20, 1 << 20]),
        services: 64,
    }
}
