//! Files that people make with editors and spreadsheets: their bytes as text.

use super::byte_order_mark::without_mark;

/// Why bytes are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// As Windows programs write "Unicode".
    #[error("it is UTF-16: save it as UTF-8 (in a spreadsheet: \"CSV UTF-8\")")]
    Utf16,
    /// A legacy encoding, such as Windows-1252 or Shift JIS.
    #[error("it is not UTF-8 (line {0}): save it as UTF-8 (in a spreadsheet: \"CSV UTF-8\")")]
    NotUtf8(usize),
    /// No text at all.
    #[error("it is no text (a NUL in line {0})")]
    Nul(usize),
    /// A spreadsheet or a document, packed.
    #[error("it is a spreadsheet or an archive: save it as text (in a spreadsheet: \"CSV UTF-8\")")]
    Packed,
}

impl NotText {
    /// What the first bytes of a file show. Four bytes are enough.
    #[must_use]
    pub fn of_begin(begin: &[u8]) -> Option<Self> {
        match begin {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [1..=255, 0, 1..=255, 0, ..] | [0, 1..=255, 0, 1..=255, ..] => {
                Some(Self::Utf16)
            }
            [b'P', b'K', 3, 4, ..] => Some(Self::Packed),
            _ => None,
        }
    }

    /// The text of a line, or what is wrong with it. `line` is its number.
    pub fn line(bytes: &[u8], line: usize) -> Result<&str, Self> {
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains('\0') => Err(Self::Nul(line)),
            Ok(text) => Ok(text),
            Err(_) => Err(Self::NotUtf8(line)),
        }
    }
}

/// The text of a file, without a byte order mark.
pub fn text_of(bytes: &[u8]) -> Result<&str, NotText> {
    if let Some(what) = NotText::of_begin(bytes) {
        return Err(what);
    }
    let line = |at: usize| 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
    let text = std::str::from_utf8(bytes).map_err(|error| NotText::NotUtf8(line(error.valid_up_to())))?;
    match text.find('\0') {
        Some(at) => Err(NotText::Nul(line(at))),
        None => Ok(without_mark(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_editors_write_is_text_or_named() {
        let utf16 = |text: &str, mark: bool, big: bool| -> Vec<u8> {
            let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
            units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        assert_eq!(text_of("\u{feff}sécret\r\n".as_bytes()), Ok("sécret\r\n"));
        assert_eq!(text_of(b""), Ok(""));
        assert_eq!(text_of(b"a"), Ok("a"));
        for big in [false, true] {
            for mark in [false, true] {
                assert_eq!(text_of(&utf16("10.1.1.1;a@b.c", mark, big)), Err(NotText::Utf16), "{mark} {big}");
            }
        }
        assert_eq!(text_of(b"one\ntwo\nthr\xe9e\n"), Err(NotText::NotUtf8(3)));
        assert_eq!(text_of(b"one\ntw\0o\n"), Err(NotText::Nul(2)));
        assert_eq!(text_of(b"PK\x03\x04\x14\0"), Err(NotText::Packed));
    }
}
