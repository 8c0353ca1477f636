//! What a message to an operator says.

use std::{collections::HashSet, fmt::Write as _};

use super::{Event, Subject, json, key};
use crate::{
    config::webhook_name,
    domain::{UnixMs, wall_clock::utc},
    mail::{Ready, ReadyLetter, phrase},
};

/// Events that one message spells out; of more it says how many there are.
const MOST: usize = 200;

/// One message about all these, in the order in which they happened, written at `now`. `first` names the first of them.
#[must_use]
pub fn message(mut events: Vec<Event>, first: (i64, UnixMs), to: &str, now: UnixMs) -> ReadyLetter {
    merge(&mut events);
    let headline = headline(&events);
    let mut text = format!("{headline}\n");
    for event in events.iter().take(MOST) {
        text.push('\n');
        if events.len() > 1 {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{event}");
        }
        text.push_str(&details(event));
    }
    if events.len() > MOST {
        let _ = writeln!(text, "\nand {} more: see `ringback outages --all`", events.len() - MOST);
    }
    let (id, at) = first;
    let key = key(&format!("notice.{id}.{}", at.0), to);
    let subject = format!("Ringback: {headline}");
    if webhook_name(to).is_some() {
        let more = events.len().saturating_sub(MOST);
        events.truncate(MOST);
        text = json::body(&key, &subject, &text, &events, more);
    }
    let ready = Ready { subject, text, attachment: None, unsubscribe: false };
    ReadyLetter { key, to: to.to_owned(), at: now, ready }
}

/// What `ringback test-mail webhook:NAME` posts: no event.
#[must_use]
pub fn test_message(to: &str, now: UnixMs) -> ReadyLetter {
    let mut letter = message(Vec::new(), (0, now), to, now);
    letter.ready.subject = "Ringback: a test".to_owned();
    letter.ready.text = json::body(&letter.key, &letter.ready.subject, "This is only a test.\n", &[], 0);
    letter
}

/// An end says all that the opening said.
fn merge(events: &mut Vec<Event>) {
    let ended: HashSet<_> = events
        .iter()
        .filter_map(|event| if let Event::Ended { subject, .. } = event { Some(subject.outage) } else { None })
        .collect();
    events.retain(|event| !matches!(event, Event::Opened(subject) if ended.contains(&subject.outage)));
}

fn headline(events: &[Event]) -> String {
    if let [event] = events {
        return event.to_string();
    }
    let down = events.iter().filter(|event| event.is_bad()).count();
    match (down, events.len() - down) {
        (down, 0) => format!("{down} are down"),
        (0, back) => format!("{back} are back"),
        (down, back) => format!("{down} down, {back} back"),
    }
}

fn details(event: &Event) -> String {
    match event {
        Event::Opened(subject) => outage(subject, ""),
        Event::Ended { subject, at, evidence } => {
            let by = evidence.map_or_else(|| "nobody waits".to_owned(), |evidence| evidence.to_string());
            outage(subject, &format!("Until:     {} ({by})\n", utc(*at)))
        }
        Event::PeerDown { since, .. } => format!("Since:     {}\n", utc(*since)),
        Event::PeerBack { at, .. } => format!("Until:     {}\n", utc(*at)),
    }
}

