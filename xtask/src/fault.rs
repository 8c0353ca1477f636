//! What a law found: a sentence and, where there is one, the line to go to.

use std::{fmt, path::Path};

use anyhow::{Result, bail};

use crate::workspace;

/// A broken law.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault(String);

impl Fault {
    /// A fault that has no line of its own.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// A fault in a line of a file.
    pub(crate) fn at(file: &Path, line: usize, text: impl fmt::Display) -> Self {
        Self(format!("{}:{line}: {text}", workspace::relative(file).display()))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Prints all faults; fails if there is one.
pub(crate) fn judge(law: &str, faults: &[Fault]) -> Result<()> {
    for fault in faults {
        eprintln!("{fault}");
    }
    match faults.len() {
        0 => Ok(()),
        1 => bail!("{law}: 1 fault"),
        many => bail!("{law}: {many} faults"),
    }
}
