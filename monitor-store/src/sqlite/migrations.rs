//! The schema's versions: numbered files, each applied once, in one transaction with its number.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};

use super::{
    super::StoreError,
    open::{explain, unusable},
};

/// `MIGRATIONS[n]` leads from version `n` to `n + 1`. A released file is never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_declined.sql"),
    include_str!("migrations/0003_relay.sql"),
    include_str!("migrations/0004_notice.sql"),
    include_str!("migrations/0005_words.sql"),
    include_str!("migrations/0006_notice_pace.sql"),
    include_str!("migrations/0007_shared.sql"),
    include_str!("migrations/0008_question.sql"),
    include_str!("migrations/0009_outbox.sql"),
    include_str!("migrations/0010_fate.sql"),
    include_str!("migrations/0011_parts.sql"),
    include_str!("migrations/0012_clock.sql"),
];

/// Brings the schema up to date, or says why that cannot be.
pub(super) fn run(path: &Path, conn: &mut Connection) -> Result<(), StoreError> {
    let sql = |error| explain(path, error);
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
    let found = version(&tx).map_err(sql)?;
    let found = match found {
        Found::Version(version) => version,
        Found::Empty => {
            tx.execute_batch(
                "CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version VALUES (0)",
            )
            .map_err(sql)?;
            0
        }
        Found::Foreign => {
            return Err(unusable(path, "it is another program's database: move it away, or set another store.url"));
        }
    };
    if found > known {
        return Err(StoreError::Newer { path: path.display().to_string(), found, known });
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        tx.execute_batch(migration).map_err(sql)?;
    }
    if found < known {
        tx.execute("UPDATE schema_version SET version = ?1", [known]).map_err(sql)?;
    }
    tx.commit().map_err(sql)
}

enum Found {
    Empty,
    Version(i64),
    Foreign,
}

fn version(conn: &Connection) -> Result<Found, rusqlite::Error> {
    if conn.table_exists(None, "schema_version")? {
        let version = conn.query_row("SELECT version FROM schema_version", (), |row| row.get(0)).optional()?;
        return Ok(version.map_or(Found::Foreign, Found::Version));
    }
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_master", (), |row| row.get(0))?;
    Ok(if tables == 0 { Found::Empty } else { Found::Foreign })
}
