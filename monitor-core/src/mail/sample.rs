//! A letter as a closing outage would write it, for tests and for `ringback test-mail`.

use std::net::{IpAddr, Ipv4Addr};

use super::{Content, Letter, LetterId, LetterService, Recovered, recovery_key};
use crate::{
    domain::{ClientAddr, Language, OutageId, Service, UnixMs},
    outage::Failure,
};

/// 2026-11-21 02:01:41 UTC.
const RECOVERED: UnixMs = UnixMs(1_795_226_501_000);

/// A letter to `client1@example.net` about an outage of 2 h 5 min that ended at 2026-11-21 02:01:41 UTC. `id` is its
/// row and makes its client; servers and clients have addresses that nobody has (RFC 5737, RFC 2544).
#[must_use]
pub fn letter(id: i64) -> Letter {
    letter_about(id, None, vec![service(17, 443)])
}

/// The same letter in this language about these services, all of them to this letter's client.
#[must_use]
pub fn letter_about(id: i64, language: Option<Language>, mut services: Vec<LetterService>) -> Letter {
    let client = client(id);
    for service in &mut services {
        service.client = client;
    }
    let (outage, since) = services.first().map_or((OutageId(0), RECOVERED), |first| (first.outage, first.since));
    Letter {
        id: LetterId(id),
        key: recovery_key(outage, since, client),
        to: format!("client{id}@example.net"),
        at: RECOVERED,
        tries: 0,
        expires: UnixMs(i64::MAX),
        says: Content::Recovered(Recovered { language, services }),
    }
}

/// One service of such a letter: `port` of www.example.net (192.0.2.7).
#[must_use]
pub fn service(outage: i64, port: u16) -> LetterService {
    LetterService {
        outage: OutageId(outage),
        client: client(1),
        service: Service::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), port),
        server_name: Some("www.example.net".to_owned()),
        since: UnixMs(RECOVERED.0 - 7_500_000),
        first: UnixMs(RECOVERED.0 - 7_000_000),
        latest: UnixMs(RECOVERED.0 - 60_000),
        attempts: 3,
        failure: Failure::Unanswered,
    }
}

/// A letter that says by its server's name that it is only a test; of its own Message-ID for each `now`.
#[must_use]
pub fn test_mail(to: String, language: Option<Language>, now: UnixMs) -> Letter {
    let shift = now.0 - RECOVERED.0;
    let mut service = LetterService { server_name: Some("ringback-test-mail.invalid".to_owned()), ..service(17, 443) };
    for time in [&mut service.since, &mut service.first, &mut service.latest] {
        time.0 += shift;
    }
    Letter { to, at: now, ..letter_about(0, language, vec![service]) }
}

fn client(id: i64) -> ClientAddr {
    let last_byte = u8::try_from(id.rem_euclid(256)).unwrap_or(0);
    let third_byte = u8::try_from(id.div_euclid(256).rem_euclid(256)).unwrap_or(0);
    ClientAddr::new(IpAddr::V4(Ipv4Addr::new(198, 18, third_byte, last_byte)))
}