fn outage(subject: &Subject, end: &str) -> String {
    let Subject { outage, service, evidence, since, clients, name } = subject;
    let server = match name {
        Some(name) => format!("{name} ({})", service.addr()),
        None => service.addr().to_string(),
    };
    format!(
        "Server:    {server}\nPort:      {}\nEvidence:  {evidence}\nSince:     {}\n{end}Waiting:   {}\n\
         Outage:    {outage}\n",
        service.port(),
        utc(*since),
        phrase::clients(*clients),
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::{
        domain::OutageId,
        outage::{Failure, Recovery},
    };

    fn subject(outage: i64) -> Subject {
        Subject {
            outage: OutageId(outage),
            service: "192.0.2.7:443".parse().unwrap(),
            name: Some("www.example.net".to_owned()),
            evidence: Failure::Unanswered,
            since: UnixMs(1_795_219_001_000),
            clients: 4,
        }
    }

    fn ended(outage: i64) -> Event {
        Event::Ended { subject: subject(outage), at: UnixMs(1_795_226_501_000), evidence: Some(Recovery::Trap) }
    }

    fn written(events: Vec<Event>, first: (i64, UnixMs), to: &str) -> ReadyLetter {
        let letter = message(events, first, to, UnixMs(9));
        assert_eq!((letter.to.as_str(), letter.at), (to, UnixMs(9)));
        letter
    }

    fn of(events: Vec<Event>) -> Ready {
        written(events, (5, UnixMs(1)), "ops@example.net").ready
    }

    #[test]
    fn a_notice_says_what_and_how_many() {
        let opened = of(vec![Event::Opened(subject(17))]);
        assert_eq!(opened.subject, "Ringback: 192.0.2.7:443 is down: unanswered");
        assert_eq!(
            opened.text,
            "192.0.2.7:443 is down: unanswered\n\nServer:    www.example.net (192.0.2.7)\nPort:      443\n\
             Evidence:  unanswered\nSince:     2026-11-20 23:56:41 UTC\nWaiting:   4 clients\nOutage:    17\n"
        );
        let back = of(vec![ended(17)]);
        assert!(back.text.contains("Until:     2026-11-21 02:01:41 UTC (trap)\n"), "{}", back.text);
        let key = |id, to| written(vec![ended(17)], (id, UnixMs(1)), to).key;
        assert_ne!(key(5, "ops@example.net"), key(6, "ops@example.net"));
        assert_ne!(key(5, "ops@example.net"), key(5, "other@example.net"));
    }

    #[test]
    fn every_notice_word_for_word() {
        let shown = |events| {
            let notice = of(events);
            format!("{}\n\n{}", notice.subject, notice.text)
        };
        insta::assert_snapshot!(shown(vec![Event::Opened(subject(17))]), @"
        Ringback: 192.0.2.7:443 is down: unanswered

        192.0.2.7:443 is down: unanswered

        Server:    www.example.net (192.0.2.7)
        Port:      443
        Evidence:  unanswered
        Since:     2026-11-20 23:56:41 UTC
        Waiting:   4 clients
        Outage:    17
        ");
        insta::assert_snapshot!(shown(vec![ended(17)]), @"
        Ringback: 192.0.2.7:443 is back

        192.0.2.7:443 is back

        Server:    www.example.net (192.0.2.7)
        Port:      443
        Evidence:  unanswered
        Since:     2026-11-20 23:56:41 UTC
        Until:     2026-11-21 02:01:41 UTC (trap)
        Waiting:   4 clients
        Outage:    17
        ");
        let aged_out = Event::Ended { subject: subject(17), at: UnixMs(1_795_226_501_000), evidence: None };
        let nameless = Event::Opened(Subject { name: None, clients: 1, ..subject(18) });
        let down = Event::PeerDown { peer: "web2".to_owned(), since: UnixMs(1_795_219_001_000) };
        let back = Event::PeerBack { peer: "web3".to_owned(), at: UnixMs(1_795_226_501_000) };
        insta::assert_snapshot!(shown(vec![aged_out, nameless, down, back]), @"
        Ringback: 2 down, 2 back

        2 down, 2 back

        192.0.2.7:443: outage given up
        Server:    www.example.net (192.0.2.7)
        Port:      443
        Evidence:  unanswered
        Since:     2026-11-20 23:56:41 UTC
        Until:     2026-11-21 02:01:41 UTC (nobody waits)
        Waiting:   4 clients
        Outage:    17

        192.0.2.7:443 is down: unanswered
        Server:    192.0.2.7
        Port:      443
        Evidence:  unanswered
        Since:     2026-11-20 23:56:41 UTC
        Waiting:   1 client
        Outage:    18

        peer web2 is down
        Since:     2026-11-20 23:56:41 UTC

        peer web3 is back
        Until:     2026-11-21 02:01:41 UTC
        ");
    }

    #[test]
    fn several_are_one_message_and_an_outage_that_is_over_is_told_once() {
        let down = || Event::PeerDown { peer: "web2".to_owned(), since: UnixMs(0) };
        let notice = of(vec![Event::Opened(subject(17)), Event::Opened(subject(18)), ended(17), down()]);
        assert_eq!(notice.subject, "Ringback: 2 down, 1 back");
        assert_eq!(notice.text.matches("Outage:    17").count(), 1, "{}", notice.text);
        assert!(notice.text.contains("\n\n192.0.2.7:443 is back\nServer:"), "{}", notice.text);
        assert!(
            notice.text.ends_with("\n\npeer web2 is down\nSince:     1970-01-01 00:00:00 UTC\n"),
            "{}",
            notice.text
        );
        assert_eq!(of(vec![Event::Opened(subject(17)), ended(17)]).subject, "Ringback: 192.0.2.7:443 is back");
        assert_eq!(of(vec![ended(1), ended(2)]).subject, "Ringback: 2 are back");
    }

    #[test]
    fn a_webhook_is_told_the_same_in_json() {
        let down = Event::PeerDown { peer: "web2".to_owned(), since: UnixMs(0) };
        let events = || vec![Event::Opened(subject(17)), ended(18), down.clone()];
        let ReadyLetter { key, ready: notice, .. } = written(events(), (5, UnixMs(1)), "webhook:pager");
        let json: serde_json::Value = serde_json::from_str(&notice.text).unwrap();
        assert_eq!((&json["subject"], &json["text"]), (&notice.subject.clone().into(), &of(events()).text.into()));
        assert_eq!(json["id"], key);
        let expected = serde_json::json!([
            { "event": "opened", "outage": 17, "server": "192.0.2.7", "port": 443, "server_name": "www.example.net",
              "evidence": "unanswered", "since": 1_795_219_001_000_i64, "clients": 4 },
            { "event": "ended", "outage": 18, "server": "192.0.2.7", "port": 443, "server_name": "www.example.net",
              "evidence": "unanswered", "since": 1_795_219_001_000_i64, "clients": 4, "at": 1_795_226_501_000_i64,
              "recovery": "trap" },
            { "event": "peer-down", "peer": "web2", "since": 0 },
        ]);
        assert_eq!(json["events"], expected);
    }

    #[test]
    fn a_flood_is_cut() {
        let notice = of((0..1000).map(|outage| Event::Opened(subject(outage))).collect());
        assert_eq!(notice.text.matches("Port:").count(), MOST);
        assert!(notice.text.ends_with("and 800 more: see `ringback outages --all`\n"));
        assert_eq!(notice.subject, "Ringback: 1000 are down");
    }
}
