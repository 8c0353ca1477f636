//! The mark that some editors and spreadsheets put in front of a text in UTF-8.

/// The text of a file without the mark in front of it. Nobody sees the mark, and it would make a password wrong and an
/// address none.
#[must_use]
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::without_mark;

    #[test]
    fn only_a_mark_in_front_goes() {
        for (written, read) in
            [("\u{feff}secret\n", "secret\n"), ("a\u{feff}b", "a\u{feff}b"), ("\u{feff}", ""), ("", "")]
        {
            assert_eq!(without_mark(written), read);
        }
    }
}
