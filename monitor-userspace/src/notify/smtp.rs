//! One connection to the mail server (F-20, RFC 5321).
//!
//! lettre's pool writes each command in two segments without `TCP_NODELAY`, which costs 40 ms a step; a connection of
//! our own does not.

use std::{fs, io, path::PathBuf, time::Duration};

use lettre::{
    address::Envelope,
    transport::smtp::{
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, Certificate, TlsParameters},
        extension::ClientId,
    },
};
use tokio::{net::TcpStream, time::timeout};

use super::retry::Trouble;
use crate::config::Notify;

/// Connecting, and each mail, may take this long (RFC 5321 section 4.5.3.2 allows minutes; a relay next door needs less).
const LIMIT: Duration = Duration::from_secs(60);

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// `smtp://`: STARTTLS when the server offers it.
    Opportunistic,
    /// `smtp+starttls://`: STARTTLS or nothing.
    StartTls,
    /// `smtps://`: TLS from the first byte (RFC 8314).
    Tls,
}

/// `notify.smtp`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpUrl {
    /// How the connection is protected.
    pub security: Security,
    /// Name or address of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl SmtpUrl {
    /// Takes `smtp://mail.example.net:25` apart; the port may be left out.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{url}` is not a mail server: write smtp://host:25, smtp+starttls://host:587 or smtps://host:465")
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let (security, usual) = match scheme {
            "smtp" => (Security::Opportunistic, 25),
            "smtp+starttls" => (Security::StartTls, 587),
            "smtps" => (Security::Tls, 465),
            _ => return Err(wrong()),
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => (rest, usual),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || host.contains(['@', '/', ' ']) || port == 0 {
            return Err(wrong());
        }
        Ok(Self { security, host: host.to_owned(), port })
    }
}

/// Why the mail server cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// The URL is wrong.
    #[error("notify.smtp: {0}")]
    Url(String),
    /// A file cannot be read.
    #[error("{key}: {path} cannot be read: {source}")]
    File {
        /// Which setting.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The certificates or the name are of no use for TLS.
    #[error("TLS to the mail server cannot be set up: {0}; check notify.smtp and notify.smtp_ca_file")]
    Tls(lettre::transport::smtp::Error),
}

/// All that is needed to connect.
#[derive(Clone)]
pub(super) struct Relay {
    url: SmtpUrl,
    tls: TlsParameters,
    credentials: Option<Credentials>,
    hello: ClientId,
}

impl Relay {
    pub(super) fn new(settings: &Notify, url: &str) -> Result<Self, SmtpError> {
        let url = SmtpUrl::parse(url).map_err(SmtpError::Url)?;
        let mut tls = TlsParameters::builder(url.host.clone());
        if let Some(path) = &settings.smtp_ca_file {
            let unreadable = |source| SmtpError::File { key: "notify.smtp_ca_file", path: path.clone(), source };
            let pem = fs::read(path).map_err(unreadable)?;
            tls = tls.add_root_certificate(Certificate::from_pem(&pem).map_err(SmtpError::Tls)?);
        }
        let credentials = match (&settings.smtp_user, &settings.smtp_password_file) {
            (Some(user), Some(path)) => {
                let key = "notify.smtp_password_file";
                let unreadable = |source| SmtpError::File { key, path: path.clone(), source };
                let password = fs::read_to_string(path).map_err(unreadable)?;
                Some(Credentials::new(user.clone(), password.trim_end().to_owned()))
            }
            _ => None,
        };
        let tls = tls.build().map_err(SmtpError::Tls)?;
        Ok(Self { url, tls, credentials, hello: ClientId::default() })
    }

    /// A connection that is ready for mails.
    pub(super) async fn connect(&self) -> Result<Connection, Trouble> {
        timeout(LIMIT, self.handshake()).await.unwrap_or_else(|_| Err(Trouble::too_slow("the mail server", LIMIT)))
    }

    async fn handshake(&self) -> Result<Connection, Trouble> {
        let SmtpUrl { security, host, port } = &self.url;
        let mut smtp = match security {
            Security::Tls => {
                let tls = Some(self.tls.clone());
                AsyncSmtpConnection::connect_tokio1((host.as_str(), *port), Some(LIMIT), &self.hello, tls, None).await?
            }
            Security::Opportunistic | Security::StartTls => {
                let stream = TcpStream::connect((host.as_str(), *port))
                    .await
                    .map_err(|error| Trouble::network(format!("{host}:{port}: {error}")))?;
                stream.set_nodelay(true).map_err(|error| Trouble::network(error.to_string()))?;
                AsyncSmtpConnection::connect_with_transport(Box::new(stream), &self.hello).await?
            }
        };
        if *security != Security::Tls && (*security == Security::StartTls || smtp.can_starttls()) {
            smtp.starttls(self.tls.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            let local = ["localhost", "127.0.0.1", "::1"].contains(&host.as_str());
            if !smtp.is_encrypted() && !local {
                return Err(Trouble::network(format!("{host} offers no TLS: the password is not sent in the clear")));
            }
            smtp.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await?;
        }
        Ok(Connection { smtp })
    }
}

/// See [`Relay::connect`].
pub(super) struct Connection {
    smtp: AsyncSmtpConnection,
}

impl Connection {
    /// Sends one mail. After an error the connection is closed.
    pub(super) async fn send(&mut self, envelope: &Envelope, mail: &[u8]) -> Result<(), Trouble> {
        match timeout(LIMIT, self.smtp.send(envelope, mail)).await {
            Ok(result) => Ok(result.map(drop)?),
            Err(_) => Err(Trouble::too_slow("the mail server", LIMIT)),
        }
    }

    pub(super) async fn quit(mut self) {
        // The mails are delivered; a server that does not say goodbye changes nothing.
        let _ = timeout(Duration::from_secs(1), self.smtp.quit()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{Security, SmtpUrl};

    #[test]
    fn a_mail_server_is_a_scheme_a_host_and_perhaps_a_port() {
        let url = |security, host: &str, port| Ok(SmtpUrl { security, host: host.to_owned(), port });
        assert_eq!(SmtpUrl::parse("smtp://mail.example.net"), url(Security::Opportunistic, "mail.example.net", 25));
        assert_eq!(SmtpUrl::parse("smtp+starttls://10.0.0.1:2525/"), url(Security::StartTls, "10.0.0.1", 2525));
        assert_eq!(SmtpUrl::parse("smtps://[2001:db8::1]:465"), url(Security::Tls, "2001:db8::1", 465));
        assert_eq!(SmtpUrl::parse("smtps://[2001:db8::1]"), url(Security::Tls, "2001:db8::1", 465));
        for wrong in
            ["mail.example.net:25", "http://mail", "smtp://", "smtp://mail:x", "smtp://u:p@mail", "smtp://mail:0"]
        {
            assert!(SmtpUrl::parse(wrong).is_err(), "{wrong}");
        }
    }
}
