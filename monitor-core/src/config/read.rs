//! From a text to settings, and from a mistake's key to its line.

use std::fmt;

use toml::de::{DeTable, DeValue};

use super::{
    Config,
    check::{self, Mistakes},
};

/// One thing that is wrong: `FILE:LINE: KEY: what; what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Line in the file, from 1; `None`: the file as a whole, or a default.
    pub line: Option<usize>,
    /// The key, such as `watch.syn_timeout`; empty: no key in particular.
    pub key: String,
    /// What is wrong and what to do.
    pub what: String,
}

/// Why a configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    file: String,
    /// At least one.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            f.write_str(&self.file)?;
            if let Some(line) = mistake.line {
                write!(f, ":{line}")?;
            }
            if !mistake.key.is_empty() {
                write!(f, ": {}", mistake.key)?;
            }
            write!(f, ": {}", mistake.what)?;
        }
        Ok(())
    }
}

impl ConfigError {
    /// Mistakes in the text of `file`, in its order.
    #[must_use]
    pub fn new(file: &str, text: &str, mistakes: Mistakes) -> Self {
        let mut mistakes: Vec<_> =
            mistakes.into_iter().map(|(key, what)| Mistake { line: line_of_key(text, &key), key, what }).collect();
        mistakes.sort_by_key(|mistake| mistake.line);
        Self { file: file.to_owned(), mistakes }
    }
}

/// Reads a configuration's text without a look at what it says; `file` names it in mistakes.
///
/// # Errors
/// The first place that is no configuration.
pub fn read(file: &str, text: &str) -> Result<Config, ConfigError> {
    let mut config: Config = toml::from_str(text).map_err(|error| ConfigError {
        file: file.to_owned(),
        mistakes: vec![Mistake {
            line: error.span().map(|span| line_of(text, span.start)),
            key: error.span().and_then(|span| key_at(text, span.start)).unwrap_or_default(),
            what: reworded(error.message()),
        }],
    })?;
    config.watch.shared = config.is_shared();
    Ok(config)
}

/// Reads and checks a configuration's text; files that it names are not looked at.
///
/// # Errors
/// Every mistake in it.
pub fn parse(file: &str, text: &str) -> Result<Config, ConfigError> {
    let config = read(file, text)?;
    let mistakes = check::check(&config);
    if mistakes.is_empty() { Ok(config) } else { Err(ConfigError::new(file, text, mistakes)) }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// `unknown field `x`, expected one of `a`, `b`` becomes a suggestion.
fn reworded(message: &str) -> String {
    let message = message.trim().replace('\n', " ");
    let mut names = message.split('`').skip(1).step_by(2);
    let Some(unknown) = names.next().filter(|_| message.starts_with("unknown field")) else { return message };
    let known: Vec<&str> = names.collect();
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(unknown, name), *name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().max(unknown.len()) / 2);
    match nearest {
        Some((_, name)) => format!("there is no key `{unknown}` here; did you mean `{name}`?"),
        None => format!("there is no key `{unknown}` here; valid are {}", known.join(", ")),
    }
}

/// The dotted key whose name or value stands at `offset`.
fn key_at(text: &str, offset: usize) -> Option<String> {
    let document = DeTable::parse(text).ok()?;
    find_offset(document.get_ref(), offset, "")
}

fn find_offset(table: &DeTable<'_>, offset: usize, path: &str) -> Option<String> {
    for (name, value) in table {
        let dotted = if path.is_empty() { name.get_ref().to_string() } else { format!("{path}.{}", name.get_ref()) };
        if name.span().contains(&offset) {
            return Some(dotted);
        }
        let inner = match value.get_ref() {
            DeValue::Table(table) => find_offset(table, offset, &dotted),
            DeValue::Array(items) => items.iter().find_map(|item| match item.get_ref() {
                DeValue::Table(table) => find_offset(table, offset, &dotted),
                _ => None,
            }),
            _ => None,
        };
        if inner.is_some() {
            return inner;
        }
        if value.span().contains(&offset) {
            return Some(dotted);
        }
    }
    None
}

/// The line of a key such as `recovery.probe` or `address[2].mail`; of the nearest table around it if it is not there.
fn line_of_key(text: &str, key: &str) -> Option<usize> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut offset = None;
    for part in key.split('.') {
        let (name, index) = match part.split_once('[') {
            Some((name, rest)) => (name, rest.trim_end_matches(']').parse::<usize>().ok()),
            None => (part, None),
        };
        let Some((found, value)) = table.iter().find(|(found, _)| found.get_ref() == name) else { break };
        offset = Some(found.span().start);
        let value = match (value.get_ref(), index) {
            (DeValue::Array(items), Some(index)) => {
                let Some(item) = items.get(index) else { break };
                offset = Some(item.span().start);
                item.get_ref()
            }
            (value, _) => value,
        };
        let DeValue::Table(inner) = value else { break };
        table = inner;
    }
    offset.map(|offset| line_of(text, offset))
}
