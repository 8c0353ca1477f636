//! `xtask/limits.toml`: what may be longer, and why.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::measure::Measured;

/// The whole list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exceptions {
    #[serde(default, rename = "exception")]
    exceptions: Vec<Exception>,
}

/// One function or, without `function`, one file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exception {
    pub(super) path: PathBuf,
    pub(super) function: Option<String>,
    reason: String,
}

impl Exceptions {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let list: Self = toml::from_str(text).context("the list of exceptions cannot be read")?;
        for exception in &list.exceptions {
            ensure!(
                !exception.reason.trim().is_empty(),
                "the exception for {} has no reason",
                exception.path.display()
            );
        }
        Ok(list)
    }

    pub(super) fn all(&self) -> &[Exception] {
        &self.exceptions
    }

    /// The number of the exception for exactly this.
    pub(super) fn covering(&self, measured: &Measured) -> Option<usize> {
        self.exceptions
            .iter()
            .position(|exception| exception.path == measured.file && exception.function == measured.function)
    }
}

#[cfg(test)]
mod tests {
    use super::Exceptions;

    #[test]
    fn an_exception_says_why() {
        assert!(Exceptions::parse("[[exception]]\npath = 'a.rs'\nreason = ' '\n").is_err());
        assert!(Exceptions::parse("[[exception]]\npath = 'a.rs'\n").is_err());
        assert!(Exceptions::parse("[[exception]]\npath = 'a.rs'\nreason = 'one table'\n").is_ok());
    }
}
