//! Connecting: every way in which a server cannot be our database, with what to do about it.

use tokio::runtime::Builder;
use tokio_postgres::{NoTls, error::SqlState};

use super::{Server, Session, migrations, tls::Tls};
use crate::store::{
    StoreError,
    sql::{Connection, Error},
};

/// Our tables are in a schema of their own. A transaction whose gateway is gone must not hold others up for long, and one
/// that is committed is on the disk.
const SETTINGS: &str = "SET search_path = ringback; SET idle_in_transaction_session_timeout = '20s'; \
                        SET synchronous_commit = on; SET client_min_messages = warning";

/// A connection to a database whose schema is up to date.
///
/// # Errors
/// The server cannot be reached, does not let us in, is none, or a newer Ringback was there.
pub(in crate::store) fn open(server: &Server) -> Result<Connection, StoreError> {
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
    let session = Session::new(runtime, client.map_err(|error| explain(server, error.into()))?);
    let conn = Connection::Postgres(session);
    migrations::run(server, &conn)?;
    Ok(conn)
}

pub(super) fn settle(conn: &Connection) -> Result<(), Error> {
    conn.execute_batch(SETTINGS)
}

pub(super) fn unusable(server: &Server, reason: impl Into<String>) -> StoreError {
    StoreError::Unusable { path: server.to_string(), reason: reason.into() }
}

/// The error as what to do.
pub(super) fn explain(server: &Server, error: Error) -> StoreError {
    let Error::Postgres(postgres) = &error else { return unusable(server, format!("{error}; check the server")) };
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
    unusable(server, format!("{error}; {remedy}"))
}
