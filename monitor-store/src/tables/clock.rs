//! The adopted clock, and what moves with a step of the wall clock.

use monitor_core::domain::{ClockOffset, ClockReading, ClockStep, SteadyClock, UnixMs};

use super::super::StoreError;
use crate::sql::{Connection, OptionalExtension as _};

/// Every column that holds a time of day in milliseconds.
pub(crate) const TIMES: &[(&str, &[&str])] = &[
    ("outage", &["since", "latest", "trying_until", "settle_until", "settle_recovered", "ended"]),
    ("waiting", &["first", "latest", "connected", "trying_until"]),
    ("service", &["answered"]),
    ("address", &["registered"]),
    ("letter", &["at", "expires", "due", "leased", "settled"]),
    ("letter_service", &["first", "latest"]),
    ("declined", &["at"]),
    ("remote_engine", &["received"]),
    ("relay_list", &["issued", "expires", "fallback", "settled"]),
    ("relay_taken", &["expires"]),
    ("relay_refused", &["at"]),
    ("notice_event", &["since", "at", "noted", "due"]),
    ("notice_recipient", &["latest"]),
];

/// The end of the year 9999: what never ends is beyond it.
const NEVER: i64 = 253_402_300_800_000;

/// Goes on with the clock that was kept, or begins one; a step since then moves every time that was noted in this boot.
pub(crate) fn keep(conn: &Connection, reading: &ClockReading) -> Result<(SteadyClock, Option<ClockStep>), StoreError> {
    let (clock, step) = SteadyClock::begin(kept(conn)?, reading);
    if let Some(step) = &step {
        moves(conn, step)?;
    }
    conn.prepare_cached(
        "INSERT INTO clock (one, boot, ahead, measured, began, is_behind, known) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (one) DO UPDATE SET boot = excluded.boot, ahead = excluded.ahead, measured = excluded.measured,
             began = excluded.began, is_behind = excluded.is_behind, known = excluded.known",
    )?
    .execute((
        &clock.boot,
        clock.ahead.nanoseconds(),
        clock.measured.nanoseconds(),
        clock.began,
        i64::from(clock.is_behind),
        clock.ahead.unix(reading.at),
    ))?;
    Ok((clock, step))
}

/// The clock, and the latest time that it was looked at.
fn kept(conn: &Connection) -> Result<Option<(SteadyClock, UnixMs)>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT boot, ahead, measured, began, is_behind, known FROM clock")?
        .query_row((), |row| {
            let is_behind: i64 = row.get("is_behind")?;
            let clock = SteadyClock {
                boot: row.get("boot")?,
                ahead: ClockOffset::from_nanoseconds(row.get("ahead")?),
                measured: ClockOffset::from_nanoseconds(row.get("measured")?),
                began: row.get("began")?,
                is_behind: is_behind != 0,
            };
            Ok((clock, row.get("known")?))
        })
        .optional()?)
}

fn moves(conn: &Connection, step: &ClockStep) -> Result<(), StoreError> {
    for (table, columns) in TIMES {
        let moved = columns.iter().map(|column| {
            format!("{column} = CASE WHEN {column} >= ?2 AND {column} < ?3 THEN {column} + ?1 ELSE {column} END")
        });
        let moved = moved.collect::<Vec<_>>().join(", ");
        conn.execute(&format!("UPDATE {table} SET {moved}"), (step.by, step.since, NEVER))?;
    }
    let nanoseconds = step.by.saturating_mul(1_000_000);
    conn.execute("UPDATE kernel_reports SET steady = steady + ?1", [nanoseconds])?;
    Ok(())
}
