//! `[store]` -> where outages and mails are kept.

use std::fs;

use monitor_core::{config::Config, domain::byte_order_mark::without_mark};
use monitor_store::{Location, Server};

use crate::tls::{self, TlsError};

/// In a file, or in a database that several gateways share.
///
/// # Errors
/// What is wrong with `store.url` or with a file that it needs.
pub fn database(config: &Config) -> Result<Location, String> {
    let Some(url) = config.store.url.as_deref().filter(|_| config.is_shared()) else {
        return config.database_file().map(Location::File);
    };
    let password = match &config.store.password_file {
        None => None,
        Some(file) => Some(
            fs::read_to_string(file)
                .map_err(|error| format!("needs store.password_file {}: {error}", file.display()))?,
        ),
    };
    let password = password.as_deref().map(|password| without_mark(password).trim_end_matches(['\r', '\n']));
    let ca = config.store.ca_file.as_deref();
    let encryption = || {
        let file = ca.map(|path| path.display().to_string()).unwrap_or_default();
        tls::client(ca).map_err(|error| match error {
            TlsError::Unreadable(error) => format!("needs store.ca_file {file}: {error}"),
            TlsError::NoCertificate => format!("needs a certificate in store.ca_file {file}: write PEM"),
            TlsError::Setup(error) => format!("needs TLS, which cannot be set up: {error}"),
        })
    };
    Ok(Location::Server(Box::new(Server::new(url, password, encryption)?)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::database;
    use monitor_core::config::read;

    #[test]
    fn files_that_the_database_needs_are_named() {
        for (key, said) in [("password_file", "store.password_file /nowhere"), ("ca_file", "store.ca_file /nowhere")] {
            let text = format!("[store]\nurl = 'postgres://db/r'\n{key} = '/nowhere'\n");
            let error = database(&read("f", &text).unwrap()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
