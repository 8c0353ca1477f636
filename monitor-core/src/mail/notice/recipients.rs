//! Who is told of what.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Peer, Timing};
use crate::{
    config::{NoticeKind, NoticeSetting},
    outage::Failure,
};

/// Every `[[notice]]`.
#[derive(Clone, Debug, Default)]
pub struct Notices(Vec<NoticeSetting>);

/// Recipients, in lower case, as they are written and how often each is told.
type Recipients = BTreeMap<String, (String, Timing)>;

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

    /// Who is told of outages of this server that began like this: each once.
    #[must_use]
    pub fn of_outage(&self, server: IpAddr, evidence: Failure) -> Vec<(String, Timing)> {
        self.chosen(|notice| {
            of_any(notice, &[server])
                && (notice.evidence.is_empty() || notice.evidence.iter().any(|kind| kind.covers(evidence)))
        })
    }

    /// Who is told of this peer.
    #[must_use]
    pub fn of_peer(&self, peer: &Peer) -> Vec<(String, Timing)> {
        self.chosen(|notice| {
            of_any(notice, &peer.addresses)
                && (notice.evidence.is_empty() || notice.evidence.contains(&NoticeKind::PeerDown))
        })
    }

    /// How often this recipient is told at most, over all entries; `None`: no entry has it.
    #[must_use]
    pub fn timing(&self, recipient: &str) -> Option<Timing> {
        let recipient = recipient.to_lowercase();
        self.chosen(|_| true).into_iter().find(|(to, _)| to.to_lowercase() == recipient).map(|(_, timing)| timing)
    }

    fn chosen(&self, is: impl Fn(&NoticeSetting) -> bool) -> Vec<(String, Timing)> {
        let mut once = Recipients::new();
        for notice in self.0.iter().filter(|notice| is(notice)) {
            let timing = Timing { gather: notice.gather, pause: notice.pause };
            for to in &notice.to {
                once.entry(to.to_lowercase())
                    .and_modify(|(_, known)| *known = known.shorter(timing))
                    .or_insert_with(|| (to.clone(), timing));
            }
        }
        once.into_values().collect()
    }
}

fn of_any(notice: &NoticeSetting, addresses: &[IpAddr]) -> bool {
    let within = |addr| notice.servers.iter().any(|net| net.net().contains(addr));
    notice.servers.is_empty() || addresses.iter().any(within)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::UnixMs;

    fn notices() -> Notices {
        let entry = |to: &[&str], servers: &[&str], evidence: &[NoticeKind], pause| NoticeSetting {
            to: to.iter().map(|to| (*to).to_owned()).collect(),
            servers: servers.iter().map(|net| net.parse().unwrap()).collect(),
            evidence: evidence.to_vec(),
            gather: Duration::from_secs(2),
            pause: Duration::from_secs(pause),
        };
        Notices::new(&[
            entry(&["all@example.net"], &[], &[], 300),
            entry(&["net@example.net", "ALL@example.net"], &[], &[NoticeKind::Unreachable, NoticeKind::PeerDown], 60),
            entry(&["web@example.net"], &["192.0.2.0/24"], &[NoticeKind::Refused, NoticeKind::Sick], 600),
        ])
    }

    fn names(recipients: Vec<(String, Timing)>) -> Vec<String> {
        recipients.into_iter().map(|(to, _)| to).collect()
    }

    // proves: B-1a
    #[test]
    fn server_and_kind_choose_the_recipients_and_each_is_told_once() {
        for (server, evidence, expected) in [
            ("192.0.2.7", Failure::Refused, &["all@example.net", "web@example.net"][..]),
            ("192.0.2.7", Failure::Sick, &["all@example.net", "web@example.net"]),
            ("192.0.2.7", Failure::HostUnreachable, &["all@example.net", "net@example.net"]),
            ("192.0.2.7", Failure::PortUnreachable, &["all@example.net", "net@example.net"]),
            ("198.51.100.1", Failure::Refused, &["all@example.net"]),
            ("192.0.2.7", Failure::Stalled, &["all@example.net"]),
        ] {
            let told = notices().of_outage(server.parse().unwrap(), evidence);
            assert_eq!(names(told), expected, "{server} {evidence}");
        }
        let peer = |addr: &str| Peer {
            name: "b".to_owned(),
            addresses: vec![addr.parse().unwrap()],
            since: UnixMs(0),
            back: None,
        };
        assert_eq!(names(notices().of_peer(&peer("192.0.2.7"))), ["all@example.net", "net@example.net"]);
    }

    #[test]
    fn of_several_pauses_the_shortest_counts() {
        let told = notices().of_outage("192.0.2.7".parse().unwrap(), Failure::HostUnreachable);
        assert!(told.iter().all(|(_, timing)| timing.pause == Duration::from_secs(60)), "{told:?}");
        assert_eq!(notices().timing("Web@example.net").unwrap().pause, Duration::from_secs(600));
        assert_eq!(notices().timing("gone@example.net"), None);
    }

    #[test]
    fn every_evidence_has_a_kind() {
        use NoticeKind::*;
        let kinds = [Unanswered, Unreachable, Prohibited, Refused, Stalled, Sick];
        for evidence in Failure::ALL.into_iter().filter(|evidence| evidence.is_finding()) {
            assert_eq!(kinds.iter().filter(|kind| kind.covers(evidence)).count(), 1, "{evidence}");
        }
    }
}
