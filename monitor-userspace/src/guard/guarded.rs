//! One guard and what goes on at it: its machine, its rule in the kernel, what waits, what is counted.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    time::Duration,
};

use monitor_common::{Flow, GuardCounts, GuardFlags, GuardRule};
use monitor_core::{
    config::{GuardFail, GuardMode, GuardSetting},
    domain::{ClockOffset, MonotonicNs, Service},
    guard::machine::{GuardMachine, GuardRules, Health},
};

use super::{GuardLine, HealthWord};
use crate::{health::CheckLine, kernel::HeldFrame};

/// Services of one guard that are remembered as refused: a host has few addresses.
const MOST_SERVICES: usize = 256;

/// A SYN that waits.
pub(super) struct HeldRequest {
    pub(super) flow: Flow,
    pub(super) seq: u32,
    pub(super) held: HeldFrame,
}

/// One guard and what goes on at it.
pub(super) struct Guard {
    pub(super) setting: GuardSetting,
    pub(super) machine: GuardMachine,
    pub(super) rule: GuardRule,
    /// What waits, by the name that the machine knows it by.
    pub(super) waiting: HashMap<u64, HeldRequest>,
    /// Since when the kernel knows that it is sick.
    pub(super) sick_since: Option<MonotonicNs>,
    /// Services whose clients were refused.
    pub(super) refused_services: BTreeSet<(IpAddr, u16)>,
    /// How far the kernel's count of open connections is off, as the latest look found; corrected when the next finds the
    /// same.
    pub(super) count_off: i64,
    pub(super) checks: Vec<CheckLine>,
    pub(super) reason: Option<String>,
    pub(super) runs: u64,
    pub(super) admitted: u64,
    pub(super) refused: u64,
    pub(super) passed: u64,
    pub(super) held_most: u64,
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2)
}

impl Guard {
    pub(super) fn new(setting: GuardSetting, failed: &[Service], now: MonotonicNs) -> Self {
        let rules = GuardRules {
            fail_open: setting.fail == GuardFail::Open,
            hold: setting.hold,
            keep: setting.keep,
            max_held: setting.max_held as usize,
            probe: setting.probe,
            probe_max: setting.probe_max,
        };
        let refused_services: BTreeSet<_> = failed
            .iter()
            .filter(|service| service.port() == setting.port)
            .map(|service| (service.addr(), service.port()))
            .collect();
        let sick = !refused_services.is_empty();
        let mut flags = 0;
        if setting.mode == GuardMode::After {
            flags |= GuardFlags::AFTER;
        }
        if setting.fail == GuardFail::Closed {
            flags |= GuardFlags::CLOSED;
        }
        if sick {
            flags |= GuardFlags::SICK;
        }
        Self {
            machine: if sick { GuardMachine::new_sick(rules, now) } else { GuardMachine::new(rules) },
            rule: GuardRule { hold_ns: nanoseconds(setting.hold), good_until_ns: 0, max_held: setting.max_held, flags },
            setting,
            waiting: HashMap::new(),
            sick_since: sick.then_some(now),
            refused_services,
            count_off: 0,
            checks: Vec::new(),
            reason: None,
            runs: 0,
            admitted: 0,
            refused: 0,
            passed: 0,
            held_most: 0,
        }
    }

    pub(super) fn refused_service(&mut self, flow: &Flow) {
        if self.refused_services.len() < MOST_SERVICES {
            self.refused_services.insert((IpAddr::from(flow.server), flow.server_port));
        }
    }

    pub(super) fn line(&self, counts: GuardCounts, offset: ClockOffset) -> GuardLine {
        let (health, since) = match self.machine.health() {
            Health::Unknown => (HealthWord::Unknown, None),
            Health::Healthy(at) => (HealthWord::Healthy, Some(offset.unix(at))),
            Health::Sick { since, .. } => (HealthWord::Sick, Some(offset.unix(since))),
        };
        GuardLine {
            port: self.setting.port,
            mode: self.setting.mode,
            fail: self.setting.fail,
            health,
            since,
            reason: self.reason.clone(),
            checks: self.checks.clone(),
            checking: self.machine.is_checking(),
            runs: self.runs,
            open: counts.open,
            held: counts.held,
            held_most: self.held_most,
            admitted: self.admitted,
            refused: self.refused,
            unchecked: counts.unchecked + self.passed,
            closed: counts.closed,
            overflow: counts.overflow,
        }
    }
}
