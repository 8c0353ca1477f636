//! How many Reports one source gets (pure).
//!
//! A discovery (RFC 3414 section 4) has to be answered before anybody is authentic, and its source can be forged: without a
//! limit we would flood whomever a forger names. The table has a fixed size. If two sources want one place, the later one
//! takes it and starts anew, so nobody's Reports can be stopped by what others send; a forger who pushes a source out of the
//! table must send about a thousand datagrams for each time.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

/// Reports to one source at once: a hundred agents behind one address that start together have retries left.
const BURST: u32 = 40;

/// One more Report after this.
const REFILL: Duration = Duration::from_millis(100);

/// Sources that are remembered: 32 bytes each.
const PLACES: usize = 1024;

/// See the module. Time is any that does not go back.
#[derive(Debug)]
pub struct ReportLimit {
    places: Vec<Option<Place>>,
    /// Nobody else knows which sources share a place.
    hash: RandomState,
}

/// A source, and when all of its Reports will be there again.
#[derive(Clone, Copy, Debug)]
struct Place {
    source: IpAddr,
    full: Duration,
}

impl Default for ReportLimit {
    fn default() -> Self {
        Self { places: vec![None; PLACES], hash: RandomState::new() }
    }
}

impl ReportLimit {
    /// Whether this source gets one more Report now.
    pub fn allows(&mut self, source: IpAddr, now: Duration) -> bool {
        let source = network(source);
        let index = usize::try_from(self.hash.hash_one(source) % PLACES as u64).unwrap_or_default();
        let Some(place) = self.places.get_mut(index) else { return false };
        let full = place.filter(|place| place.source == source).map_or(now, |place| place.full.max(now)) + REFILL;
        let allowed = full - now <= REFILL * BURST;
        if allowed {
            *place = Some(Place { source, full });
        }
        allowed
    }
}

/// A host: with IPv6 it has at least 2^64 addresses.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{IpAddr, Ipv4Addr},
        time::Duration,
    };

    use super::{BURST, PLACES, REFILL, ReportLimit};

    fn granted(limit: &mut ReportLimit, source: &str, now: Duration) -> u32 {
        let Ok(source) = source.parse::<IpAddr>() else { panic!("{source}") };
        (0..10 * BURST).map(|_| u32::from(limit.allows(source, now))).sum()
    }

    #[test]
    fn a_source_gets_a_burst_and_then_one_report_at_a_time() {
        let mut limit = ReportLimit::default();
        let start = Duration::from_secs(9);
        assert_eq!(granted(&mut limit, "10.0.0.1", start), BURST);
        assert_eq!(granted(&mut limit, "::ffff:10.0.0.1", start), 0, "the same host");
        assert_eq!(granted(&mut limit, "10.0.0.1", start + REFILL), 1);
        assert_eq!(granted(&mut limit, "10.0.0.1", start + 4 * REFILL), 3);
        assert_eq!(granted(&mut limit, "10.0.0.1", start + 1000 * REFILL), BURST);
    }

    #[test]
    fn an_ipv6_network_is_one_source_and_others_are_others() {
        let mut limit = ReportLimit::default();
        assert_eq!(granted(&mut limit, "fd00::1", Duration::ZERO), BURST);
        assert_eq!(granted(&mut limit, "fd00::ffff:1", Duration::ZERO), 0);
        for other in ["fd00:0:0:1::1", "10.0.0.1"] {
            assert_eq!(granted(&mut limit, other, Duration::ZERO), BURST, "{other}");
        }
    }

    #[test]
    fn many_sources_take_no_more_memory_and_stop_nobody() {
        let mut limit = ReportLimit::default();
        for number in 0..200_000_u32 {
            assert!(limit.allows(IpAddr::from(Ipv4Addr::from_bits(number)), Duration::ZERO));
        }
        assert_eq!(limit.places.len(), PLACES);
        assert_eq!(granted(&mut limit, "fd00::1", Duration::ZERO), BURST);
    }
}
