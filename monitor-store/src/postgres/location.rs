//! `store.url = "postgres://…"` -> how to get there (pure).

use std::{fmt, sync::Arc, time::Duration};

use tokio_postgres::config::{Config, Host, SslMode};
use tokio_rustls::rustls::ClientConfig;

/// How long each address of the server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// How long sent data may stay without an acknowledgement. This finds a server behind a cut cable.
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);

/// A database server and how it is spoken to.
#[derive(Clone)]
pub struct Server {
    pub(super) config: Config,
    /// `None`: in clear.
    pub(super) tls: Option<Arc<ClientConfig>>,
    shown: String,
}

/// What is wrong with the URL of a database server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another mode than those that are known.
    #[error("has sslmode={0}")]
    SslMode(String),
    /// Not a URL of a database, and why.
    #[error("is not a database URL ({0})")]
    Malformed(String),
    /// No host in it.
    #[error("names no host")]
    NoHost,
    /// No database in it.
    #[error("names no database")]
    NoDatabase,
}

impl UrlError {
    /// What to write.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::SslMode(_) => "write verify-full (TLS, certificate checked; the default), or disable",
            Self::Malformed(_) | Self::NoHost | Self::NoDatabase => "write postgres://user@host:5432/database",
        }
    }
}

impl Server {
    /// Checks the URL; connects to nothing. `tls` is asked for where the connection is encrypted.
    ///
    /// # Errors
    /// What is wrong with the URL, without the password, or why there is no TLS.
    pub fn new<E: From<UrlError>>(
        url: &str,
        password: Option<&str>,
        tls: impl FnOnce() -> Result<Arc<ClientConfig>, E>,
    ) -> Result<Self, E> {
        let (url, mode) = without_sslmode(url);
        let encrypted = match mode {
            None => true,
            Some(mode) if mode == "require" || mode == "verify-full" => true,
            Some(mode) if mode == "disable" => false,
            Some(other) => return Err(UrlError::SslMode(other).into()),
        };
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            UrlError::Malformed(
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string),
            )
        })?;
        if config.get_hosts().is_empty() {
            return Err(UrlError::NoHost.into());
        }
        if config.get_dbname().is_none() {
            return Err(UrlError::NoDatabase.into());
        }
        if let Some(password) = password {
            config.password(password);
        }
        // Sockets of this machine need none.
        let remote = config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(_)));
        let tls = if encrypted && remote { Some(tls()?) } else { None };
        config
            .ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable })
            .application_name("ringback")
            .keepalives_idle(UNACKNOWLEDGED)
            .tcp_user_timeout(UNACKNOWLEDGED);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        let shown = show(&config);
        Ok(Self { config, tls, shown })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Server {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The library knows fewer modes than `libpq`; this one is decided here.
fn without_sslmode(url: &str) -> (String, Option<String>) {
    let Some((url, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let (modes, rest): (Vec<&str>, Vec<&str>) = query.split('&').partition(|pair| pair.starts_with("sslmode="));
    let mode = modes.last().and_then(|pair| pair.split_once('=')).map(|(_, mode)| mode.to_owned());
    let url = if rest.is_empty() { url.to_owned() } else { format!("{url}?{}", rest.join("&")) };
    (url, mode)
}

/// `postgres://host:port/database`: no user, no password.
fn show(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(host) if host.contains(':') => format!("[{host}]:{port}"),
                Host::Tcp(host) => format!("{host}:{port}"),
                Host::Unix(folder) => format!("{}:{port}", folder.display()),
            }
        })
        .collect();
    format!("postgres://{}/{}", hosts.join(","), config.get_dbname().unwrap_or_default())
}

/// Trusts no server's certificate: for tests that reach no server over TLS.
#[cfg(test)]
pub(crate) fn no_authorities() -> Result<Arc<ClientConfig>, UrlError> {
    use tokio_rustls::rustls::{RootCertStore, crypto::ring::default_provider};

    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| UrlError::Malformed(error.to_string()))?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::{Server, UrlError, no_authorities};

    #[test]
    fn a_password_is_not_shown() {
        let server = Server::new("postgres://me:secret@db.example:5433/ringback", None, no_authorities).unwrap();
        assert_eq!(server.to_string(), "postgres://db.example:5433/ringback");
        assert_eq!(format!("{server:?}"), "postgres://db.example:5433/ringback");
    }

    #[test]
    fn tls_is_left_out_only_where_that_is_written_or_the_server_is_this_machine() {
        for (url, encrypted) in [
            ("postgres://me@db.example/ringback", true),
            ("postgres://me@db.example/ringback?sslmode=require", true),
            ("postgres://me@db.example/ringback?connect_timeout=2&sslmode=verify-full", true),
            ("postgres://me@db.example/ringback?sslmode=disable", false),
            ("postgres://me@%2Frun%2Fpostgresql/ringback", false),
        ] {
            assert_eq!(Server::new(url, None, no_authorities).unwrap().tls.is_some(), encrypted, "{url}");
        }
    }

    #[test]
    fn wrong_urls_say_what_is_wrong_and_never_the_password() {
        for (url, said) in [
            ("postgres://me:secret@/ringback", "names no host"),
            ("postgres://me:secret@db.example", "names no database"),
            ("postgres://me:secret@db.example:x/ringback", "is not a database URL"),
            ("postgres://me:secret@db.example/ringback?colour=blue", "colour"),
            ("postgres://me:secret@db.example/ringback?sslmode=prefer", "write verify-full"),
        ] {
            let error = Server::new(url, None, no_authorities).unwrap_err();
            let error = format!("{error}: {}", error.remedy());
            assert!(error.contains(said) && !error.contains("secret"), "{url}: {error}");
        }
        let error = Server::new("postgres://db/r", None, || Err(UrlError::NoHost)).unwrap_err();
        assert_eq!(error, UrlError::NoHost, "what the caller says of TLS");
    }
}
