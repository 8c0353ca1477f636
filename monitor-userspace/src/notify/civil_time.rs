//! Wall-clock time as people read it: UTC first, the gateway's local time beside it.

use monitor_core::domain::UnixMs;

/// `2026-11-21 02:01:41 UTC (11:01:41 +09:00)`; the local date too where it differs, no bracket where local time is
/// UTC.
pub(crate) fn utc_and_local(at: UnixMs) -> String {
    written(at, local_offset(at))
}

/// `offset`: seconds that local time is ahead of UTC.
fn written(at: UnixMs, offset: i64) -> String {
    let seconds = at.0.div_euclid(1000);
    let (utc_date, utc_time) = date_and_time(seconds);
    if offset == 0 {
        return format!("{utc_date} {utc_time} UTC");
    }
    let (date, time) = date_and_time(seconds.saturating_add(offset));
    let date = if date == utc_date { String::new() } else { format!("{date} ") };
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.abs() / 3600, offset.abs() / 60 % 60);
    format!("{utc_date} {utc_time} UTC ({date}{time} {sign}{hours:02}:{minutes:02})")
}

fn date_and_time(seconds: i64) -> (String, String) {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    (
        format!("{year:04}-{month:02}-{day:02}"),
        format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60),
    )
}

/// Year, month and day of the Gregorian calendar, from days since 1970-01-01. Years are counted from 1 March, so that
/// the leap day is a year's last; 146,097 days are 400 years.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn local_offset(at: UnixMs) -> i64 {
    let seconds: libc::time_t = at.0.div_euclid(1000);
    // SAFETY: all bytes zero is a valid `tm`: numbers and a null pointer.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call, and localtime_r keeps neither.
    let known = unsafe { libc::localtime_r(&raw const seconds, &raw mut local) };
    if known.is_null() { 0 } else { local.tm_gmtoff }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_stands_first_and_local_time_beside_it() {
        let at = UnixMs(1_795_226_501_999); // 2026-11-21T02:01:41Z
        assert_eq!(written(at, 0), "2026-11-21 02:01:41 UTC");
        assert_eq!(written(at, 9 * 3600), "2026-11-21 02:01:41 UTC (11:01:41 +09:00)");
        assert_eq!(written(at, -12_600), "2026-11-21 02:01:41 UTC (2026-11-20 22:31:41 -03:30)");
    }

    #[test]
    fn the_calendar_agrees_with_the_c_library() {
        for days in (-200_000..200_000).step_by(13) {
            let seconds: libc::time_t = days * 86_400;
            // SAFETY: as in `local_offset`.
            let mut theirs: libc::tm = unsafe { std::mem::zeroed() };
            // SAFETY: as in `local_offset`.
            unsafe { libc::gmtime_r(&raw const seconds, &raw mut theirs) };
            let expected = (i64::from(theirs.tm_year) + 1900, i64::from(theirs.tm_mon) + 1, i64::from(theirs.tm_mday));
            assert_eq!(civil(days), expected);
        }
    }
}
