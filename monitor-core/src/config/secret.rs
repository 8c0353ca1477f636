//! What can be wrong with a file that holds a secret.

use std::{io, path::PathBuf};

use super::{Key, Mistake};

/// Why the secret in a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no secret.
    #[error("{} can be read by everybody", .0.display())]
    Public(PathBuf),
    /// It would be two passwords.
    #[error("{} has more than one line", .0.display())]
    Lines(PathBuf),
    /// It can be guessed.
    #[error("the secret in {} is shorter than {shortest} characters", path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// The fewest that it must have.
        shortest: usize,
    },
}

impl SecretError {
    /// The mistake that it is where this key names the file.
    pub fn at(&self, key: impl Into<Key>) -> Mistake {
        let reason = self.to_string();
        match self {
            Self::Unreadable { .. } => Mistake::plain(key, reason),
            Self::Public(path) => Mistake::new(key, reason, format!("chmod 640 {}", path.display())),
            Self::Lines(_) => Mistake::new(key, reason, "write one line"),
            Self::Short { .. } => Mistake::new(key, reason, "write a longer one"),
        }
    }
}
