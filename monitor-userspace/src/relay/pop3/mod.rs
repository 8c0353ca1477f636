//! A mailbox fetched by POP3 (RFC 1939, STLS: RFC 2595): what is there, one mail at a time, deletion.
//!
//! Written here because the published clients change the bytes of a mail (doubled dots, the last CRLF) or block, and
//! every byte is under a signature.

mod dots;
mod session;
mod url;

use std::{fs, io, path::PathBuf, sync::Arc};

use monitor_core::{config::Mailbox, domain::byte_order_mark::without_mark};
use tokio_rustls::rustls::{ClientConfig, pki_types::ServerName};

pub(super) use self::session::{Session, SessionError};
use self::url::{Encryption, Url};
use crate::tls::{self, TlsError};

/// A setting of `[mailbox]` that no mail can be fetched with: a key below it, and what is wrong.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    /// `pop3` is not a URL of a mailbox.
    #[error("mailbox.pop3 `{0}`: {1}; write pop3s://host, pop3+starttls://host or pop3://127.0.0.1")]
    Url(String, &'static str),
    /// A key without the others.
    #[error("mailbox.{0} is missing: pop3, pop3_user and pop3_password_file go together")]
    Alone(&'static str),
    /// A file cannot be read.
    #[error("mailbox.{key} {path} cannot be read: {source}", path = path.display())]
    Unreadable {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The user name or password would be two commands.
    #[error("mailbox.{0} is empty or has more than one line")]
    Lines(&'static str),
    /// No certificate in the file, or a wrong one.
    #[error("mailbox.pop3_ca_file {} holds no certificate: write PEM (-----BEGIN CERTIFICATE-----)", .0.display())]
    Certificate(PathBuf),
    /// TLS cannot be set up.
    #[error("mailbox.pop3 TLS cannot be set up: {0}")]
    Tls(String),
}

/// Where the mailbox is and how it is opened.
#[derive(Clone)]
pub struct Pop3 {
    url: Url,
    user: String,
    password: String,
    tls: Arc<ClientConfig>,
    name: ServerName<'static>,
    /// Bytes of a mail that is fetched, at most.
    pub(super) largest: u64,
}

/// Without the password.
impl std::fmt::Debug for Pop3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} as {}", self.url, self.user)
    }
}

impl Pop3 {
    /// The configured mailbox; `None`: there is none.
    pub fn new(settings: &Mailbox) -> Result<Option<Self>, MailboxError> {
        let (url, user, file) = match (&settings.pop3, &settings.pop3_user, &settings.pop3_password_file) {
            (None, None, None) => return Ok(None),
            (None, ..) => return Err(MailboxError::Alone("pop3")),
            (_, None, _) => return Err(MailboxError::Alone("pop3_user")),
            (.., None) => return Err(MailboxError::Alone("pop3_password_file")),
            (Some(url), Some(user), Some(file)) => (url, user, file),
        };
        let parsed = Url::parse(url).map_err(|what| MailboxError::Url(url.clone(), what))?;
        let name =
            ServerName::try_from(parsed.host.clone()).map_err(|_| MailboxError::Url(url.clone(), "no host name"))?;
        let unreadable = |key, path: &PathBuf| {
            let path = path.clone();
            move |source| MailboxError::Unreadable { key, path, source }
        };
        let text = fs::read_to_string(file).map_err(unreadable("pop3_password_file", file))?;
        let password = without_mark(&text).trim_end_matches(['\r', '\n']);
        let one_line = |text: &str| !text.is_empty() && !text.contains(['\r', '\n']);
        if !one_line(user) {
            return Err(MailboxError::Lines("pop3_user"));
        }
        if !one_line(password) {
            return Err(MailboxError::Lines("pop3_password_file"));
        }
        let path = settings.pop3_ca_file.clone().unwrap_or_default();
        let tls = tls::client(settings.pop3_ca_file.as_deref()).map_err(|error| match error {
            TlsError::Unreadable(source) => MailboxError::Unreadable { key: "pop3_ca_file", path, source },
            TlsError::NoCertificate => MailboxError::Certificate(path),
            TlsError::Setup(reason) => MailboxError::Tls(reason),
        })?;
        Ok(Some(Self {
            url: parsed,
            user: user.clone(),
            password: password.to_owned(),
            tls,
            name,
            largest: settings.largest,
        }))
    }
}
