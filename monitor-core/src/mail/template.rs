//! The letter's text with gaps: template files in, templates that are known to be complete out.
//!
//! A file has four parts, each under its name in square brackets, each a Jinja template. Every part is compiled, looked
//! through for names that have no meaning, and tried, when the file is read: a typing error is found by `ringback check` and
//! not when a server comes back at night.

use std::{
    io,
    path::{Path, PathBuf},
};

use minijinja::{Environment, UndefinedBehavior, Value, context, syntax::SyntaxConfig};

use super::old_template::Syntax;
use crate::domain::{Language, byte_order_mark::without_mark};

/// Brings the text of a file in the operator's folder, if it is there: this crate opens none. A folder that is not there
/// is an error.
pub type ReadTemplate<'a> = &'a dyn Fn(&Path, &str) -> Result<Option<String>, UnreadableTemplate>;

/// A template file that is there but cannot be read, or a folder.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read: {source}", path.display())]
pub struct UnreadableTemplate {
    /// The file or folder.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// What is wrong with a template file.
#[derive(Debug, thiserror::Error)]
pub(super) enum TemplateError {
    /// It is there but cannot be read.
    #[error(transparent)]
    Unreadable(#[from] UnreadableTemplate),
    /// A name that this part of the letter cannot have.
    #[error("{file}, line {line}: {{{{ {name} }}}} has no meaning in [{part}]: write one of {known}")]
    Unknown {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What stands between the braces.
        name: String,
        /// The part of the letter.
        part: &'static str,
        /// The placeholders that it can have.
        known: String,
    },
    /// Not what Jinja understands.
    #[error("{file}, line {line}: {what}: write {{{{ \"{{{{\" }}}} for two braces")]
    Syntax {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What Jinja says.
        what: String,
    },
    /// Both syntaxes in one file.
    #[error(
        "{file}, line {line}: {{{name}}} is the old syntax, and the file has the new one too: write {{{{ {name} }}}}"
    )]
    Mixed {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What stands between the braces.
        name: String,
    },
    /// In the old syntax: a `{` without its `}` on the same line.
    #[error("{file}, line {line}: `{{` without `}}`: close it, or write {{{{ for a brace")]
    Open {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
    },
    /// A heading that no part has.
    #[error("{file}, line {line}: there is no part [{name}]: write {}", PARTS.map(|part| format!("[{}]", part.name())).join(", "))]
    Heading {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What stands between the brackets.
        name: String,
    },
    /// A part is missing or empty.
    #[error("{file}: the part [{part}] is missing or empty")]
    Missing {
        /// The file.
        file: String,
        /// Which.
        part: &'static str,
    },
    /// A subject of more than one line.
    #[error("{file}: the part [{part}] must be one line")]
    Lines {
        /// The file.
        file: String,
        /// Which.
        part: &'static str,
    },
}

/// One part of a template file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Subject of a letter about one service.
    Subject,
    /// Subject of a letter about more than one.
    SubjectOfSeveral,
    /// The body.
    Text,
    /// Stands in the body once per service.
    Service,
}

const PARTS: [Part; 4] = [Part::Subject, Part::SubjectOfSeveral, Part::Text, Part::Service];

impl Part {
    /// What stands in the square brackets.
    const fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::SubjectOfSeveral => "subject of several",
            Self::Text => "text",
            Self::Service => "service",
        }
    }

    /// What it can say.
    const fn gaps(self) -> &'static [&'static str] {
        match self {
            Self::Subject => &["server", "port"],
            Self::SubjectOfSeveral => &["server", "port", "others", "count"],
            Self::Text => &["services", "client", "recovered", "count", "unsubscribe"],
            Self::Service => &[
                "server",
                "port",
                "client",
                "since",
                "recovered",
                "duration",
                "first",
                "latest",
                "attempts",
                "failure",
            ],
        }
    }
}

/// The letter in one language.
#[derive(Clone, Debug)]
pub(super) struct Template {
    parts: Environment<'static>,
    /// What the operator should change some day, and where.
    pub(super) remark: Option<String>,
}

impl Template {
    /// The operator's template for `language` in `dir`, else the built-in one.
    pub(super) fn load(dir: Option<&Path>, language: Language, read: ReadTemplate<'_>) -> Result<Self, TemplateError> {
        let (name, built_in) = match language {
            Language::En => ("recovered.en.txt", include_str!("templates/recovered.en.txt")),
            Language::Ja => ("recovered.ja.txt", include_str!("templates/recovered.ja.txt")),
        };
        let Some(dir) = dir else { return Self::parse(name, built_in) };
        match read(dir, name)? {
            Some(text) => Self::parse(&dir.join(name).display().to_string(), without_mark(&text)),
            None => Self::parse(name, built_in),
        }
    }

