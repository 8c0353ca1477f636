//! What the command ends with when it does not end well.

use std::fmt;

use crate::control::ClientError;

/// A line for standard error and an exit status.
#[derive(Debug)]
pub struct Failure {
    line: String,
    status: u8,
}

impl Failure {
    /// Something did not work.
    pub(crate) fn failed(line: impl Into<String>) -> Self {
        Self { line: line.into(), status: 1 }
    }

    /// The command or the configuration is wrong.
    pub(crate) fn usage(line: impl Into<String>) -> Self {
        Self { line: line.into(), status: 2 }
    }

    /// The exit status.
    #[must_use]
    pub const fn status(&self) -> u8 {
        self.status
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let status = if matches!(error, ClientError::NoDaemon { .. }) { 3 } else { 1 };
        Self { line: error.to_string(), status }
    }
}

/// The causes of an error as one line.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(format!("{error:#}"))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error.to_string())
    }
}
