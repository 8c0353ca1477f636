//! `[store]` -> where outages and mails are kept.

use std::path::PathBuf;

use monitor_core::config::{Config, Mistake, NoDatabase, SecretError};
use monitor_store::{Location, Server, UrlError};

use crate::{
    text_file,
    tls::{self, TlsError},
};

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The URL names none.
    #[error(transparent)]
    None(#[from] NoDatabase),
    /// The URL is not one of a server.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The password cannot be used.
    #[error(transparent)]
    Password(SecretError),
    /// There can be no encrypted connection.
    #[error("{} {source}", file.display())]
    Encryption {
        /// The file with certificates.
        file: PathBuf,
        /// Why.
        source: TlsError,
    },
}

impl From<DatabaseError> for Mistake {
    fn from(error: DatabaseError) -> Self {
        let reason = error.to_string();
        match error {
            DatabaseError::None(error) => error.into(),
            DatabaseError::Url(error) => Self::new("store.url", reason, error.remedy()),
            DatabaseError::Password(error) => error.at("store.password_file"),
            DatabaseError::Encryption { source, .. } => source.at("store.ca_file".into(), reason),
        }
    }
}

/// In a file, or in a database that several gateways share.
///
/// # Errors
/// What is wrong with `store.url` or with a file that it needs.
pub fn database(config: &Config) -> Result<Location, DatabaseError> {
    let Some(url) = config.store.url.as_deref().filter(|_| config.is_shared()) else {
        return Ok(Location::File(config.database_file()?));
    };
    let password = config.store.password_file.as_deref().map(|file| {
        let text = text_file::read(file).map_err(|source| SecretError::Unreadable { path: file.to_owned(), source })?;
        let line = text.trim_end_matches(['\r', '\n']);
        if line.contains(['\r', '\n']) { Err(SecretError::Lines(file.to_owned())) } else { Ok(line.to_owned()) }
    });
    let password = password.transpose().map_err(DatabaseError::Password)?;
    let ca = config.store.ca_file.as_deref();
    let encryption = || {
        let file = ca.map(ToOwned::to_owned).unwrap_or_default();
        tls::client(ca).map_err(|source| DatabaseError::Encryption { file, source })
    };
    Ok(Location::Server(Box::new(Server::new(url, password.as_deref(), encryption)?)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use monitor_core::config::{Mistake, parse};

    use super::database;

    #[test]
    fn files_that_the_database_needs_are_named() {
        for key in ["password_file", "ca_file"] {
            let text = format!("[store]\nurl = 'postgres://db/r'\n{key} = '/nowhere'\n");
            let mistake = Mistake::from(database(&parse("f", &text).unwrap()).unwrap_err()).to_string();
            assert!(mistake.starts_with(&format!("store.{key}: /nowhere cannot be read")), "{mistake}");
        }
    }
}