    /// The part with every gap filled.
    pub(super) fn fill(&self, part: Part, values: Value) -> Result<String, minijinja::Error> {
        self.parts.get_template(part.name())?.render(values)
    }

    fn parse(file: &str, text: &str) -> Result<Self, TemplateError> {
        let parts = divided(file, text)?;
        let known = |name: &str| PARTS.iter().any(|part| part.gaps().contains(&name));
        let syntax = Syntax::of(file, parts.iter().flatten(), known)?;
        let mut template = Self { parts: environment(), remark: syntax.remark(file) };
        for (part, lines) in PARTS.into_iter().zip(&parts) {
            let filled = |(_, line): &(usize, &str)| !line.trim().is_empty();
            let (Some(first), Some(last)) = (lines.iter().position(filled), lines.iter().rposition(filled)) else {
                return Err(TemplateError::Missing { file: file.to_owned(), part: part.name() });
            };
            let is_subject = matches!(part, Part::Subject | Part::SubjectOfSeveral);
            if is_subject && lines.iter().filter(|line| filled(line)).count() > 1 {
                return Err(TemplateError::Lines { file: file.to_owned(), part: part.name() });
            }
            template.add(file, part, &lines[first..=last], &syntax)?;
        }
        Ok(template)
    }

    /// Compiles a part and tries it.
    fn add(&mut self, file: &str, part: Part, lines: &[(usize, &str)], syntax: &Syntax) -> Result<(), TemplateError> {
        let source = lines.iter().map(|(line, content)| syntax.as_jinja(file, *line, content.trim_end()));
        let source = source.collect::<Result<Vec<_>, _>>()?.join("\n");
        let begin = lines.first().map_or(0, |(line, _)| *line);
        let wrong = |error: minijinja::Error| TemplateError::Syntax {
            file: file.to_owned(),
            line: begin + error.line().unwrap_or(1) - 1,
            what: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
        };
        self.parts.add_template_owned(part.name(), source).map_err(wrong)?;
        let mut names = self.parts.get_template(part.name()).map_err(wrong)?.undeclared_variables(false);
        names.retain(|name| !part.gaps().contains(&name.as_str()));
        names.retain(|name| self.parts.globals().all(|(global, _)| global != name));
        if let Some(name) = names.into_iter().min() {
            let line = lines.iter().find(|(_, content)| content.contains(&name)).map_or(begin, |(line, _)| *line);
            let known = part.gaps().iter().map(|name| format!("{{{{ {name} }}}}")).collect::<Vec<_>>().join(" ");
            return Err(TemplateError::Unknown { file: file.to_owned(), line, name, part: part.name(), known });
        }
        self.fill(part, trial()).map(drop).map_err(wrong)
    }
}

/// Files are written with tags on lines of their own, which leave no empty lines behind.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // The default syntax with these two can always be built.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment
}

/// A value of its kind for every gap.
fn trial() -> Value {
    context! {
        server => "www.example.net (192.0.2.7)", port => 443, others => 1, count => 2, services => "…",
        client => "198.18.0.1", since => "2026-11-20 23:56:41 UTC", recovered => "2026-11-21 02:01:41 UTC",
        duration => "2 hours 5 minutes", first => "2026-11-21 00:05:01 UTC", latest => "2026-11-21 02:00:41 UTC",
        attempts => "3 times", failure => "no answer", unsubscribe => "ringback@example.net",
    }
}

/// The numbered lines of each part. What stands above the first heading is a comment.
fn divided<'a>(file: &str, text: &'a str) -> Result<[Vec<(usize, &'a str)>; PARTS.len()], TemplateError> {
    let mut parts: [Vec<_>; PARTS.len()] = Default::default();
    let mut current = None;
    for (line, content) in text.lines().enumerate().map(|(at, text)| (at + 1, text)) {
        if let Some(name) = content.strip_prefix('[').and_then(|rest| rest.trim_end().strip_suffix(']')) {
            let part = PARTS.iter().position(|part| part.name() == name);
            let unknown = || TemplateError::Heading { file: file.to_owned(), line, name: name.to_owned() };
            current = Some(part.ok_or_else(unknown)?);
        } else if let Some(part) = current {
            parts[part].push((line, content));
        }
    }
    Ok(parts)
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
