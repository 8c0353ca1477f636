//! What a webhook is told: the same as a mail says, for programs.

use serde_json::{Value, json};

use super::{Event, Subject};

/// The body of a POST. Keys are added, never renamed or removed.
#[must_use]
pub(super) fn body(key: &str, subject: &str, text: &str, events: &[Event], more: usize) -> String {
    let events: Vec<_> = events.iter().map(event).collect();
    json!({ "id": key, "subject": subject, "text": text, "events": events, "more": more }).to_string()
}

fn event(event: &Event) -> Value {
    let mut value = match event {
        Event::Opened(subject) => outage(subject),
        Event::Ended { subject, at, evidence } => {
            let mut value = outage(subject);
            value["at"] = at.0.into();
            value["recovery"] = evidence.map(|evidence| evidence.word()).into();
            value
        }
        Event::PeerDown { peer, since } => json!({ "peer": peer, "since": since.0 }),
        Event::PeerBack { peer, at } => json!({ "peer": peer, "at": at.0 }),
    };
    value["event"] = event.word().into();
    value
}

/// Times are milliseconds since the Unix epoch.
fn outage(subject: &Subject) -> Value {
    let Subject { outage, service, name, evidence, since, clients } = subject;
    json!({
        "outage": outage.0,
        "server": service.addr(),
        "port": service.port(),
        "server_name": name,
        "evidence": evidence.word(),
        "since": since.0,
        "clients": clients,
    })
}
