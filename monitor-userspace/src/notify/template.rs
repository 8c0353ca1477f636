//! The letter's text with gaps: template files in, patterns that are known to be complete out.
//!
//! A file has four parts, each under its name in square brackets. Every `{placeholder}` is checked when the file is
//! read, so that a typing error is found by `ringback check` and not when a server comes back at night.

use std::{fs, io, path::Path};

use monitor_core::domain::Language;

use super::placeholder::Placeholder;

/// What is wrong with a template file.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It is there but cannot be read.
    #[error("notify.template_dir: cannot read {file}: {source}")]
    Unreadable {
        /// The file or folder.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A placeholder that this part of the letter cannot have.
    #[error("{file}, line {line}: {{{name}}} has no meaning in [{part}]: write one of {known}, or {{{{ for a brace")]
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
    /// A `{` without its `}` on the same line.
    #[error("{file}, line {line}: `{{` without `}}`: close it, or write {{{{ for a brace")]
    Open {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
    },
    /// A heading that no part has.
    #[error("{file}, line {line}: there is no part [{name}]: write {}", PARTS.map(|part| format!("[{}]", part.name)).join(", "))]
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

/// One part of a template file, and what may stand in it.
struct Part {
    name: &'static str,
    placeholders: &'static [Placeholder],
}

const SUBJECT: usize = 0;
const SUBJECT_OF_SEVERAL: usize = 1;
const TEXT: usize = 2;
const SERVICE: usize = 3;
const PARTS: [Part; 4] = {
    use Placeholder as P;
    [
        Part { name: "subject", placeholders: &[P::Server, P::Port] },
        Part { name: "subject of several", placeholders: &[P::Server, P::Port, P::Others, P::Count] },
        Part { name: "text", placeholders: &[P::Services, P::Client, P::Recovered, P::Count, P::Unsubscribe] },
        Part {
            name: "service",
            placeholders: &[
                P::Server,
                P::Port,
                P::Client,
                P::Since,
                P::Recovered,
                P::Duration,
                P::First,
                P::Latest,
                P::Attempts,
                P::Failure,
            ],
        },
    ]
};

/// A text with gaps.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Literal(String),
    Gap(Placeholder),
}

impl Pattern {
    /// The text with every gap filled.
    pub(super) fn fill(&self, value: impl Fn(Placeholder) -> String) -> String {
        self.0.iter().fold(String::new(), |mut text, piece| {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Gap(placeholder) => text.push_str(&value(*placeholder)),
            }
            text
        })
    }
}

/// The letter in one language.
#[derive(Clone, Debug)]
pub(super) struct Template {
    /// Subject of a letter about one service.
    pub(super) subject: Pattern,
    /// Subject of a letter about more than one.
    pub(super) subject_of_several: Pattern,
    /// The body.
    pub(super) text: Pattern,
    /// Stands in the body once per service.
    pub(super) service: Pattern,
}

impl Template {
    /// The operator's template for `language` in `dir`, else the built-in one.
    pub(super) fn load(dir: Option<&Path>, language: Language) -> Result<Self, TemplateError> {
        let (name, built_in) = match language {
            Language::En => ("recovered.en.txt", include_str!("templates/recovered.en.txt")),
            Language::Ja => ("recovered.ja.txt", include_str!("templates/recovered.ja.txt")),
        };
        let Some(dir) = dir else { return Self::parse(name, built_in) };
        let unreadable = |path: &Path| {
            let file = path.display().to_string();
            move |source| TemplateError::Unreadable { file, source }
        };
        // A folder that is not there is a typing error; a file that is not there means the built-in text.
        fs::read_dir(dir).map_err(unreadable(dir))?;
        let path = dir.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&path.display().to_string(), &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::parse(name, built_in),
            Err(error) => Err(unreadable(&path)(error)),
        }
    }

    fn parse(file: &str, text: &str) -> Result<Self, TemplateError> {
        let mut parts: [Vec<(usize, &str)>; PARTS.len()] = Default::default();
        let mut current = None;
        for (line, content) in text.trim_start_matches('\u{feff}').lines().enumerate().map(|(at, text)| (at + 1, text))
        {
            if let Some(name) = content.strip_prefix('[').and_then(|rest| rest.trim_end().strip_suffix(']')) {
                current =
                    Some(PARTS.iter().position(|part| part.name == name).ok_or_else(|| TemplateError::Heading {
                        file: file.to_owned(),
                        line,
                        name: name.to_owned(),
                    })?);
            } else if let Some(part) = current {
                parts[part].push((line, content));
            }
        }
        let part = |at: usize| pattern(file, &PARTS[at], &parts[at]);
        let one_line = |at: usize| {
            let lines = parts[at].iter().filter(|(_, line)| !line.trim().is_empty()).count();
            let name = PARTS[at].name;
            if lines > 1 { Err(TemplateError::Lines { file: file.to_owned(), part: name }) } else { part(at) }
        };
        Ok(Self {
            subject: one_line(SUBJECT)?,
            subject_of_several: one_line(SUBJECT_OF_SEVERAL)?,
            text: part(TEXT)?,
            service: part(SERVICE)?,
        })
    }
}

