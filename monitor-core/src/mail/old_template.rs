//! Templates in the syntax that operators wrote before there was Jinja: `{word}`, with `{{` and `}}` for braces.
//!
//! Such files go on working. They are rewritten as they are read, and the operator is told what to write instead.

use super::template::TemplateError;

/// How a template file is written.
pub(super) enum Syntax {
    /// Jinja's.
    Jinja,
    /// The old one, with the line and the word of its first placeholder.
    Old(usize, String),
}

impl Syntax {
    /// A file is in the old syntax if it has old placeholders and none of Jinja's. `known`: the words that stand for
    /// something.
    pub(super) fn of<'a>(
        file: &str,
        lines: impl Iterator<Item = &'a (usize, &'a str)>,
        known: impl Fn(&str) -> bool,
    ) -> Result<Self, TemplateError> {
        let (mut old, mut is_jinja) = (Vec::new(), false);
        for (line, piece) in lines.flat_map(|(line, content)| Pieces(content).map(move |piece| (*line, piece))) {
            match piece {
                Piece::Old(name) => old.push((line, name)),
                // In the old syntax, a word in braces: nobody has that in a mail.
                Piece::Jinja(inside) => is_jinja |= known(inside.trim()),
            }
        }
        let first = if is_jinja { old.iter().find(|(_, name)| known(name)) } else { old.first() };
        match first {
            None => Ok(Self::Jinja),
            Some((line, name)) if is_jinja => {
                Err(TemplateError::Mixed { file: file.to_owned(), line: *line, name: (*name).to_owned() })
            }
            Some((line, name)) => Ok(Self::Old(*line, (*name).to_owned())),
        }
    }

    /// What the operator is told.
    pub(super) fn remark(&self, file: &str) -> Option<String> {
        match self {
            Self::Jinja => None,
            Self::Old(line, name) => Some(format!(
                "{file}, line {line}: {{{name}}} is the old syntax, which still works: write {{{{ {name} }}}}, and {{ where \
                 there is {{{{"
            )),
        }
    }

    /// A line of the file in Jinja's syntax.
    pub(super) fn as_jinja(&self, file: &str, line: usize, content: &str) -> Result<String, TemplateError> {
        if matches!(self, Self::Jinja) {
            return Ok(content.to_owned());
        }
        let mut text = String::new();
        let mut rest = content;
        while let Some(brace) = rest.find(['{', '}']) {
            text.push_str(&rest[..brace]);
            rest = &rest[brace..];
            if let Some(after) = rest.strip_prefix("{{") {
                text.push_str("{{ '{' }}");
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let open = || TemplateError::Open { file: file.to_owned(), line };
                let (name, after) = after.split_once('}').ok_or_else(open)?;
                text.push_str(&format!("{{{{ {name} }}}}"));
                rest = after;
            } else {
                text.push_str("{{ '}' }}");
                rest = rest.strip_prefix("}}").unwrap_or(&rest[1..]);
            }
        }
        text.push_str(rest);
        Ok(text)
    }
}

enum Piece<'a> {
    /// `{word}`
    Old(&'a str),
    /// What stands between the braces of `{{ … }}`.
    Jinja(&'a str),
}

/// What is between braces in a line.
struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        loop {
            let (_, rest) = self.0.split_once('{')?;
            self.0 = rest;
            let close = match rest.chars().next() {
                Some('{') => "}}",
                Some('%') => "%}",
                Some('#') => "#}",
                _ => match rest.split_once('}') {
                    Some((name, _)) if is_word(name) => return Some(Piece::Old(name)),
                    _ => continue,
                },
            };
            let (inside, after) = rest[1..].split_once(close).unwrap_or((&rest[1..1], &rest[1..]));
            self.0 = after;
            if close == "}}" {
                return Some(Piece::Jinja(inside));
            }
        }
    }
}

fn is_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
