//! One self-contained HTML document: no file besides it, no script needed.
//!
//! The frame is a template with gaps `{{name}}`, which an operator may replace; what goes into it is escaped here.

use std::{fs, path::Path};

use jiff::tz::TimeZone;
use monitor_core::domain::wall_clock::utc_and_local;

use super::{
    view::Failed,
    words::{Words, about},
};

const BUILT_IN: &str = include_str!("templates/page.html");
const SCRIPT: &str = include_str!("templates/wait.js");

/// The gaps that a frame must have.
const GAPS: [&str; 5] = ["lang", "title", "refresh", "main", "script"];

/// Seconds until a browser without script looks again. While a form is open, long enough to fill it in.
const FORM_REFRESH: u32 = 300;
const WAIT_REFRESH: u32 = 30;

/// The frame around everything.
pub(super) struct Document(String);

/// Where a page is and where it leads.
pub(super) struct Place<'a> {
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

/// How the person has answered.
pub(super) enum Answered<'a> {
    Yes { mail: &'a str },
    No,
}

impl Document {
    /// The operator's `page.html`, or the built-in one.
    pub(super) fn load(folder: Option<&Path>) -> Result<Self, String> {
        let Some(folder) = folder else { return Ok(Self(BUILT_IN.to_owned())) };
        let file = folder.join("page.html");
        let text = fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        match GAPS.iter().find(|gap| !text.contains(&format!("{{{{{gap}}}}}"))) {
            Some(gap) => Err(format!("{} lacks {{{{{gap}}}}}: put it where that belongs", file.display())),
            None => Ok(Self(text)),
        }
    }

    /// The question (F-21).
    pub(super) fn question(&self, place: &Place<'_>, failed: &Failed, question: &Question<'_>) -> String {
        let words = place.words;
        let (alert, typed) = match question.mistake {
            None => (String::new(), ""),
            Some((mistake, typed)) => {
                (format!("<p class=\"bad\" role=\"alert\" id=\"mistake\">{}</p>", escaped(mistake)), typed)
            }
        };
        let described = if alert.is_empty() { "" } else { " aria-invalid=\"true\" aria-describedby=\"mistake\"" };
        let title = about(words.down, &failed.server());
        let main = format!(
            "<h1>{title}</h1>\n<p>{since} <time>{at}</time></p>\n\
             <form method=\"post\" action=\"{action}\">\n<h2>{question}</h2>\n{alert}\n\
             <input type=\"hidden\" name=\"token\" value=\"{token}\">\n\
             <input type=\"hidden\" name=\"scheme\" value=\"{scheme}\">\n\
             <input type=\"hidden\" name=\"host\" value=\"{host}\">\n\
             <input type=\"hidden\" name=\"path\" value=\"{path}\">\n\
             <label for=\"mail\">{field}</label>\n\
             <input type=\"email\" id=\"mail\" name=\"mail\" value=\"{typed}\" autocomplete=\"email\" required \
             maxlength=\"254\"{described}>\n\
             <div class=\"buttons\"><button name=\"answer\" value=\"yes\">{yes}</button>\n\
             <button name=\"answer\" value=\"no\" class=\"quiet\" formnovalidate>{no}</button></div>\n\
             <p class=\"small\">{privacy}</p>\n</form>\n<p class=\"small\">{waits}</p>",
            title = escaped(&title),
            since = words.since,
            at = escaped(&utc_and_local(failed.since, place.zone)),
            action = escaped(question.action),
            question = words.question,
            token = escaped(question.token),
            scheme = escaped(question.scheme),
            host = escaped(question.host),
            path = escaped(question.path),
            field = words.field,
            typed = escaped(typed),
            yes = words.yes,
            no = words.no,
            privacy = words.privacy,
            waits = words.waits,
        );
        self.waiting(place, &title, &main, FORM_REFRESH)
    }

    /// The confirmation, with the address and the server (F-22).
    pub(super) fn confirmation(&self, place: &Place<'_>, server: &str, answered: &Answered<'_>) -> String {
        let words = place.words;
        let (title, text) = match answered {
            Answered::Yes { mail } => (
                words.registered,
                format!("{} <strong>{}</strong>", escaped(&about(words.registered_for, server)), escaped(mail)),
            ),
            Answered::No => (words.declined, escaped(&about(words.declined_text, server))),
        };
        let main = format!(
            "<h1>{title}</h1>\n<p role=\"status\">{text}</p>\n<p>{}</p>\n<p><a href=\"{}\">{}</a></p>",
            words.waits,
            escaped(place.back),
            words.again,
        );
        self.waiting(place, title, &main, WAIT_REFRESH)
    }

    /// The server is back, for a browser that did not move on by itself.
    pub(super) fn back(&self, words: &Words, server: &str, back: &str) -> String {
        let title = about(words.back, server);
        let link = format!("<p><a class=\"button\" href=\"{}\">{}</a></p>", escaped(back), words.go);
        self.fill(words, &title, "", &format!("<h1>{}</h1>\n{link}", escaped(&title)), "")
    }

    /// One sentence.
    pub(super) fn message(&self, words: &Words, text: &str) -> String {
        self.fill(words, text, "", &format!("<h1 role=\"status\">{}</h1>", escaped(text)), "")
    }

    /// A page whose button ends the mails: following the link alone, as scanners do, ends nothing.
    pub(super) fn unsubscribe(&self, words: &Words, mail: &str) -> String {
        let main = format!(
            "<h1>{}</h1>\n<form method=\"post\">\n<p><strong>{}</strong></p>\n<button>{}</button>\n</form>",
            words.unsubscribe,
            escaped(mail),
            words.unsubscribe_button
        );
        self.fill(words, words.unsubscribe, "", &main, "")
    }

    /// A page that moves on when the server is back.
    fn waiting(&self, place: &Place<'_>, title: &str, main: &str, refresh: u32) -> String {
        let back = escaped(place.back);
        let refresh = format!("<noscript><meta http-equiv=\"refresh\" content=\"{refresh};url={back}\"></noscript>");
        let script = format!(
            "<script nonce=\"{}\" data-wait=\"{}\" data-back=\"{back}\">\n{SCRIPT}</script>",
            place.nonce,
            escaped(place.wait),
        );
        self.fill(place.words, title, &refresh, main, &script)
    }

    fn fill(&self, words: &Words, title: &str, refresh: &str, main: &str, script: &str) -> String {
        let title = escaped(title);
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

/// As text or as the value of an attribute in double quotes.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, character| {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::page::words;
    use monitor_core::domain::Language;

    #[test]
    fn what_is_filled_in_is_escaped_and_not_looked_through_again() {
        let page = Document::load(None).unwrap().message(words::of(Language::En), "<b> {{script}} \"'&");
        assert!(page.contains("&lt;b&gt; {{script}} &quot;&#39;&amp;</h1>"), "{page}");
        assert!(!page.contains("<b>") && page.contains("<html lang=\"en\">"));
    }

    #[test]
    fn an_operators_frame_must_have_every_gap() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("page.html"), BUILT_IN.replace("{{main}}", "")).unwrap();
        let error = Document::load(Some(dir.path())).err().unwrap();
        assert!(error.contains("page.html lacks {{main}}"), "{error}");
        fs::write(dir.path().join("page.html"), BUILT_IN.replace("<main>", "<main><img alt=\"Our logo\">")).unwrap();
        let page = Document::load(Some(dir.path())).unwrap().message(words::of(Language::Ja), "x");
        assert!(page.contains("Our logo") && page.contains("lang=\"ja\""));
    }
}
