//! One self-contained HTML document: no file besides it, no script needed.
//!
//! What stands in it are templates that are compiled in; they escape whatever they are given. The frame around them has gaps
//! `{{name}}`, and an operator may replace it.

use std::{
    io,
    path::{Path, PathBuf},
};

use askama::Template;
use jiff::tz::TimeZone;
use monitor_core::{config::Mistake, domain::wall_clock::utc_and_local};

use super::{
    view::Failed,
    words::{Words, about},
};
use crate::text_file;

const BUILT_IN: &str = include_str!("templates/page.html");
const SCRIPT: &str = include_str!("templates/wait.js");

/// The gaps that a frame must have.
const GAPS: [&str; 5] = ["lang", "title", "refresh", "main", "script"];

/// Seconds until a browser without script looks again. While a form is open, long enough to fill it in.
const FORM_REFRESH: u32 = 300;
const WAIT_REFRESH: u32 = 30;

/// The frame around everything.
pub(super) struct Document(String);

/// Why an operator's frame cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum DocumentError {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    /// A gap is missing.
    #[error("{} lacks {{{{{gap}}}}}", file.display())]
    NoGap { file: PathBuf, gap: &'static str },
}

impl From<DocumentError> for Mistake {
    fn from(error: DocumentError) -> Self {
        let (key, reason) = ("standin.page_dir", error.to_string());
        match error {
            DocumentError::Unreadable { .. } => Self::plain(key, reason),
            DocumentError::NoGap { .. } => Self::new(key, reason, "put it where that belongs"),
        }
    }
}

/// Where a page is and where it leads.
pub(super) struct PagePlace<'a> {
    pub(super) words: &'a Words,
    /// Of the local times beside UTC.
    pub(super) zone: &'a TimeZone,
    /// Of the script element: no other script runs.
    pub(super) nonce: &'a str,
    /// Where the browser goes when the server is back.
    pub(super) back: &'a str,
    /// The stream that says so.
    pub(super) wait: &'a str,
}

/// A form that asks.
pub(super) struct Question<'a> {
    pub(super) action: &'a str,
    pub(super) token: &'a str,
    pub(super) scheme: &'a str,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    /// What is wrong with what was typed, and what was typed.
    pub(super) mistake: Option<(&'a str, &'a str)>,
}

impl Question<'_> {
    fn typed(&self) -> &str {
        self.mistake.map_or("", |(_, typed)| typed)
    }
}

/// How the person has answered.
pub(super) enum Answered<'a> {
    Yes { mail: &'a str },
    No,
}

impl Document {
    /// The operator's `page.html`, or the built-in one.
    pub(super) fn load(folder: Option<&Path>) -> Result<Self, DocumentError> {
        let Some(folder) = folder else { return Ok(Self(BUILT_IN.to_owned())) };
        let file = folder.join("page.html");
        let text = match text_file::read(&file) {
            Ok(text) => text,
            Err(source) => return Err(DocumentError::Unreadable { file, source }),
        };
        match GAPS.iter().find(|gap| !text.contains(&format!("{{{{{gap}}}}}"))) {
            Some(gap) => Err(DocumentError::NoGap { file, gap }),
            None => Ok(Self(text)),
        }
    }

    /// The question (F-21).
    pub(super) fn question(&self, place: &PagePlace<'_>, failed: &Failed, question: &Question<'_>) -> String {
        let words = place.words;
        let title = &about(words.down, &failed.server());
        let since = &utc_and_local(failed.since, place.zone);
        self.waiting(place, title, &html(&QuestionPart { words, title, since, question }), FORM_REFRESH)
    }

    /// The confirmation, with the address and the server (F-22).
    pub(super) fn confirmation(&self, place: &PagePlace<'_>, server: &str, answered: &Answered<'_>) -> String {
        let (words, back) = (place.words, place.back);
        let (title, text, mail) = match answered {
            Answered::Yes { mail } => (words.registered, words.registered_for, Some(*mail)),
            Answered::No => (words.declined, words.declined_text, None),
        };
        let part = ConfirmationPart { words, title, text: &about(text, server), mail, back };
        self.waiting(place, title, &html(&part), WAIT_REFRESH)
    }

    /// The server is back, for a browser that did not move on by itself.
    pub(super) fn back(&self, words: &Words, server: &str, back: &str) -> String {
        let title = &about(words.back, server);
        self.fill(words, title, "", &html(&BackPart { words, title, back }), "")
    }

