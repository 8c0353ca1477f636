//! What `ringback status` and `ringback outages` say, word for word.
#![expect(clippy::unwrap_used, reason = "tests")]

use insta::assert_snapshot;
use monitor_core::{
    domain::{OutageId, UnixMs},
    mail::LetterId,
    outage::{Failure, Level, Phase},
};
use monitor_store::{DeadLetter, GatewayRecord, ListRecord, ListState, RefusedMail};

use super::{super::table::Width, tests::report, text};
use crate::{
    cli::outages::outage_lines,
    control::{CertificateLine, Health, InterfaceLine, Loss, OutageLine, SharedLine},
    kernel::{Hook, TcMode},
};

const NOW: UnixMs = UnixMs(1_795_226_501_000);

const fn before(seconds: i64) -> UnixMs {
    UnixMs(NOW.0 - seconds * 1000)
}

fn outage(id: i64, phase: Option<Phase>) -> OutageLine {
    OutageLine {
        outage: OutageId(id),
        service: "192.0.2.7:443".parse().unwrap(),
        server_name: Some("www.example.net".to_owned()),
        phase,
        evidence: Failure::Unanswered,
        level: Level::Service,
        since: before(7500),
        latest: before(60),
        failures: 9,
        clients: 4,
        ended: None,
        ended_by: None,
        letters: 0,
    }
}

fn outages() -> Vec<OutageLine> {
    let over = OutageLine { ended: Some(before(1)), ended_by: Some("answered".to_owned()), ..outage(16, None) };
    let nameless = OutageLine { server_name: None, evidence: Failure::Refused, ..outage(9, Some(Phase::Suspected)) };
    let elsewhere = OutageLine { service: "[2001:db8::7]:80".parse().unwrap(), ..over.clone() };
    vec![outage(17, Some(Phase::Open)), over, nameless, elsewhere]
}

fn words(words: &[(&str, u64)]) -> Vec<Loss> {
    words.iter().map(|(reason, count)| Loss { reason: (*reason).to_owned(), count: *count }).collect()
}

