//! The one task that owns all guards: what the kernel holds, the machines, the checks that run.
//!
//! In: held frames and new connections from the kernel, results of checks, the passing of time. Out: words on single
//! connections to the kernel, frames back into the stack, RST and FIN, observations for the core (a sick guard is an
//! outage of its service), and [`GuardLine`]s. It gives the kernel a sign of life; when that stops, the kernel decides.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    net::IpAddr,
    time::Duration,
};

use monitor_common::{Flow, GuardCounts, GuardFlags, GuardOp, GuardRule};
use nix::{ifaddrs::getifaddrs, sys::socket::SockaddrStorage};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    CheckLine, GuardLine, HealthWord, checks,
    connections::{self, Connection},
    frame,
    machine::{Action, Fact, Health, Machine, Outcome, Rules},
    reply::Replies,
};
use crate::{
    config::{GuardEnd, GuardFail, GuardMode, GuardSetting},
    kernel::{Clock, GuardReport, Guards, HeldFrame, KernelError},
    outage::{ClientAddr, FailedAttempt, Failure, MonotonicNs, Observation, Service, Standing, UnixMs},
    recovery::Reported,
};

/// Between two signs of life; several fit into what the kernel waits for.
const BEAT: Duration = Duration::from_millis(100);

/// Between two looks through the kernel's tables.
const SWEEP: Duration = Duration::from_secs(1);

/// A connection that the kernel does not know may be in the middle of its handshake; an older one is over.
const SETTLED_NS: u64 = 2_000_000_000;

/// Services of one guard that are remembered as refused: a host has few addresses.
const MOST_SERVICES: usize = 256;

/// A SYN that waits.
struct Waiting {
    flow: Flow,
    seq: u32,
    held: HeldFrame,
}

/// One guard and what goes on at it.
struct Guard {
    setting: GuardSetting,
    machine: Machine,
    rule: GuardRule,
    /// What waits, by the name that the machine knows it by.
    waiting: HashMap<u64, Waiting>,
    /// Since when the kernel knows that it is sick.
    sick_since: Option<MonotonicNs>,
    /// Services whose clients were refused.
    refused_services: BTreeSet<(IpAddr, u16)>,
    /// How far the kernel's count of open connections is off, as the latest look found; corrected when the next finds the
    /// same.
    count_off: i64,
    checks: Vec<CheckLine>,
    reason: Option<String>,
    runs: u64,
    admitted: u64,
    refused: u64,
    passed: u64,
    held_most: u64,
}

/// See the module.
pub struct Worker {
    kernel: Guards,
    guards: Vec<Guard>,
    replies: Replies,
    running: JoinSet<(usize, u64, Vec<CheckLine>)>,
    reported: mpsc::Sender<Reported>,
    lines: watch::Sender<Vec<GuardLine>>,
    next_request: u64,
    local: HashSet<IpAddr>,
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2)
}

