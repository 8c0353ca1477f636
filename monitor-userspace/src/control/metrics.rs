//! The status as Prometheus metrics. No client address is ever a label.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::text::encode as encode_text,
    metrics::{counter::ConstCounter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::report::{Health, StatusReport};

type Labels = Vec<(&'static str, String)>;

/// The text that a Prometheus server reads.
pub(super) fn encode(report: &StatusReport) -> String {
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
        ("snmp", "What the SNMP manager did with what it received, by reason", &report.snmp),
    ];
    for (name, help, counts) in groups {
        let family = Family::<Labels, Gauge<u64, AtomicU64>>::default();
        for loss in counts {
            family.get_or_create(&vec![("reason", loss.reason.clone())]).set(loss.count);
        }
        registry.register(format!("{name}_count"), help, family);
    }
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
