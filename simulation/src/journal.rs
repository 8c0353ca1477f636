//! What happened, for people: written only when a history is played aloud.

use std::fmt::{self, Display};

use crate::time::BEGIN;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    lines: Option<Vec<(u64, String)>>,
}

impl Journal {
    pub(crate) fn aloud() -> Self {
        Self { lines: Some(Vec::new()) }
    }

    pub(crate) fn note(&mut self, at: u64, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push((at, line()));
        }
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        let lines = self.lines.unwrap_or_default();
        lines.into_iter().map(|(at, line)| format!("{} {line}", Since(at))).collect()
    }
}

/// Seconds since the history began.
pub(crate) struct Since(pub(crate) u64);

impl Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.saturating_sub(BEGIN) / 1000;
        write!(f, "{:>4}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}
