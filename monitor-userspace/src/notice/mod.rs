//! Notices to operators: that an outage has opened, that it has ended (B-1). Pure: the store writes them into the outbox,
//! in the transaction of the opening or the end itself.

use std::{collections::BTreeMap, net::IpAddr};

use ring::digest;

use crate::{
    config::NoticeSetting,
    outage::{Failure, OutageId, Recovery, Service, UnixMs},
    store::Ready,
};

/// Every `[[notice]]`.
#[derive(Clone, Debug, Default)]
pub struct Notices(Vec<NoticeSetting>);

/// What a notice speaks of.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The outage.
    pub outage: OutageId,
    /// What has failed.
    pub service: Service,
    /// The server's name, if it is known.
    pub name: Option<String>,
    /// What it began with.
    pub evidence: Failure,
    /// Its begin.
    pub since: UnixMs,
    /// Clients that wait, or that waited.
    pub clients: u64,
}

/// What has happened.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The outage is confirmed.
    Opened,
    /// The service is back.
    Ended {
        /// When.
        at: UnixMs,
        /// What said so.
        evidence: Recovery,
    },
    /// It ended without a recovery: everybody who waited has aged out.
    Discarded {
        /// When.
        at: UnixMs,
    },
}

impl Notices {
    /// These entries.
    #[must_use]
    pub fn new(settings: &[NoticeSetting]) -> Self {
        Self(settings.to_vec())
    }

    /// Whether nobody is ever told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who is told of outages of this server that began like this: each address once.
    #[must_use]
    pub fn recipients(&self, server: IpAddr, evidence: Failure) -> Vec<&str> {
        let speaks = |notice: &&NoticeSetting| {
            (notice.servers.is_empty() || notice.servers.iter().any(|net| net.contains(&server)))
                && (notice.evidence.is_empty() || notice.evidence.contains(&evidence))
        };
        let addresses = self.0.iter().filter(speaks).flat_map(|notice| &notice.to);
        let once: BTreeMap<_, _> = addresses.map(|to| (to.to_lowercase(), to.as_str())).collect();
        once.into_values().collect()
    }
}

/// The mail to one of them.
#[must_use]
pub fn notice(subject: &Subject, event: Event, to: &str) -> Ready {
    let Subject { outage, service, evidence, since, clients, .. } = subject;
    let server = match &subject.name {
        Some(name) => format!("{name} ({})", service.addr()),
        None => service.addr().to_string(),
    };
    let (word, headline, end) = match event {
        Event::Opened => ("opened", format!("{service} is down: {evidence}"), String::new()),
        Event::Ended { at, evidence } => {
            ("ended", format!("{service} is back"), format!("Until:     {} ({evidence})\n", utc(at)))
        }
        Event::Discarded { at } => {
            ("ended", format!("{service}: outage given up"), format!("Until:     {} (nobody waits)\n", utc(at)))
        }
    };
    let text = format!(
        "{headline}\n\nServer:    {server}\nPort:      {}\nEvidence:  {evidence}\nSince:     {}\n{end}\
         Waiting:   {clients} clients\nOutage:    {outage}\n",
        service.port(),
        utc(*since),
    );
    Ready {
        key: key(&format!("{word}.{outage}.{}", since.0), to),
        subject: format!("Ringback: {headline}"),
        text,
        attachment: None,
        unsubscribe: false,
    }
}

/// The key of a letter about this event to this address; `event` is fit for a file name.
#[must_use]
pub fn key(event: &str, to: &str) -> String {
    // Not the address itself: a key is a file name too.
    format!("ringback.{event}.{}", digest(&to.to_lowercase()))
}

/// 64 bits of SHA-256 in hexadecimal: the same text for the same, fit for a file name.
#[must_use]
pub fn digest(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `2026-11-21 02:01:41 UTC`
fn utc(at: UnixMs) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(u64::try_from(at.0).unwrap_or(0));
    humantime::format_rfc3339_seconds(time).to_string().replace('T', " ").replace('Z', " UTC")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn notices() -> Notices {
        let entry = |to: &[&str], servers: &[&str], evidence: &[Failure]| NoticeSetting {
            to: to.iter().map(|to| (*to).to_owned()).collect(),
            servers: servers.iter().map(|net| net.parse().unwrap()).collect(),
            evidence: evidence.to_vec(),
        };
        Notices::new(&[
            entry(&["all@example.net"], &[], &[]),
            entry(&["net@example.net", "ALL@example.net"], &[], &[Failure::HostUnreachable]),
            entry(&["web@example.net"], &["192.0.2.0/24"], &[Failure::Refused, Failure::Unanswered]),
        ])
    }

    // proves: B-1
    #[test]
    fn server_and_kind_choose_the_recipients_and_each_is_told_once() {
        for (server, evidence, expected) in [
            ("192.0.2.7", Failure::Refused, &["all@example.net", "web@example.net"][..]),
            ("192.0.2.7", Failure::HostUnreachable, &["ALL@example.net", "net@example.net"]),
            ("198.51.100.1", Failure::Refused, &["all@example.net"]),
            ("192.0.2.7", Failure::Prohibited, &["all@example.net"]),
        ] {
            assert_eq!(notices().recipients(server.parse().unwrap(), evidence), expected, "{server} {evidence}");
        }
    }

    #[test]
    fn a_notice_says_what_and_how_many() {
        let subject = Subject {
            outage: OutageId(17),
            service: "192.0.2.7:443".parse().unwrap(),
            name: Some("www.example.net".to_owned()),
            evidence: Failure::Unanswered,
            since: UnixMs(1_795_219_001_000),
            clients: 4,
        };
        let opened = notice(&subject, Event::Opened, "ops@example.net");
        assert_eq!(opened.subject, "Ringback: 192.0.2.7:443 is down: unanswered");
        assert_eq!(
            opened.text,
            "192.0.2.7:443 is down: unanswered\n\nServer:    www.example.net (192.0.2.7)\nPort:      443\n\
             Evidence:  unanswered\nSince:     2026-11-20 23:56:41 UTC\nWaiting:   4 clients\nOutage:    17\n"
        );
        let at = UnixMs(1_795_226_501_000);
        let ended = notice(&subject, Event::Ended { at, evidence: Recovery::Trap }, "ops@example.net");
        assert!(ended.text.contains("Until:     2026-11-21 02:01:41 UTC (trap)\n"), "{}", ended.text);
        assert_ne!(opened.key, ended.key);
        assert_ne!(opened.key, notice(&subject, Event::Opened, "other@example.net").key);
    }
}
