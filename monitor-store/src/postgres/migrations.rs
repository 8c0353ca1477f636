//! The schema's versions: numbered files, each applied once, in one transaction with its number.

use super::{
    Raw, Server, ServerConnection,
    open::{explain, settle, unusable},
};
use crate::{
    StoreError,
    engine::{Error, FromSql as _, Value, Wrong},
};

/// `MIGRATIONS[n]` leads from version `n` to `n + 1`. A released file is never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_shared.sql"),
    include_str!("migrations/0003_question.sql"),
    include_str!("migrations/0004_references.sql"),
    include_str!("migrations/0005_outbox.sql"),
    include_str!("migrations/0006_fate.sql"),
    include_str!("migrations/0007_parts.sql"),
];

/// How often it is tried: two gateways may start at once.
const TRIES: usize = 5;

/// Brings the schema up to date, or says why that cannot be.
pub(super) fn run(server: &Server, conn: &ServerConnection) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match attempt(conn) {
            Ok(Found::UpToDate) => return settle(conn).map_err(|error| explain(server, error)),
            Ok(Found::Newer { found, known }) => {
                return Err(StoreError::Newer { path: server.to_string(), found, known });
            }
            Ok(Found::Foreign) => {
                return Err(unusable(
                    server,
                    "its schema `ringback` is another program's: name another database in store.url",
                ));
            }
            // Another gateway has just made the schema.
            Err(error) if tries < TRIES && error.is_conflict() => roll_back(conn),
            Err(error) => return Err(explain(server, error)),
        }
    }
}

enum Found {
    UpToDate,
    Newer { found: i64, known: i64 },
    Foreign,
}

fn attempt(conn: &ServerConnection) -> Result<Found, Error> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    settle(conn)?;
    // The common case takes no lock and needs no right to change the schema.
    let there = number(conn, "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'ringback'")?;
    if there.ok_or(Error::NoRow)? > 0 {
        let ours = conn
            .prepare(
                "SELECT 1 FROM information_schema.tables WHERE table_schema = 'ringback' AND table_name = 'schema_version'",
            )?
            .query(&[])?;
        if ours.is_empty() {
            return Ok(Found::Foreign);
        }
        let found = version(conn, "SELECT version FROM schema_version")?;
        if found == known {
            return Ok(Found::UpToDate);
        }
        if found > known {
            return Ok(Found::Newer { found, known });
        }
    }
    conn.execute_batch("BEGIN")?;
    conn.execute_batch(
        "CREATE SCHEMA IF NOT EXISTS ringback;
         CREATE TABLE IF NOT EXISTS ringback.schema_version
             (one BIGINT PRIMARY KEY CHECK (one = 1), version BIGINT NOT NULL);
         INSERT INTO ringback.schema_version (one, version) VALUES (1, 0) ON CONFLICT (one) DO NOTHING",
    )?;
    // A second gateway waits here.
    let found = version(conn, "SELECT version FROM schema_version FOR UPDATE")?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        conn.migrate(migration)?;
    }
    if found < known {
        conn.prepare("UPDATE schema_version SET version = ?1")?.execute(&[Value::Integer(known)])?;
    }
    conn.execute_batch("COMMIT")?;
    Ok(if found > known { Found::Newer { found, known } } else { Found::UpToDate })
}

fn version(conn: &ServerConnection, sql: &str) -> Result<i64, Error> {
    Ok(number(conn, sql)?.unwrap_or(0))
}

/// The first column of the first row.
fn number(conn: &ServerConnection, sql: &str) -> Result<Option<i64>, Error> {
    let rows = conn.prepare(sql)?.query(&[])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let Raw(number) = row.try_get(0)?;
    i64::column_result(&number).map(Some).map_err(|Wrong| Error::Column("0".to_owned()))
}

fn roll_back(conn: &ServerConnection) {
    if let Err(error) = conn.execute_batch("ROLLBACK") {
        tracing::debug!(%error, "store_rollback");
    }
}