impl Guard {
    fn new(setting: GuardSetting, failed: &[Service], now: MonotonicNs) -> Self {
        let rules = Rules {
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
            machine: if sick { Machine::new_sick(rules, now) } else { Machine::new(rules) },
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

    fn refused_service(&mut self, flow: &Flow) {
        if self.refused_services.len() < MOST_SERVICES {
            self.refused_services.insert((IpAddr::from(flow.server), flow.server_port));
        }
    }

    fn line(&self, counts: GuardCounts, clock: Clock) -> GuardLine {
        let (health, since) = match self.machine.health() {
            Health::Unknown => (HealthWord::Unknown, None),
            Health::Healthy(at) => (HealthWord::Healthy, Some(clock.unix(at))),
            Health::Sick { since, .. } => (HealthWord::Sick, Some(clock.unix(since))),
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
        reported: mpsc::Sender<Reported>,
    ) -> Result<(Self, watch::Receiver<Vec<GuardLine>>), KernelError> {
        let now = MonotonicNs::now();
        let local = local_addresses();
        let failed: Vec<_> = failed.iter().copied().filter(|service| local.contains(&service.addr())).collect();
        let (lines, view) = watch::channel(Vec::new());
        let guards = settings.iter().map(|setting| Guard::new(setting.clone(), &failed, now)).collect();
        let mut worker = Self {
            kernel,
            guards,
            replies: Replies::default(),
            running: JoinSet::new(),
            reported,
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
                let waiting = Waiting { flow, seq, held };
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
                let actions = guard.machine.observe(now, Fact::Held(request));
                self.act(index, actions);
            }
            GuardReport::Established { guard, flow } => {
                let index = guard as usize;
                if index < self.guards.len() && self.is_local(IpAddr::from(flow.server)) {
                    let actions = self.guards[index].machine.observe(now, Fact::Established);
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
        let outcome = if guard.reason.is_none() { Outcome::Healthy } else { Outcome::Sick };
        tracing::debug!(port = guard.setting.port, ?outcome, reason = guard.reason, "checked");
        let actions = guard.machine.observe(MonotonicNs::now(), Fact::Checked(number, outcome));
        self.act(index, actions);
    }

    fn act(&mut self, index: usize, actions: Vec<Action>) {
        let mut admitted = HashSet::new();
        for action in actions {
            match action {
                Action::Check(number) => {
                    let checks = self.guards[index].setting.check.clone();
                    self.running.spawn(async move { (index, number, checks::run(&checks).await) });
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
                        self.report(Observation::Probed { service, connected: true, at: UnixMs::now() });
                    }
                }
            }
        }
    }

    /// Lets go of a held SYN. Returns whether it was still held: the kernel may have decided meanwhile.
    fn release(&self, index: usize, waiting: &Waiting, op: u32) -> bool {
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
    fn settle(&mut self, index: usize, outcome: Outcome) {
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
            Outcome::Healthy => {
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
            Outcome::Sick => {
                let guard = &mut self.guards[index];
                let flows: HashSet<Flow> = unchecked.iter().map(|(flow, _)| *flow).collect();
                guard.refused += flows.len() as u64;
                end(guard.setting.port, guard.setting.end, flows);
                for (flow, open) in unchecked {
                    self.guards[index].refused_service(&flow);
                    // While sick, the kernel itself notes the attempt: its answer is hidden.
                    let noted = sick_since.is_some_and(|since| open.at_ns > since.0);
                    let now = UnixMs::now();
                    self.report(Observation::Failed(FailedAttempt {
                        client: ClientAddr::new(IpAddr::from(flow.client)),
                        service: Service::new(IpAddr::from(flow.server), flow.server_port),
                        evidence: Failure::Sick,
                        seen: MonotonicNs(open.at_ns),
                        last_answer: None,
                        at: now,
                        attempts: u32::from(!noted),
                        standing: Standing::Listed,
                        answers_seen: true,
                        // The core looks it up.
                        known: false,
                    }));
                    // Its end is seen to pass; should that be missed, it is not waited for.
                    self.say(index, &flow, 0, GuardOp::OVER);
                }
            }
        }
    }

    fn say(&self, index: usize, flow: &Flow, seq: u32, op: u32) -> bool {
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
        let (committed, _) = oneshot::channel();
        // Never waited for: a core that stands still must not keep connections waiting.
        if self.reported.try_send(Reported { observation, seen: None, committed }).is_err() {
            tracing::error!(?observation, "the core does not take what a guard has found");
        }
    }

    fn is_local(&mut self, addr: IpAddr) -> bool {
        if !self.local.contains(&addr) {
            self.local = local_addresses();
        }
        self.local.contains(&addr)
    }

    /// Corrects what the programs cannot see: connections that ended without a word, SYNs whose record was lost, and
    /// connections whose notice was.
    fn sweep(&mut self) {
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

    fn sweep_guard(&mut self, index: usize, open: &[(Flow, monitor_common::OpenFlow)], now: MonotonicNs) {
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
                let actions = self.guards[index].machine.observe(now, Fact::Established);
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

    fn publish(&self) {
        let clock = Clock::now();
        let line =
            |(index, guard): (usize, &Guard)| guard.line(self.kernel.counts(index as u32).unwrap_or_default(), clock);
        let lines: Vec<_> = self.guards.iter().enumerate().map(line).collect();
        self.lines.send_if_modified(|before| {
            let changed = *before != lines;
            *before = lines;
            changed
        });
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

/// Whether this host has the address.
#[must_use]
pub fn is_local(addr: IpAddr) -> bool {
    local_addresses().contains(&addr)
}

/// Every address of this host.
fn local_addresses() -> HashSet<IpAddr> {
    let Ok(addresses) = getifaddrs() else { return HashSet::new() };
    let ip = |address: SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    addresses.filter_map(|interface| ip(interface.address?)).collect()
}
