//! Retention: what is over and old is deleted.

use monitor_core::{domain::UnixMs, mail::LetterId};

use super::{super::StoreError, notices};
use crate::sql::Connection;

/// Letters deleted in one transaction: a few milliseconds.
const BITE: u32 = 2000;

/// Deletes some of the letters that were delivered or given up before then; says how many.
pub(crate) fn letters(conn: &Connection, before: UnixMs) -> Result<usize, StoreError> {
    let gone: Vec<(LetterId, String)> = conn
        .prepare_cached(
            "DELETE FROM letter WHERE id IN (SELECT id FROM letter WHERE state <> 'queued' AND settled < ?1 LIMIT ?2)
             RETURNING id, state",
        )?
        .query_map((before, BITE), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let ids: Vec<_> = gone.iter().map(|(letter, _)| [*letter]).collect();
    for said in ["letter_service", "letter_words", "letter_attachment"] {
        conn.prepare_cached(&format!("DELETE FROM {said} WHERE letter = ?1"))?.execute_each(&ids)?;
    }
    // `delivered` counts since the database was made, `dead` only what can still be looked at.
    let dead = gone.iter().filter(|(_, state)| state == "dead").count();
    conn.execute("UPDATE letter_tally SET dead = dead - ?1", [i64::try_from(dead).unwrap_or(i64::MAX)])?;
    Ok(gone.len())
}

/// Deletes outages that ended before then and that no letter reports. The newest stays, so that its id is not used
/// again.
pub(crate) fn outages(conn: &Connection, before: UnixMs) -> Result<(), StoreError> {
    conn.execute(
        "DELETE FROM outage WHERE ended < ?1 AND id < (SELECT MAX(id) FROM outage)
             AND id NOT IN (SELECT outage FROM letter_service)",
        [before],
    )?;
    notices::prune(conn, before)
}

/// Deletes outages that never opened. The newest stays, so that its id is not used again.
pub(crate) fn suspicions(conn: &Connection, before: UnixMs) -> Result<(), StoreError> {
    conn.prepare_cached(
        "DELETE FROM outage WHERE ended < ?1 AND phase = 'suspected' AND recovery IS NULL
             AND id < (SELECT MAX(id) FROM outage)",
    )?
    .execute([before])?;
    Ok(())
}
