//! What can be wrong with the settings that letters are written by: found at start and by `ringback check`, never at
//! delivery time.

use super::template::TemplateError;
use crate::config::{Key, Mistake};

/// A setting of `[notify]` that letters cannot be written with.
#[derive(Debug, thiserror::Error)]
pub(super) enum ComposerError {
    /// A key that should hold a mail address does not.
    #[error("`{value}` is not a mail address ({reason})")]
    Address {
        /// The key under `[notify]`.
        key: &'static str,
        /// What it holds.
        value: String,
        /// What is wrong with it.
        reason: String,
        /// What would be right.
        example: &'static str,
    },
    /// `unsubscribe_url` is not one that RFC 8058 allows.
    #[error("`{0}` is not an HTTPS address")]
    UnsubscribeUrl(String),
    /// An operator's template is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
}

impl ComposerError {
    fn key(&self) -> Key {
        Key::from("notify").to(match self {
            Self::Address { key, .. } => key,
            Self::UnsubscribeUrl(_) => "unsubscribe_url",
            Self::Template(_) => "template_dir",
        })
    }
}

impl From<ComposerError> for Mistake {
    fn from(error: ComposerError) -> Self {
        let (key, reason) = (error.key(), error.to_string());
        match error {
            ComposerError::Address { example, .. } => Self::new(key, reason, format!("write {example}")),
            ComposerError::UnsubscribeUrl(_) => Self::new(key, reason, "write https://host/path"),
            // Its words say what to write.
            ComposerError::Template(_) => Self::plain(key, reason),
        }
    }
}
