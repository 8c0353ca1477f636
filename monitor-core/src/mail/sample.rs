//! A letter as a closing outage would write it, for tests and for `ringback test-mail`.

use std::net::{IpAddr, Ipv4Addr};

use crate::{
    domain::{ClientAddr, Language, OutageId, Service, UnixMs},
    mail::{Letter, LetterId, LetterService},
    outage::{Failure, Recovery},
};

/// A letter to `client1@example.net` about an outage of 2 h 5 min that ended at 2026-11-21 02:01:41 UTC. `id` is its
/// row and makes its client; servers and clients have addresses that nobody has (RFC 5737, RFC 2544).
#[must_use]
pub fn letter(id: i64) -> Letter {
    let recovered = UnixMs(1_795_226_501_000);
    let last_byte = u8::try_from(id.rem_euclid(256)).unwrap_or(0);
    let third_byte = u8::try_from(id.div_euclid(256).rem_euclid(256)).unwrap_or(0);
    Letter {
        id: LetterId(id),
        outage: OutageId(17),
        client: ClientAddr::new(IpAddr::V4(Ipv4Addr::new(198, 18, third_byte, last_byte))),
        to: format!("client{id}@example.net"),
        language: None,
        services: vec![service(17, 443)],
        recovered,
        evidence: Recovery::Answered,
        tries: 0,
        expires: UnixMs(i64::MAX),
        ready: None,
    }
}

/// One service of such a letter: `port` of www.example.net (192.0.2.7).
#[must_use]
pub fn service(outage: i64, port: u16) -> LetterService {
    LetterService {
        outage: OutageId(outage),
        service: Service::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), port),
        server_name: Some("www.example.net".to_owned()),
        since: UnixMs(1_795_226_501_000 - 7_500_000),
        first: UnixMs(1_795_226_501_000 - 7_000_000),
        latest: UnixMs(1_795_226_501_000 - 60_000),
        attempts: 3,
        failure: Failure::Unanswered,
    }
}

/// A letter that says by its server's name that it is only a test; of its own Message-ID for each `now`.
#[must_use]
pub fn test_mail(to: String, language: Option<Language>, now: UnixMs) -> Letter {
    let mut letter = Letter { to, language, ..letter(0) };
    let shift = now.0 - letter.recovered.0;
    letter.recovered = now;
    for service in &mut letter.services {
        service.server_name = Some("ringback-test-mail.invalid".to_owned());
        for time in [&mut service.since, &mut service.first, &mut service.latest] {
            time.0 += shift;
        }
    }
    letter
}
