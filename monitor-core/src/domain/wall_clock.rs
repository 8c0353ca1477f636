//! Wall-clock time as people read it. Pure: the caller brings the time, and the zone where one is needed.

use std::time::Duration;

use jiff::{
    Timestamp,
    tz::{Offset, TimeZone},
};

use super::UnixMs;

/// `2026-11-21 02:01:41 UTC`
#[must_use]
pub fn utc(at: UnixMs) -> String {
    timestamp(at).strftime("%F %T UTC").to_string()
}

/// `2026-11-21 02:01:41Z`: for columns.
#[must_use]
pub fn utc_short(at: UnixMs) -> String {
    timestamp(at).strftime("%F %TZ").to_string()
}

/// `2026-11-21 02:01:41 UTC (11:01:41 +09:00)`: with the local date where it differs, and without the bracket where
/// local time is UTC.
#[must_use]
pub fn utc_and_local(at: UnixMs, zone: &TimeZone) -> String {
    let at_utc = timestamp(at).to_zoned_datetime(TimeZone::UTC);
    let local = timestamp(at).to_zoned_datetime(zone.clone());
    if local.offset() == Offset::UTC {
        return utc(at);
    }
    let local = local.strftime(if local.date() == at_utc.date() { "%T %:z" } else { "%F %T %:z" });
    format!("{} ({local})", utc(at))
}

/// `2h 5m` of two hours, five minutes and some seconds: the two largest units.
#[must_use]
pub fn lasting(duration: Duration) -> String {
    let whole = Duration::from_secs(duration.as_secs());
    let text = humantime::format_duration(whole).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Times beyond the year 9999 (a letter that never expires) are that year's last moment.
fn timestamp(at: UnixMs) -> Timestamp {
    let nearest = if at.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(at.0).unwrap_or(nearest)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// 2026-11-21T02:01:41.999Z
    const AT: UnixMs = UnixMs(1_795_226_501_999);

    fn zone(posix: &str) -> TimeZone {
        TimeZone::posix(posix).unwrap()
    }

    #[test]
    fn utc_stands_first_and_local_time_beside_it() {
        assert_eq!(utc_and_local(AT, &TimeZone::UTC), "2026-11-21 02:01:41 UTC");
        assert_eq!(utc_and_local(AT, &TimeZone::unknown()), "2026-11-21 02:01:41 UTC");
        assert_eq!(utc_and_local(AT, &zone("JST-9")), "2026-11-21 02:01:41 UTC (11:01:41 +09:00)");
        assert_eq!(utc_and_local(AT, &zone("XXX3:30")), "2026-11-21 02:01:41 UTC (2026-11-20 22:31:41 -03:30)");
    }

    #[test]
    fn summer_time_counts_at_the_time_that_is_shown() {
        let paris = zone("CET-1CEST,M3.5.0,M10.5.0/3");
        assert_eq!(utc_and_local(AT, &paris), "2026-11-21 02:01:41 UTC (03:01:41 +01:00)");
        let july = UnixMs(AT.0 - 130 * 86_400_000);
        assert_eq!(utc_and_local(july, &paris), "2026-07-14 02:01:41 UTC (04:01:41 +02:00)");
    }

    #[test]
    fn times_are_short_and_in_utc() {
        assert_eq!(utc_short(UnixMs(1_795_222_588_999)), "2026-11-21 00:56:28Z");
        assert_eq!(utc(UnixMs(1_795_222_588_999)), "2026-11-21 00:56:28 UTC");
        assert_eq!(lasting(Duration::from_millis(7_503_900)), "2h 5m");
        assert_eq!(lasting(Duration::from_millis(900)), "0s");
    }

    #[test]
    fn no_time_is_too_far_away() {
        assert_eq!(utc_short(UnixMs(i64::MAX)), "9999-12-30 22:00:00Z");
        assert_eq!(utc_short(UnixMs(-1)), "1969-12-31 23:59:59Z");
    }

    #[test]
    fn the_calendar_agrees_with_another_one() {
        for days in (0..200_000).step_by(13) {
            let theirs = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(days * 86_400));
            let ours = utc_short(UnixMs(i64::try_from(days).unwrap() * 86_400_000));
            assert_eq!(ours.replace(' ', "T"), theirs.to_string());
        }
    }
}
