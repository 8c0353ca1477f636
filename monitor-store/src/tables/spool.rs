//! What a gateway that shares a database has committed in its own file and not yet in the shared one.

use monitor_core::{domain::UnixMs, outage::Change};

use crate::{
    Spooled, StoreError,
    sql::{Connection, OptionalExtension as _},
};

/// Appends a batch, in the transaction that applies it here.
pub(crate) fn append(conn: &Connection, changes: &[Change], now: UnixMs) -> Result<(), StoreError> {
    let changes = serde_json::to_vec(changes).map_err(|error| StoreError::Spool(error.to_string()))?;
    conn.prepare_cached("INSERT INTO spool (at, changes) VALUES (?1, ?2)")?.execute((now, changes))?;
    Ok(())
}

/// The oldest batches, in order.
pub(crate) fn oldest(conn: &Connection, limit: u32) -> Result<Vec<Spooled>, StoreError> {
    let rows: Vec<(i64, Vec<u8>)> = conn
        .prepare_cached("SELECT id, changes FROM spool ORDER BY id LIMIT ?1")?
        .query_map([limit], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    rows.into_iter()
        .map(|(number, changes)| {
            let changes = serde_json::from_slice(&changes).map_err(|error| StoreError::Spool(error.to_string()))?;
            Ok(Spooled { number, changes })
        })
        .collect()
}

/// Deletes the batches that are in the shared database.
pub(crate) fn forget(conn: &Connection, up_to: i64) -> Result<(), StoreError> {
    conn.prepare_cached("DELETE FROM spool WHERE id <= ?1")?.execute([up_to])?;
    Ok(())
}

/// How many batches there are, and when the oldest was written.
pub(crate) fn length(conn: &Connection) -> Result<(u64, Option<UnixMs>), StoreError> {
    Ok(conn
        .prepare_cached("SELECT count(*), MIN(at) FROM spool")?
        .query_row((), |row| Ok((u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0), row.get(1)?)))?)
}

/// The name that this file goes by in shared databases: `new`, unless it has one.
pub(crate) fn name(conn: &Connection, new: &str) -> Result<String, StoreError> {
    conn.execute("INSERT INTO self (one, name) VALUES (1, ?1) ON CONFLICT (one) DO NOTHING", [new])?;
    let name = conn.prepare_cached("SELECT name FROM self")?.query_row((), |row| row.get(0)).optional()?;
    Ok(name.unwrap_or_else(|| new.to_owned()))
}