    /// One sentence.
    pub(super) fn message(&self, words: &Words, text: &str) -> String {
        self.fill(words, text, "", &html(&MessagePart { text }), "")
    }

    /// A page whose button ends the mails: following the link alone, as scanners do, ends nothing.
    pub(super) fn unsubscribe(&self, words: &Words, mail: &str) -> String {
        self.fill(words, words.unsubscribe, "", &html(&UnsubscribePart { words, mail }), "")
    }

    /// A page that moves on when the server is back.
    fn waiting(&self, place: &PagePlace<'_>, title: &str, main: &str, seconds: u32) -> String {
        let refresh = html(&RefreshPart { seconds, back: place.back });
        self.fill(place.words, title, &refresh, main, &html(&ScriptPart { place, script: SCRIPT }))
    }

    fn fill(&self, words: &Words, title: &str, refresh: &str, main: &str, script: &str) -> String {
        let title = html(&TextPart { text: title });
        let values = [words.code, &title, refresh, main, script];
        // One pass: what is filled in is not looked through for gaps.
        let mut text = String::with_capacity(self.0.len() + main.len() + script.len());
        let mut rest = self.0.as_str();
        while let Some(open) = rest.find("{{") {
            text.push_str(&rest[..open]);
            rest = &rest[open..];
            let gap = GAPS
                .iter()
                .zip(values)
                .find(|(gap, _)| rest[2..].strip_prefix(**gap).is_some_and(|behind| behind.starts_with("}}")));
            match gap {
                Some((gap, value)) => {
                    text.push_str(value);
                    rest = &rest[gap.len() + 4..];
                }
                None => {
                    text.push_str("{{");
                    rest = &rest[2..];
                }
            }
        }
        text + rest
    }
}

#[derive(Template)]
#[template(path = "question.html")]
struct QuestionPart<'a> {
    words: &'a Words,
    title: &'a str,
    since: &'a str,
    question: &'a Question<'a>,
}

#[derive(Template)]
#[template(path = "confirmation.html")]
struct ConfirmationPart<'a> {
    words: &'a Words,
    title: &'a str,
    text: &'a str,
    mail: Option<&'a str>,
    back: &'a str,
}

#[derive(Template)]
#[template(path = "back.html")]
struct BackPart<'a> {
    words: &'a Words,
    title: &'a str,
    back: &'a str,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePart<'a> {
    text: &'a str,
}

#[derive(Template)]
#[template(path = "unsubscribe.html")]
struct UnsubscribePart<'a> {
    words: &'a Words,
    mail: &'a str,
}

#[derive(Template)]
#[template(path = "refresh.html")]
struct RefreshPart<'a> {
    seconds: u32,
    back: &'a str,
}

#[derive(Template)]
#[template(path = "script.html")]
struct ScriptPart<'a> {
    place: &'a PagePlace<'a>,
    script: &'static str,
}

#[derive(Template)]
#[template(source = "{{ text }}", ext = "html")]
struct TextPart<'a> {
    text: &'a str,
}

fn html(part: &impl Template) -> String {
    // Writing to a String cannot fail.
    part.render().unwrap_or_default()
}

#[cfg(test)]
#[path = "document_snapshots.rs"]
mod snapshots;
#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;

    use super::*;
    use crate::page::words;
    use monitor_core::domain::Language;

    #[test]
    fn what_is_filled_in_is_escaped_and_not_looked_through_again() {
        let page = Document::load(None).unwrap().message(words::of(Language::En), "<b> {{script}} \"'&");
        assert!(page.contains("&#60;b&#62; {{script}} &#34;&#39;&#38;</h1>"), "{page}");
        assert!(!page.contains("<b>") && page.contains("<html lang=\"en\">"));
    }

    #[test]
    fn an_operators_frame_must_have_every_gap() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("page.html"), BUILT_IN.replace("{{main}}", "")).unwrap();
        let error = Document::load(Some(dir.path())).err().unwrap();
        assert!(error.to_string().contains("page.html lacks {{main}}"), "{error}");
        fs::write(dir.path().join("page.html"), BUILT_IN.replace("<main>", "<main><img alt=\"Our logo\">")).unwrap();
        let page = Document::load(Some(dir.path())).unwrap().message(words::of(Language::Ja), "x");
        assert!(page.contains("Our logo") && page.contains("lang=\"ja\""));
    }
}
