//! Times for people: UTC, to the second, and how long ago.

use std::time::{Duration, UNIX_EPOCH};

use monitor_core::domain::UnixMs;

/// `2026-11-21 00:56:28Z`.
pub(super) fn utc(at: UnixMs) -> String {
    let since_epoch = Duration::from_millis(u64::try_from(at.0).unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since_epoch).to_string().replace('T', " ")
}

/// `2h 5m` of two hours, five minutes and some seconds: the two largest units.
pub(super) fn lasting(duration: Duration) -> String {
    let whole = Duration::from_secs(duration.as_secs());
    let text = humantime::format_duration(whole).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use monitor_core::domain::UnixMs;

    #[test]
    fn times_are_short_and_in_utc() {
        assert_eq!(super::utc(UnixMs(1_795_222_588_999)), "2026-11-21 00:56:28Z");
        assert_eq!(super::lasting(Duration::from_millis(7_503_900)), "2h 5m");
        assert_eq!(super::lasting(Duration::from_millis(900)), "0s");
    }
}
