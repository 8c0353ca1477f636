//! What can be wrong with the settings of `[notify]`: found at start and by `ringback check`, never at delivery time.

use std::{io, path::PathBuf};

use super::template::TemplateError;

/// A setting of `[notify]` that mail cannot be sent with.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// A key that should hold a mail address does not.
    #[error("notify.{key} = `{value}` is not a mail address ({reason}): write {example}")]
    Mailbox {
        /// The key under `[notify]`.
        key: &'static str,
        /// What it holds.
        value: String,
        /// What is wrong with it.
        reason: String,
        /// What would be right.
        example: &'static str,
    },
    /// `smtp` is not a URL of a mail server.
    #[error("notify.smtp = `{value}`: {reason}: write smtp://host:25, smtp+starttls://host:587 or smtps://host:465")]
    Url {
        /// What it holds; a password in it is left out.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// `smtp_user` without `smtp_password_file`, or the other way round, or either without `smtp`.
    #[error("notify.{present} is set, but notify.{absent} is not: set both, or neither")]
    Alone {
        /// The key that is there.
        present: &'static str,
        /// The key that is missing.
        absent: &'static str,
    },
    /// A file that a key names cannot be read.
    #[error("notify.{key}: cannot read {}: {source}", path.display())]
    Unreadable {
        /// The key under `[notify]`.
        key: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The password file holds nothing.
    #[error("notify.smtp_password_file: {} is empty: write the password into it, on one line", path.display())]
    NoPassword {
        /// The file.
        path: PathBuf,
    },
    /// The CA file holds no certificate.
    #[error("notify.smtp_ca_file: {} holds no certificate: write PEM (-----BEGIN CERTIFICATE-----)", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
    },
    /// TLS could not be set up.
    #[error("notify.smtp: cannot set up TLS: {0}")]
    Tls(String),
    /// `unsubscribe_url` is not one that RFC 8058 allows.
    #[error("notify.unsubscribe_url = `{0}` is not an HTTPS address: write https://host/path")]
    UnsubscribeUrl(String),
    /// An operator's template is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
}
