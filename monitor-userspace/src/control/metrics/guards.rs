//! Metrics of guards.

use prometheus_client::registry::Registry;

use super::{counters, gauges};
use crate::guard::{GuardLine, HealthWord};

pub(super) fn register(registry: &mut Registry, guards: &[GuardLine]) {
    let of = |value: fn(&GuardLine) -> u64| {
        guards.iter().map(move |guard| (vec![("port", guard.port.to_string())], value(guard)))
    };
    let sick = |guard: &GuardLine| u64::from(guard.health == HealthWord::Sick);
    gauges(registry, "guard_sick", "1 while the guard's checks fail, else 0", of(sick));
    gauges(registry, "guard_open", "Open connections that count as checked", of(|guard| guard.open));
    gauges(registry, "guard_held", "Connection requests that wait for a check", of(|guard| guard.held));
    gauges(registry, "guard_held_most", "The most that ever waited at the same time", of(|guard| guard.held_most));
    counters(registry, "guard_checks", "How often the guard's checks have run", of(|guard| guard.runs));
    counters(registry, "guard_admitted", "Requests that a healthy check let through", of(|guard| guard.admitted));
    counters(registry, "guard_refused", "Requests refused and connections ended", of(|guard| guard.refused));
    counters(registry, "guard_unchecked", "Requests that passed unchecked", of(|guard| guard.unchecked));
    counters(registry, "guard_closed", "Requests dropped as nobody had decided", of(|guard| guard.closed));
    counters(registry, "guard_overflow", "Requests dropped as too many waited", of(|guard| guard.overflow));
}