#[test]
fn outages_of_every_state() {
    assert_snapshot!(outage_lines(&outages(), NOW, Width::ANY), @"
    OUTAGE  SERVICE           NAME             STATE      SINCE                 LASTS  CLIENTS  EVIDENCE
    17      192.0.2.7:443     www.example.net  open       2026-11-20 23:56:41Z  2h 5m  4        unanswered
    16      192.0.2.7:443     www.example.net  answered   2026-11-20 23:56:41Z  2h 4m  4        unanswered
    9       192.0.2.7:443     -                suspected  2026-11-20 23:56:41Z  2h 5m  4        refused
    16      [2001:db8::7]:80  www.example.net  answered   2026-11-20 23:56:41Z  2h 4m  4        unanswered
    ");
}

#[test]
fn outages_on_a_terminal_of_eighty_columns() {
    assert_snapshot!(outage_lines(&outages(), NOW, Width::of(80)), @"
    OUTAGE  SERVICE     NAME        STATE      SINCE       LASTS  CLIENTS  EVIDENCE
    17      192.0.2.7:  www.exampl  open       2026-11-20  2h 5m  4        unanswere
            443         e.net                  23:56:41Z                   d
    16      192.0.2.7:  www.exampl  answered   2026-11-20  2h 4m  4        unanswere
            443         e.net                  23:56:41Z                   d
    9       192.0.2.7:  -           suspected  2026-11-20  2h 5m  4        refused
            443                                23:56:41Z
    16      [2001:db8:  www.exampl  answered   2026-11-20  2h 4m  4        unanswere
            :7]:80      e.net                  23:56:41Z                   d
    ");
}

#[test]
fn a_status_when_all_is_well() {
    assert_snapshot!(text(&report(), Width::ANY), @"
    All is up, as far as Ringback can see.
    Watching:  eth0 (native, tcx); 12 services known; up 2h
    Lost:      nothing
    Mail:      goes out; 3 delivered
    ");
}

#[test]
fn a_status_that_has_something_of_everything() {
    let mut report = report();
    (report.started, report.now) = (before(200_000), NOW);
    report.health = Health::Degraded;
    report.problems =
        ["eth1 is not watched: there is no such interface", "5 mails wait for another try"].map(str::to_owned).into();
    report.interfaces.push(InterfaceLine { name: "eth1".to_owned(), ingress: Hook::Generic, egress: TcMode::Clsact });
    report.outages = vec![outage(17, Some(Phase::Open))];
    report.waiting_clients = 1;
    report.losses = words(&[("ring_full", 2), ("pending_evicted", 1)]);
    (report.outbox.queued, report.outbox.retrying, report.outbox.dead) = (5, 4, 1);
    report.page = words(&[("shown", 0), ("registered", 3), ("forged", 1), ("declined", 0)]);
    let certificate = |days: i64| CertificateLine {
        certificate: format!("/etc/ringback/{days}.pem"),
        begins: before(1_000_000),
        ends: UnixMs(NOW.0 + days * 86_400_000),
    };
    report.certificates = vec![certificate(3), certificate(90)];
    let list = |state, told| ListRecord {
        outage: OutageId(16),
        service: "192.0.2.7:443".parse().unwrap(),
        relay: "relay@example.net".to_owned(),
        clients: 4,
        issued: before(600),
        state,
        settled: None,
        told,
        fallback: None,
    };
    report.lists = vec![
        list(ListState::Pending, None),
        list(ListState::Delivered, Some(3)),
        list(ListState::Expired, None),
        list(ListState::Direct, None),
    ];
    let refused = |file: Option<&str>| RefusedMail {
        at: before(60),
        reason: "no signature of ours".to_owned(),
        file: file.map(str::to_owned),
    };
    report.refused = vec![refused(None), refused(Some("aside/1.eml"))];
    let gateway = |host: &str, seen| GatewayRecord { name: host.to_owned(), host: host.to_owned(), applied: 1, seen };
    report.shared = Some(SharedLine {
        cut_off: None,
        cut_off_since: None,
        kept: 0,
        oldest_kept: None,
        gateways: vec![gateway("gw1", NOW), gateway("gw2", before(75))],
    });
    report.answers_seen = false;
    report.dead_letters = vec![DeadLetter {
        id: LetterId(3),
        to: "a@example.net".to_owned(),
        service: Some("192.0.2.7:443".parse().unwrap()),
        subject: None,
        at: before(3600),
        reason: "550 no such user".to_owned(),
    }];
    assert_snapshot!(text(&report, Width::ANY), @"
    1 service is down, 1 client waits.

    OUTAGE  SERVICE        NAME             STATE  SINCE                 LASTS  CLIENTS  EVIDENCE
    17      192.0.2.7:443  www.example.net  open   2026-11-20 23:56:41Z  2h 5m  4        unanswered

    Watching:  eth0 (native, tcx), eth1 (generic, clsact); 12 services known; up 2days 7h
    LOST:      2 ring_full, 1 pending_evicted
    MAIL:      5 queued, 4 of them retrying, 1 given up; 3 delivered
    Page:      0 shown, 3 registered, 1 forged
    PAGE:      /etc/ringback/3.pem expires in 3days (2026-11-24 02:01:41Z): renew it
    List:      2026-11-21 01:51:41Z 192.0.2.7:443: 4 clients to relay@example.net: pending
    List:      2026-11-21 01:51:41Z 192.0.2.7:443: 4 clients to relay@example.net: delivered, 3 mailed
    List:      2026-11-21 01:51:41Z 192.0.2.7:443: 4 clients to relay@example.net: EXPIRED without a receipt
    List:      2026-11-21 01:51:41Z 192.0.2.7:443: 4 clients to relay@example.net: no receipt: mailed from here
    Refused:   2026-11-21 02:00:41Z mail: no signature of ours (left in the mailbox)
    Refused:   2026-11-21 02:00:41Z mail: no signature of ours (aside/1.eml)
    Shared:    the database is in reach; gateways: gw1, gw2 (silent for 1m 15s)
    Note:      no answer of any server was seen yet; until one is, silence is not judged (asymmetric routing?)
    PROBLEM:   eth1 is not watched: there is no such interface
    PROBLEM:   5 mails wait for another try
               given up 2026-11-21 01:01:41Z: mail about 192.0.2.7:443: 550 no such user
    ");
}

#[test]
fn a_status_while_the_shared_database_is_out_of_reach() {
    let mut report = report();
    report.shared = Some(SharedLine {
        cut_off: Some("connection refused".to_owned()),
        cut_off_since: Some(UnixMs(report.now.0 - 90_000)),
        kept: 12,
        oldest_kept: None,
        gateways: Vec::new(),
    });
    assert_snapshot!(text(&report, Width::ANY), @"
    All is up, as far as Ringback can see.
    Watching:  eth0 (native, tcx); 12 services known; up 2h
    Lost:      nothing
    Mail:      goes out; 3 delivered
    SHARED:    the database is out of reach for 1m 30s; 12 changes kept
    ");
}
