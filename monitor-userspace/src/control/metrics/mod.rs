//! The status as Prometheus metrics. No client address is ever a label.

mod guards;
mod peers;

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::text::encode as encode_text,
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::Gauge,
    },
    registry::Registry,
};

use super::report::{Health, StatusReport};
use crate::{guard::GuardLine, peer::PeersReport};

type Labels = Vec<(&'static str, String)>;

/// The text that a Prometheus server reads.
pub(super) fn encode(report: &StatusReport, hosts: &PeersReport, lines: &[GuardLine]) -> String {
    let mut registry = Registry::with_prefix("ringback");
    gauge(&mut registry, "healthy", "1 while Ringback itself works, else 0", u64::from(report.health == Health::Ok));
    gauge(&mut registry, "outages", "Outages that are not over", report.outages.len() as u64);
    gauge(&mut registry, "waiting_clients", "Clients that wait for a recovery", report.waiting_clients);
    gauge(&mut registry, "services", "Services that have answered at least once", report.services);
    gauge(&mut registry, "outbox_queued", "Mails to be delivered", report.outbox.queued);
    gauge(&mut registry, "outbox_retrying", "Mails that wait for another try", report.outbox.retrying);
    gauge(&mut registry, "outbox_dead", "Mails that were given up", report.outbox.dead);
    registry.register("outbox_delivered", "Mails that were delivered", ConstCounter::new(report.outbox.delivered));
    let groups = [
        ("kernel", "Counts of the kernel programs, by reason", &report.counters),
        ("lost", "What was lost, by reason", &report.losses),
        ("mailbox", "What became of visits to the mailbox and of the mails in it, by reason", &report.mailbox),
        ("page", "What became of the clients of the stand-in page, by reason", &report.page),
        ("snmp", "What the SNMP manager did with what it received, by reason", &report.snmp),
    ];
    for (name, help, counts) in groups {
        let counts = counts.iter().map(|loss| (vec![("reason", loss.reason.clone())], loss.count));
        gauges(&mut registry, &format!("{name}_count"), help, counts);
    }
    let states = report.list_states.iter().map(|line| (vec![("state", line.reason.clone())], line.count));
    gauges(&mut registry, "lists", "Lists that relays were sent, by what became of them", states);
    gauge(&mut registry, "notices_waiting", "What operators are still to be told", report.notices_waiting);
    let ends = report
        .certificates
        .iter()
        .map(|line| (vec![("certificate", line.certificate.clone())], u64::try_from(line.ends.0 / 1000).unwrap_or(0)));
    let help = "When a certificate of the stand-in page expires, in seconds since 1970";
    gauges(&mut registry, "certificate_expiry_timestamp_seconds", help, ends);
    peers::register(&mut registry, hosts);
    guards::register(&mut registry, lines);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = encode_text(&mut text, &registry);
    text
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let gauge = Gauge::<u64, AtomicU64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

/// One gauge by labels; none where nothing has such labels.
fn gauges(registry: &mut Registry, name: &str, help: &str, values: impl Iterator<Item = (Labels, u64)>) {
    let mut values = values.peekable();
    if values.peek().is_none() {
        return;
    }
    let family = Family::<Labels, Gauge<u64, AtomicU64>>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).set(value);
    }
    registry.register(name, help, family);
}

/// One counter by labels, likewise; its name gets `_total`.
fn counters(registry: &mut Registry, name: &str, help: &str, values: impl Iterator<Item = (Labels, u64)>) {
    let mut values = values.peekable();
    if values.peek().is_none() {
        return;
    }
    let family = Family::<Labels, Counter>::default();
    for (labels, value) in values {
        family.get_or_create(&labels).inc_by(value);
    }
    registry.register(name, help, family);
}
