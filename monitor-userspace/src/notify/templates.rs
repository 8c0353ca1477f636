//! The words of the mail: built-in English and Japanese, or the operator's own files.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::config::Language;

/// What a template may name in braces.
pub(super) const PLACEHOLDERS: [&str; 9] =
    ["what", "services", "recovered", "client", "attempts", "first", "latest", "host", "unsubscribe"];

/// Why a template cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file is there but cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The first line is not a subject.
    #[error("{0}:1: must begin with `Subject: `, followed by an empty line and the text")]
    NoSubject(String),
    /// A word in braces that stands for nothing.
    #[error("{file}:{line}: `{{{name}}}` stands for nothing; valid are {valid}", valid = PLACEHOLDERS.join(", "))]
    UnknownPlaceholder {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// The word.
        name: String,
    },
    /// A brace that does not close.
    #[error("{file}:{line}: a `{{` is not closed")]
    Unclosed {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: usize,
    },
}

/// A subject and a text with words in braces.
#[derive(Clone, Debug)]
pub(super) struct Template {
    subject: String,
    text: String,
}

/// One template per language.
#[derive(Clone, Debug)]
pub struct Templates {
    en: Template,
    ja: Template,
}

impl Templates {
    /// The templates in `folder`, and the built-in ones where it has none.
    pub fn load(folder: Option<&Path>) -> Result<Self, TemplateError> {
        Ok(Self {
            en: load(folder, "recovered.en.txt", include_str!("templates/recovered.en.txt"))?,
            ja: load(folder, "recovered.ja.txt", include_str!("templates/recovered.ja.txt"))?,
        })
    }

    pub(super) const fn of(&self, language: Language) -> &Template {
        match language {
            Language::En => &self.en,
            Language::Ja => &self.ja,
        }
    }
}

fn load(folder: Option<&Path>, name: &str, built_in: &str) -> Result<Template, TemplateError> {
    let Some(path) = folder.map(|folder| folder.join(name)) else { return parse(name, built_in) };
    match fs::read_to_string(&path) {
        Ok(text) => parse(&path.display().to_string(), &text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => parse(name, built_in),
        Err(source) => Err(TemplateError::Unreadable { path, source }),
    }
}

fn parse(file: &str, text: &str) -> Result<Template, TemplateError> {
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let mut rest = line;
        while let Some((_, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err(TemplateError::Unclosed { file: file.to_owned(), line: line_number });
            };
            if !PLACEHOLDERS.contains(&name) {
                let name = name.to_owned();
                return Err(TemplateError::UnknownPlaceholder { file: file.to_owned(), line: line_number, name });
            }
            rest = after;
        }
    }
    let no_subject = || TemplateError::NoSubject(file.to_owned());
    let (first, body) = text.split_once('\n').ok_or_else(no_subject)?;
    let subject = first.strip_prefix("Subject: ").ok_or_else(no_subject)?.trim().to_owned();
    Ok(Template { subject, text: body.trim_start_matches('\n').to_owned() })
}

impl Template {
    /// Subject and text with every word replaced by what `value` gives for it.
    pub(super) fn fill(&self, value: impl Fn(&str) -> String) -> (String, String) {
        (replace(&self.subject, &value), replace(&self.text, &value))
    }
}

fn replace(text: &str, value: &impl Fn(&str) -> String) -> String {
    let mut filled = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, after)) = after.split_once('}') else { break };
        filled.push_str(&value(name));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{Templates, parse};

    #[test]
    fn the_built_in_templates_are_right() {
        Templates::load(None).unwrap();
    }

    #[test]
    fn what_is_wrong_in_a_template_is_named_with_its_line() {
        let error = |text| parse("own.txt", text).unwrap_err().to_string();
        assert!(
            error("Subject: x\n\nhello {nmae}\n")
                .starts_with("own.txt:3: `{nmae}` stands for nothing; valid are what,")
        );
        assert_eq!(error("Subject: x\n{what\n"), "own.txt:2: a `{` is not closed");
        assert_eq!(
            error("hello\n\n"),
            "own.txt:1: must begin with `Subject: `, followed by an empty line and the text"
        );
    }

    #[test]
    fn words_are_replaced_once() {
        let template = parse("x", "Subject: {what}\n\n{client} {what}!\n").unwrap();
        let filled = template.fill(|name| format!("<{{{name}}}>"));
        assert_eq!(filled, ("<{what}>".to_owned(), "<{client}> <{what}>!\n".to_owned()));
    }
}
