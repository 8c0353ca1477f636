//! What can be wrong with the settings of `[notify]` that say how mail is sent: found at start and by `ringback check`,
//! never at delivery time.

use std::path::PathBuf;

use monitor_core::config::{Key, Mistake, SecretError};

use crate::tls::TlsError;

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
    /// Certificates cannot be used.
    #[error("{} {source}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: TlsError,
    },
    /// `smtp_helo_name` is not a name.
    #[error("`{0}` is not a host name")]
    HeloName(String),
}

impl NotifyError {
    fn key(&self) -> Key {
        Key::from("notify").to(match self {
            Self::Url { .. } => "smtp",
            Self::Alone { present, .. } => present,
            Self::Password(_) | Self::NoPassword(_) => "smtp_password_file",
            Self::Certificates { .. } => "smtp_ca_file",
            Self::HeloName(_) => "smtp_helo_name",
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
            NotifyError::Certificates { source, .. } => source.at(key, reason),
            NotifyError::HeloName(_) => {
                Self::new(key, reason, "write a full one such as gw.example.net, or [192.0.2.1]")
            }
        }
    }
}
