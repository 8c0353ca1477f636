//! From the file to checked settings, or to every mistake in it and around it.

use std::{fs, io, path::Path};

use monitor_core::config::{self, Config, ConfigError};

/// Whether the file must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The operator named it.
    Required,
    /// It is the usual place: without a file, the defaults are in force.
    Optional,
}

/// Reads and checks the file at `path`, and the files that it names.
///
/// # Errors
/// Every mistake.
pub fn load(path: &Path, presence: Presence) -> Result<Config, ConfigError> {
    let file = path.display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && presence == Presence::Optional => String::new(),
        Err(error) => {
            let what = format!("cannot be read: {error}; name another file with --config");
            return Err(ConfigError::new(&file, "", vec![(String::new(), what)]));
        }
    };
    parse(&file, &text)
}

/// Reads and checks a configuration's text, and the files that it names; `file` names it in mistakes.
///
/// # Errors
/// Every mistake.
pub fn parse(file: &str, text: &str) -> Result<Config, ConfigError> {
    let config = config::read(file, text)?;
    let mut mistakes = config::check(&config);
    mistakes.extend(super::check(&config));
    if mistakes.is_empty() { Ok(config) } else { Err(ConfigError::new(file, text, mistakes)) }
}

/// A mistake in the file at `path` that was found elsewhere.
#[must_use]
pub fn mistake(path: &Path, key: String, what: String) -> ConfigError {
    let text = fs::read_to_string(path).unwrap_or_default();
    ConfigError::new(&path.display().to_string(), &text, vec![(key, what)])
}
