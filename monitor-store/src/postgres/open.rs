//! Connecting: every way in which a server cannot be our database, with what to do about it.

use std::{error::Error as _, io};

use tokio::runtime::Builder;
use tokio_postgres::{NoTls, error::SqlState};

use super::{Server, ServerConnection, migrations, tls::Tls};
use crate::{StoreError, engine::Error};

/// Our tables are in a schema of their own. A transaction whose gateway is gone must not hold others up for long, and a
/// committed transaction must be on the disk.
const SETTINGS: &str = "SET search_path = ringback; SET idle_in_transaction_session_timeout = '20s'; \
                        SET synchronous_commit = on; SET client_min_messages = warning";

/// A connection to a database whose schema is up to date.
///
/// # Errors
/// [`StoreError::Unreachable`] if the same may work later. Other errors: the server does not let us in, it is not
/// PostgreSQL, or a newer Ringback has used the database.
pub(crate) fn open(server: &Server) -> Result<ServerConnection, StoreError> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| unusable(server, format!("cannot begin: {error}; raise the limit of open files")))?;
    let client = runtime.block_on(async {
        match &server.tls {
            Some(tls) => {
                let (client, connection) = server.config.connect(Tls(tls.clone())).await?;
                tokio::spawn(connection);
                Ok::<_, tokio_postgres::Error>(client)
            }
            None => {
                let (client, connection) = server.config.connect(NoTls).await?;
                tokio::spawn(connection);
                Ok(client)
            }
        }
    });
    let conn = ServerConnection::new(runtime, client.map_err(|error| explain(server, error.into()))?);
    migrations::run(server, &conn)?;
    Ok(conn)
}

pub(super) fn settle(conn: &ServerConnection) -> Result<(), Error> {
    conn.execute_batch(SETTINGS)
}

pub(super) fn unusable(server: &Server, reason: impl Into<String>) -> StoreError {
    StoreError::Unusable { path: server.to_string(), reason: reason.into() }
}

/// The error as what to do.
pub(super) fn explain(server: &Server, error: Error) -> StoreError {
    let Error::Postgres(postgres) = &error else {
        let said = format!("{error}; check the server");
        return if matches!(error, Error::Silent) { unreachable(server, &said) } else { unusable(server, said) };
    };
    let remedy = match postgres.code() {
        Some(code) if *code == SqlState::INVALID_PASSWORD || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "check the user in store.url, store.password_file and the server's pg_hba.conf"
        }
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => "create it, or name another one in store.url",
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            "the user in store.url needs the right to create a schema in this database, once"
        }
        Some(code) if *code == SqlState::TOO_MANY_CONNECTIONS => {
            "raise the server's max_connections: a gateway needs 8"
        }
        Some(code) if *code == SqlState::CANNOT_CONNECT_NOW => "wait until it has started",
        Some(_) => "it must be PostgreSQL 12 or newer, or speak its SQL",
        None => "check store.url, that the server runs and that it is reached from here",
    };
    let said = format!("{error}; {remedy}");
    if is_absence(postgres) { unreachable(server, &said) } else { unusable(server, said) }
}

fn unreachable(server: &Server, said: &str) -> StoreError {
    StoreError::Unreachable(format!("{server}: {said}"))
}

/// Whether the same may work later although nobody changes anything: nothing answers there, or it starts, stops or has
/// no room. A name that is not found is among these: after a power failure the name server may be what is missing.
fn is_absence(error: &tokio_postgres::Error) -> bool {
    if let Some(code) = error.code() {
        return [
            &SqlState::CANNOT_CONNECT_NOW,
            &SqlState::TOO_MANY_CONNECTIONS,
            &SqlState::ADMIN_SHUTDOWN,
            &SqlState::CRASH_SHUTDOWN,
        ]
        .contains(&code);
    }
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            // What was said makes no sense, such as a certificate that nobody vouches for.
            let kinds = [io::ErrorKind::InvalidData, io::ErrorKind::InvalidInput, io::ErrorKind::PermissionDenied];
            return !kinds.contains(&error.kind());
        }
        cause = inner.source();
    }
    error.is_closed()
}