fn pattern(file: &str, part: &Part, lines: &[(usize, &str)]) -> Result<Pattern, TemplateError> {
    let filled = |(_, line): &(usize, &str)| !line.trim().is_empty();
    let (Some(first), Some(last)) = (lines.iter().position(filled), lines.iter().rposition(filled)) else {
        return Err(TemplateError::Missing { file: file.to_owned(), part: part.name });
    };
    let mut pieces = Vec::new();
    let mut literal = String::new();
    for (at, (line, content)) in lines[first..=last].iter().enumerate() {
        if at > 0 {
            literal.push('\n');
        }
        let mut rest = content.trim_end();
        while let Some(brace) = rest.find(['{', '}']) {
            literal.push_str(&rest[..brace]);
            rest = &rest[brace..];
            if let Some(after) = rest.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let (name, after) =
                    after.split_once('}').ok_or_else(|| TemplateError::Open { file: file.to_owned(), line: *line })?;
                let placeholder = part.placeholders.iter().find(|known| known.word() == name).ok_or_else(|| {
                    TemplateError::Unknown {
                        file: file.to_owned(),
                        line: *line,
                        name: name.to_owned(),
                        part: part.name,
                        known: part
                            .placeholders
                            .iter()
                            .map(|p| format!("{{{}}}", p.word()))
                            .collect::<Vec<_>>()
                            .join(" "),
                    }
                })?;
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                pieces.push(Piece::Gap(*placeholder));
                rest = after;
            } else {
                literal.push('}');
                rest = rest.strip_prefix("}}").unwrap_or(&rest[1..]);
            }
        }
        literal.push_str(rest);
    }
    pieces.push(Piece::Literal(literal));
    Ok(Pattern(pieces))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SMALL: &str =
        "[subject]\nS {server}\n[subject of several]\nM {others}\n[text]\n{services}\n[service]\n{port}\n";

    fn wrong(from: &str, to: &str) -> String {
        Template::parse("my.txt", &SMALL.replace(from, to)).unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_templates_are_right() {
        for language in [Language::En, Language::Ja] {
            Template::load(None, language).unwrap();
        }
    }

    #[test]
    fn gaps_are_filled_and_doubled_braces_are_braces() {
        let template = Template::parse("my.txt", &SMALL.replace("S {server}", "a {{x}} {server}!")).unwrap();
        assert_eq!(template.subject.fill(|p| format!("<{}>", p.word())), "a {x} <server>!");
    }

    #[test]
    fn mistakes_name_the_file_the_line_and_the_way_out() {
        assert_eq!(
            wrong("S {server}", "S {sevrer}"),
            "my.txt, line 2: {sevrer} has no meaning in [subject]: write one of {server} {port}, or {{ for a brace"
        );
        assert_eq!(
            wrong("S {server}", "S {server"),
            "my.txt, line 2: `{` without `}`: close it, or write {{ for a brace"
        );
        assert_eq!(
            wrong("[text]", "[body]"),
            "my.txt, line 5: there is no part [body]: write [subject], [subject of several], [text], [service]"
        );
        assert_eq!(wrong("{port}", ""), "my.txt: the part [service] is missing or empty");
        assert_eq!(wrong("S {server}", "S\nS"), "my.txt: the part [subject] must be one line");
    }

    #[test]
    fn an_operators_file_counts_and_an_absent_one_means_the_built_in_text() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("recovered.en.txt"), SMALL).unwrap();
        let english = Template::load(Some(dir.path()), Language::En).unwrap();
        assert_eq!(english.subject.fill(|_| "x".to_owned()), "S x");
        Template::load(Some(dir.path()), Language::Ja).unwrap();
        let error = Template::load(Some(&dir.path().join("absent")), Language::En).unwrap_err().to_string();
        assert!(error.contains("template_dir") && error.contains("absent"), "{error}");
    }
}
