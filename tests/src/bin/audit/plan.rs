//! What is going to fail, and when. The same seed gives the same plan.

use std::{fmt, time::Duration};

use lab::{Manner, Way};

use crate::random::Random;

/// The ports that every server serves, at most.
const FIRST_PORT: u16 = 8001;

/// How often each service, each server and the daemon meet trouble, on average in seconds.
const SERVICE_FAILS: f64 = 25.0;
const SERVER_FAILS: f64 = 60.0;
const DAEMON_DIES: f64 = 10.0;
const MAIL_CHANGES: f64 = 10.0;

/// Nothing fails before everything has answered a few times.
const CALM: f64 = 5.0;

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The service's process is gone: RST.
    Gone,
    /// The process accepts nothing, and its backlog is full: SYNs are dropped.
    Stalled,
    /// The gateway's filter says so by ICMP.
    Prohibited,
    /// The gateway's routing says so by ICMP.
    NoRoute,
    /// What goes this way is lost between gateway and server.
    Cut(Way),
    /// The server answers ARP and nothing else.
    Silent,
    /// The server has no link.
    NoLink,
}

/// Where a fault strikes, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerFault {
    /// From 1.
    pub(crate) server: usize,
    /// `None`: the whole server.
    pub(crate) port: Option<u16>,
    /// What it is.
    pub(crate) kind: FaultKind,
}

/// A fault with its time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedFault {
    /// Since the start.
    pub(crate) at: Duration,
    /// For how long.
    pub(crate) lasts: Duration,
    /// Which one.
    pub(crate) fault: ServerFault,
}

/// A death of the daemon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannedDeath {
    /// Since the start.
    pub(crate) at: Duration,
    /// SIGTERM in place of SIGKILL.
    pub(crate) gently: bool,
    /// How long nobody starts it again.
    pub(crate) dead_for: Duration,
}

/// Everything that is going to happen.
#[derive(Debug)]
pub(crate) struct Plan {
    /// In order of time.
    pub(crate) faults: Vec<PlannedFault>,
    /// In order of time.
    pub(crate) deaths: Vec<PlannedDeath>,
    /// Since when the mail server behaves how.
    pub(crate) mail: Vec<(Duration, Manner)>,
}

/// The ports of the services of each server.
pub(crate) fn ports(services: usize) -> Vec<u16> {
    (FIRST_PORT..).take(services).collect()
}

impl Plan {
    /// A plan for this long.
    pub(crate) fn new(seed: u64, lasts: Duration, servers: usize, services: usize) -> Self {
        let mut faults = Vec::new();
        for server in 1..=servers {
            let mut random = Random::new(seed, server as u64);
            let kinds = [FaultKind::NoLink, FaultKind::Silent, FaultKind::Cut(Way::Back), FaultKind::Cut(Way::There)];
            faults_of(&mut faults, &mut random, lasts, SERVER_FAILS, (server, None), &kinds);
            for port in ports(services) {
                let mut random = Random::new(seed, server as u64 * 100_000 + u64::from(port));
                let mut kinds = vec![FaultKind::Gone; 3];
                kinds.extend([FaultKind::Stalled, FaultKind::Prohibited, FaultKind::NoRoute]);
                kinds.extend([FaultKind::Cut(Way::Back), FaultKind::Cut(Way::There)].repeat(2));
                faults_of(&mut faults, &mut random, lasts, SERVICE_FAILS, (server, Some(port)), &kinds);
            }
        }
        faults.sort_by_key(|fault| fault.at);
        let deaths = deaths(&mut Random::new(seed, 1_000), lasts, &faults);
        let mail = mail(&mut Random::new(seed, 1_001), lasts);
        Self { faults, deaths, mail }
    }
}

/// The faults of one server or service, one after the other.
fn faults_of(
    faults: &mut Vec<PlannedFault>,
    random: &mut Random,
    end: Duration,
    mean: f64,
    (server, port): (usize, Option<u16>),
    kinds: &[FaultKind],
) {
    let mut at = Duration::from_secs_f64(CALM);
    loop {
        at += random.pause(mean);
        let lasts = match random.unit() {
            // Flaps.
            0.0..0.7 => random.between(0.5, 6.0),
            0.7..0.9 => random.between(6.0, 15.0),
            // Long outages.
            _ => random.between(15.0, 40.0),
        };
        let kind = *random.pick(kinds);
        if at + Duration::from_secs(1) >= end {
            return;
        }
        let lasts = lasts.min(end - at);
        faults.push(PlannedFault { at, lasts, fault: ServerFault { server, port, kind } });
        at += lasts;
    }
}

fn deaths(random: &mut Random, end: Duration, faults: &[PlannedFault]) -> Vec<PlannedDeath> {
    let mut deaths = Vec::new();
    let mut at = Duration::from_secs_f64(CALM);
    loop {
        at += random.pause(DAEMON_DIES);
        let (gently, strike) = (random.chance(0.2), random.chance(0.4));
        let dead_for = if strike || random.chance(0.4) { random.between(0.1, 8.0) } else { Duration::ZERO };
        // Many die shortly before a recovery, and do not see it.
        let recovery = faults.iter().map(|fault| fault.at + fault.lasts).filter(|ends| *ends > at).min();
        let before = random.between(0.0, 0.5);
        if let (true, Some(recovery)) = (strike, recovery) {
            at = at.max(recovery.saturating_sub(before));
        }
        if at >= end {
            return deaths;
        }
        deaths.push(PlannedDeath { at, gently, dead_for });
        at += dead_for;
    }
}

fn mail(random: &mut Random, end: Duration) -> Vec<(Duration, Manner)> {
    let troubles = [
        Manner::DefersRecipients,
        Manner::DefersMails,
        Manner::HangsUpAndKeeps,
        Manner::HangsUpAndLoses,
        Manner::Slow,
        Manner::Down,
    ];
    let mut manners = Vec::new();
    let mut at = Duration::ZERO;
    while at < end {
        manners.push((at, if random.chance(0.5) { Manner::Works } else { *random.pick(&troubles) }));
        at += random.pause(MAIL_CHANGES);
    }
    manners
}

impl fmt::Display for ServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            FaultKind::Gone => "process gone",
            FaultKind::Stalled => "backlog full",
            FaultKind::Prohibited => "prohibited by ICMP",
            FaultKind::NoRoute => "unreachable by ICMP",
            FaultKind::Cut(Way::There) => "way there cut",
            FaultKind::Cut(Way::Back) => "way back cut",
            FaultKind::Silent => "silent",
            FaultKind::NoLink => "link down",
        };
        match self.port {
            Some(port) => write!(f, "server{} port {port}: {kind}", self.server),
            None => write!(f, "server{}: {kind}", self.server),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Plan;

    #[test]
    fn the_same_seed_gives_the_same_plan() {
        let plan = |seed| format!("{:?}", Plan::new(seed, Duration::from_secs(300), 3, 4));
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
    }
}
