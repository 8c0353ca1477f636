//! What can be wrong with the settings of `[notify]` that say how mail is sent: found at start and by `ringback check`,
//! never at delivery time.

use std::{io, path::PathBuf};

use monitor_core::config::{Key, Mistake, SecretError};

/// A setting of `[notify]` that mail cannot be sent with.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// `smtp` is not a URL of a mail server.
    #[error("`{value}`: {reason}")]
    Url {
        /// What it holds; a password in it is left out.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// `smtp_user` without `smtp_password_file`, or the other way round, or either without `smtp`.
    #[error("is set, but notify.{absent} is not")]
    Alone {
        /// The key that is there.
        present: &'static str,
        /// The key that is missing.
        absent: &'static str,
    },
    /// The password cannot be used.
    #[error(transparent)]
    Password(SecretError),
    /// The password file holds nothing.
    #[error("{} is empty", .0.display())]
    NoPassword(PathBuf),
    /// The file with certificates cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The CA file holds no certificate.
    #[error("{} holds no certificate", .0.display())]
    Certificate(PathBuf),
    /// TLS could not be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

impl NotifyError {
    fn key(&self) -> Key {
        Key::from("notify").to(match self {
            Self::Url { .. } | Self::Tls(_) => "smtp",
            Self::Alone { present, .. } => present,
            Self::Password(_) | Self::NoPassword(_) => "smtp_password_file",
            Self::Unreadable { .. } | Self::Certificate(_) => "smtp_ca_file",
        })
    }
}

impl From<NotifyError> for Mistake {
    fn from(error: NotifyError) -> Self {
        let (key, reason) = (error.key(), error.to_string());
        match error {
            NotifyError::Url { .. } => {
                Self::new(key, reason, "write smtp://host:25, smtp+starttls://host:587 or smtps://host:465")
            }
            NotifyError::Alone { absent, .. } => {
                Self::new(key, reason, "set both, or neither").resting_on([Key::from("notify").to(absent)])
            }
            NotifyError::Password(error) => error.at(key),
            NotifyError::NoPassword(_) => Self::new(key, reason, "write the password into it, on one line"),
            NotifyError::Certificate(_) => Self::new(key, reason, "write PEM (-----BEGIN CERTIFICATE-----)"),
            // Their words say what to write.
            NotifyError::Unreadable { .. } | NotifyError::Tls(_) => Self::plain(key, reason),
        }
    }
}
