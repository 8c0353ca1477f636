//! The one task that owns all guards: what the kernel holds, the machines, the checks that run.
//!
//! In: held frames and new connections from the kernel, results of checks, the passing of time. Out: words on single
//! connections to the kernel, frames back into the stack, RST and FIN, observations for the core (a sick guard is an
//! outage of its service), and [`GuardLine`]s. It gives the kernel a sign of life; when that stops, the kernel decides.

use std::{collections::HashSet, net::IpAddr, time::Duration};

use monitor_common::GuardOp;
use monitor_core::{
    config::GuardSetting,
    domain::{MonotonicNs, Service},
    guard::{
        frame,
        machine::{GuardFact, GuardOutcome},
    },
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    GuardLine,
    guarded::{Guard, HeldRequest},
    reply::Replies,
};
use crate::{
    clock::Now as _,
    health::CheckLine,
    kernel::{self, GuardReport, Guards, KernelError},
    port::CoreHandle,
};

/// Between two signs of life; several fit into what the kernel waits for.
const BEAT: Duration = Duration::from_millis(100);

/// Between two looks through the kernel's tables.
const SWEEP: Duration = Duration::from_secs(1);

/// See the module.
pub struct Worker {
    pub(super) kernel: Guards,
    pub(super) guards: Vec<Guard>,
    pub(super) replies: Replies,
    pub(super) running: JoinSet<(usize, u64, Vec<CheckLine>)>,
    pub(super) core: CoreHandle,
    pub(super) lines: watch::Sender<Vec<GuardLine>>,
    pub(super) next_request: u64,
    pub(super) local: HashSet<IpAddr>,
}

/// Why the check failed, all of it on one line.
fn reason(checks: &[CheckLine]) -> Option<String> {
    let sick: Vec<_> =
        checks.iter().filter(|line| !line.ok).map(|line| format!("{}: {}", line.check, line.found)).collect();
    (!sick.is_empty()).then(|| sick.join("; "))
}

impl Worker {
    /// Puts the guards on their ports. `failed`: services that had an outage when the daemon started.
    pub fn new(
        kernel: Guards,
        settings: &[GuardSetting],
        failed: &[Service],
        core: CoreHandle,
    ) -> Result<(Self, watch::Receiver<Vec<GuardLine>>), KernelError> {
        let now = MonotonicNs::now();
        let local = kernel::local_addresses();
        let failed: Vec<_> = failed.iter().copied().filter(|service| local.contains(&service.addr())).collect();
        let (lines, view) = watch::channel(Vec::new());
        let guards = settings.iter().map(|setting| Guard::new(setting.clone(), &failed, now)).collect();
        let mut worker = Self {
            kernel,
            guards,
            replies: Replies::default(),
            running: JoinSet::new(),
            core,
            lines,
            next_request: 0,
            local,
        };
        worker.kernel.beat(now.0)?;
        for (index, guard) in worker.guards.iter().enumerate() {
            worker.kernel.guard(index as u32, guard.setting.port, guard.rule)?;
        }
        worker.publish();
        Ok((worker, view))
    }

    /// Runs until `cancel`; then nothing waits on, and the kernel decides.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<(), KernelError> {
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sweep = interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = self.guards.iter().filter_map(|guard| guard.machine.next_deadline()).min();
            let until_deadline = deadline.map_or(Duration::from_secs(3600), |deadline| {
                Duration::from_nanos(deadline.0.saturating_sub(MonotonicNs::now().0))
            });
            tokio::select! {
                () = cancel.cancelled() => break,
                _ = beat.tick() => self.kernel.beat(MonotonicNs::now().0)?,
                reports = self.kernel.reports() => {
                    for report in reports? {
                        self.take(report);
                    }
                }
                Some(ended) = self.running.join_next() => {
                    if let Ok((index, number, checks)) = ended {
                        self.checked(index, number, checks);
                    }
                }
                () = sleep(until_deadline) => {}
                _ = sweep.tick() => self.sweep(),
            }
            let now = MonotonicNs::now();
            for index in 0..self.guards.len() {
                let actions = self.guards[index].machine.tick(now);
                self.act(index, actions);
            }
            self.publish();
        }
        self.kernel.beat(0)?;
        for report in self.kernel.take_reports() {
            self.take(report);
        }
        for index in 0..self.guards.len() {
            let actions = self.guards[index].machine.stop();
            self.act(index, actions);
        }
        self.publish();
        Ok(())
    }

    fn take(&mut self, report: GuardReport) {
        let now = MonotonicNs::now();
        match report {
            GuardReport::Held(held) => {
                let Some((flow, seq)) = frame::flow(&held.frame) else { return };
                let Some(index) = self.guards.iter().position(|guard| guard.setting.port == flow.server_port) else {
                    return;
                };
                let waiting = HeldRequest { flow, seq, held };
                if !self.is_local(IpAddr::from(flow.server)) {
                    // Forwarded: another host's service is not ours to judge.
                    self.release(index, &waiting, GuardOp::PASS);
                    return;
                }
                let request = self.next_request;
                self.next_request += 1;
                let guard = &mut self.guards[index];
                guard.waiting.insert(request, waiting);
                guard.held_most = guard.held_most.max(guard.waiting.len() as u64);
                let actions = guard.machine.observe(now, GuardFact::Held(request));
                self.act(index, actions);
            }
            GuardReport::Established { guard, flow } => {
                let index = guard as usize;
                if index < self.guards.len() && self.is_local(IpAddr::from(flow.server)) {
                    let actions = self.guards[index].machine.observe(now, GuardFact::Established);
                    self.act(index, actions);
                }
            }
        }
    }

    fn checked(&mut self, index: usize, number: u64, checks: Vec<CheckLine>) {
        let guard = &mut self.guards[index];
        guard.runs += 1;
        guard.reason = reason(&checks);
        guard.checks = checks;
        let outcome = if guard.reason.is_none() { GuardOutcome::Healthy } else { GuardOutcome::Sick };
        tracing::debug!(port = guard.setting.port, ?outcome, reason = guard.reason, "checked");
        let actions = guard.machine.observe(MonotonicNs::now(), GuardFact::Checked(number, outcome));
        self.act(index, actions);
    }

    fn is_local(&mut self, addr: IpAddr) -> bool {
        if !self.local.contains(&addr) {
            self.local = kernel::local_addresses();
        }
        self.local.contains(&addr)
    }

    fn publish(&self) {
        let offset = monitor_store::clock::offset();
        let line =
            |(index, guard): (usize, &Guard)| guard.line(self.kernel.counts(index as u32).unwrap_or_default(), offset);
        let lines: Vec<_> = self.guards.iter().enumerate().map(line).collect();
        self.lines.send_if_modified(|before| {
            let changed = *before != lines;
            *before = lines;
            changed
        });
    }
}
