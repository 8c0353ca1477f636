//! Carries out the plan: faults in the lab, deaths of the daemon, moods of the mail server. Notes when each was in force.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab::{Cut, Daemon, Lab, UnreliableMailServer};

use crate::{
    clock::{Ns, now},
    plan::{FaultKind, Plan, PlannedDeath, ServerFault},
    servers::{Listener, State},
};

/// A fault, and when it was in force.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Which one.
    pub(crate) fault: ServerFault,
    /// Before it was begun.
    pub(crate) begin: Ns,
    /// When it was surely in force.
    pub(crate) begun: Ns,
    /// Before it was ended.
    pub(crate) end: Ns,
    /// When it was surely over.
    pub(crate) ended: Ns,
}

impl Window {
    /// Whether it concerned this service.
    pub(crate) fn concerns(&self, service: SocketAddr, server_of: impl Fn(SocketAddr) -> usize) -> bool {
        self.fault.server == server_of(service) && self.fault.port.is_none_or(|port| port == service.port())
    }
}

/// A death of the daemon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Death {
    /// When it was ended.
    pub(crate) at: Ns,
    /// When its successor answered.
    pub(crate) back: Ns,
    /// By SIGTERM in place of SIGKILL.
    pub(crate) gently: bool,
}

/// All services, by server (from 1) and port.
pub(crate) type Listeners = BTreeMap<(usize, u16), Listener>;

/// Lets the planned faults happen, and the mail server behave as planned; returns when all is well again.
pub(crate) fn play(
    plan: &Plan,
    begin: Instant,
    lab: &Lab,
    services: &Listeners,
    mail: &UnreliableMailServer,
    stop: &AtomicBool,
) -> Result<Vec<Window>> {
    enum Event {
        Begin(usize),
        End(usize),
        Mail(usize),
    }
    let mut events: Vec<(Duration, Event)> = Vec::new();
    for (index, fault) in plan.faults.iter().enumerate() {
        events.push((fault.at, Event::Begin(index)));
        events.push((fault.at + fault.lasts, Event::End(index)));
    }
    events.extend(plan.mail.iter().enumerate().map(|(index, (at, _))| (*at, Event::Mail(index))));
    events.sort_by_key(|(at, _)| *at);
    let mut windows: Vec<Option<Window>> = vec![None; plan.faults.len()];
    for (at, event) in events {
        if !sleep_until(begin + at, stop) {
            break;
        }
        match event {
            Event::Mail(index) => mail.set(plan.mail[index].1),
            Event::Begin(index) => {
                let fault = plan.faults[index].fault;
                let begin = now();
                set(lab, services, fault, true)?;
                windows[index] = Some(Window { fault, begin, begun: now(), end: Ns::MAX, ended: Ns::MAX });
            }
            Event::End(index) => end(lab, services, windows[index].as_mut())?,
        }
    }
    // Interrupted: what has begun is ended.
    for window in windows.iter_mut().flatten().filter(|window| window.ended == Ns::MAX) {
        end(lab, services, Some(window))?;
    }
    mail.set(lab::Manner::Works);
    Ok(windows.into_iter().flatten().collect())
}

fn end(lab: &Lab, services: &Listeners, window: Option<&mut Window>) -> Result<()> {
    let Some(window) = window else { return Ok(()) };
    window.end = now();
    set(lab, services, window.fault, false)?;
    window.ended = now();
    Ok(())
}

/// Lets the daemon die and live again as planned; it lives in the end.
pub(crate) fn kill(
    deaths: &[PlannedDeath],
    begin: Instant,
    daemon: &mut Daemon<'_>,
    stop: &AtomicBool,
) -> Result<Vec<Death>> {
    let mut happened = Vec::new();
    for death in deaths {
        if !sleep_until(begin + death.at, stop) {
            break;
        }
        let at = now();
        if death.gently {
            daemon.sigterm().context("at SIGTERM")?;
        } else {
            daemon.kill9()?;
        }
        thread::sleep(death.dead_for);
        daemon.launch()?;
        happened.push(Death { at, back: now(), gently: death.gently });
    }
    Ok(happened)
}

/// False: the audit is interrupted.
fn sleep_until(moment: Instant, stop: &AtomicBool) -> bool {
    const LOOK: Duration = Duration::from_millis(100);
    loop {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        thread::sleep(left.min(LOOK));
    }
}

/// Begins or ends a fault.
fn set(lab: &Lab, services: &Listeners, fault: ServerFault, begins: bool) -> Result<()> {
    let server = lab.server(fault.server);
    let become_state = |state| -> Result<()> {
        let port = fault.port.context("a server has no state")?;
        services[&(fault.server, port)].set(if begins { state } else { State::Serves })
    };
    match fault.kind {
        FaultKind::Gone => become_state(State::Gone),
        FaultKind::Stalled => become_state(State::Stalls),
        FaultKind::Prohibited => reject(lab, fault, "prohibit", begins),
        FaultKind::NoRoute => reject(lab, fault, "unreachable", begins),
        FaultKind::Cut(way) => {
            let (path, what) = (lab.server_path(fault.server), fault.port.map_or(Cut::Everything, Cut::Port));
            if begins {
                path.cut(way, what);
            } else {
                path.mend(way, what);
            }
            Ok(())
        }
        FaultKind::Silent if begins => server.fall_silent(),
        FaultKind::Silent => server.speak_again(),
        FaultKind::NoLink if begins => server.link_down(),
        FaultKind::NoLink => server.link_up(),
    }
    .with_context(|| format!("{fault}, begins: {begins}"))
}

/// The gateway answers SYNs to a port with ICMP errors.
fn reject(lab: &Lab, fault: ServerFault, how: &str, begins: bool) -> Result<()> {
    let (server, port) = (lab.server(fault.server), fault.port.context("only a port is rejected")?);
    let verb = if begins { "add" } else { "del" };
    let rule = |family: &str, to: &str| format!("{family} rule {verb} to {to} ipproto tcp dport {port} {how}");
    let run = |family: &'static str, to: String| -> Result<()> {
        let rule = rule(family, &to);
        let output = lab.gateway().command("ip").args(rule.split_whitespace()).output()?;
        anyhow::ensure!(output.status.success(), "ip {rule}: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    };
    run("-4", server.v4().to_string())?;
    run("-6", server.v6().to_string())
}
