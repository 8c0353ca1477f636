//! A mailbox fetched by POP3 (RFC 1939, STLS: RFC 2595): what is there, one mail at a time, deletion.
//!
//! Written here because the published clients change the bytes of a mail (doubled dots, the last CRLF) or block, and
//! every byte is under a signature.

mod dots;
mod session;
mod url;

use std::{path::PathBuf, sync::Arc};

use monitor_core::config::{Key, Mailbox, Mistake, Mistakes, SecretError};
use tokio_rustls::rustls::{ClientConfig, pki_types::ServerName};

pub(super) use self::session::{Pop3Session, SessionError};
use self::url::{Pop3Encryption, Url};
use crate::{
    secret,
    tls::{self, TlsError},
};

/// A setting of `[mailbox]` that no mail can be fetched with.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    /// `pop3` is not a URL of a mailbox.
    #[error("`{0}`: {1}")]
    Url(String, &'static str),
    /// A key without the others.
    #[error("is missing")]
    Alone(&'static str),
    /// The password cannot be used.
    #[error(transparent)]
    Password(SecretError),
    /// The user name or password would be two commands.
    #[error("is empty or has more than one line")]
    Lines(&'static str),
    /// The file with certificates cannot be used.
    #[error("{} {source}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TlsError,
    },
}

impl From<MailboxError> for Mistake {
    fn from(error: MailboxError) -> Self {
        let (table, reason) = (Key::from("mailbox"), error.to_string());
        match error {
            MailboxError::Url(..) => {
                let remedy = "write pop3s://host, pop3+starttls://host or pop3://127.0.0.1";
                Self::new(table.to("pop3"), reason, remedy)
            }
            MailboxError::Alone(key) => {
                Self::new(table.to(key), reason, "pop3, pop3_user and pop3_password_file go together")
            }
            MailboxError::Password(error) => error.at(table.to("pop3_password_file")),
            MailboxError::Lines(key) => Self::new(table.to(key), reason, "write one line"),
            MailboxError::Certificates { source, .. } => source.at(table.to("pop3_ca_file"), reason),
        }
    }
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
    ///
    /// # Errors
    /// Every setting that no mail can be fetched with.
    pub fn load(settings: &Mailbox) -> Result<Option<Self>, Vec<Mistake>> {
        let mut mistakes = Mistakes::default();
        let keys = [
            ("pop3", settings.pop3.is_some()),
            ("pop3_user", settings.pop3_user.is_some()),
            ("pop3_password_file", settings.pop3_password_file.is_some()),
        ];
        if keys.iter().all(|(_, is_set)| !is_set) {
            return Ok(None);
        }
        mistakes.extend(keys.iter().filter(|(_, is_set)| !is_set).map(|(key, _)| MailboxError::Alone(key)));
        let url = settings.pop3.as_deref().and_then(|url| mistakes.take(located(url)));
        let user = settings.pop3_user.as_deref().and_then(|user| mistakes.take(one_line("pop3_user", user)));
        let password = settings.pop3_password_file.as_deref().and_then(|file| {
            let text = mistakes.take(secret::read(file, 0).map_err(MailboxError::Password))?;
            mistakes.take(one_line("pop3_password_file", text.trim_end_matches(['\r', '\n'])))
        });
        let tls = tls::client(settings.pop3_ca_file.as_deref()).map_err(|source| {
            let path = settings.pop3_ca_file.clone().unwrap_or_default();
            MailboxError::Certificates { path, source }
        });
        let tls = mistakes.take(tls);
        let mailbox = || {
            let (url, name) = url?;
            Some(Some(Self { url, user: user?, password: password?, tls: tls?, name, largest: settings.largest }))
        };
        mistakes.or(mailbox())
    }
}

/// Where the mailbox is, and by which name its server proves itself.
fn located(text: &str) -> Result<(Url, ServerName<'static>), MailboxError> {
    let wrong = |what| MailboxError::Url(text.to_owned(), what);
    let url = Url::parse(text).map_err(wrong)?;
    let name = ServerName::try_from(url.host.clone()).map_err(|_| wrong("no host name"))?;
    Ok((url, name))
}

fn one_line(key: &'static str, text: &str) -> Result<String, MailboxError> {
    let is_one = !text.is_empty() && !text.contains(['\r', '\n']);
    if is_one { Ok(text.to_owned()) } else { Err(MailboxError::Lines(key)) }
}
