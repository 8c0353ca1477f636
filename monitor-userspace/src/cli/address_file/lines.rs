//! The lines of a file, one at a time: whatever ends them, and as one where a quoted cell goes over several.

use std::io::{self, BufRead, BufReader, Read};

use monitor_core::domain::{byte_order_mark::without_mark, text_file::NotText};

use super::WrongLine;

/// Bytes of a line; an entry has some hundred.
const LONGEST: usize = 64 * 1024;

/// Lines over which one cell may go.
const MOST: usize = 16;

/// One record as it is written, and the line that it begins on.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) text: String,
    pub(super) line: usize,
}

/// See the module.
pub(super) struct Lines<R> {
    source: BufReader<R>,
    /// Lines that were read.
    line: usize,
    /// A CR ended the last one: an LF behind it belongs to it.
    after_cr: bool,
    is_over: bool,
}

impl<R: Read> Lines<R> {
    pub(super) const fn of(source: BufReader<R>) -> Self {
        Self { source, line: 0, after_cr: false, is_over: false }
    }

    /// The next record; nothing follows an error other than [`WrongLine::Here`].
    pub(super) fn next(&mut self) -> Option<Result<Record, WrongLine>> {
        if self.is_over {
            return None;
        }
        let record = self.record().transpose();
        self.is_over = !matches!(record, Some(Ok(_) | Err(WrongLine::Here(..))));
        record
    }

    fn record(&mut self) -> Result<Option<Record>, WrongLine> {
        if self.line == 0
            && let Some(what) = NotText::of_begin(self.source.fill_buf().map_err(WrongLine::Unreadable)?)
        {
            return Err(WrongLine::NotText(what));
        }
        let Some(mut text) = self.text()? else { return Ok(None) };
        let line = self.line;
        if line == 1 {
            text = without_mark(&text).to_owned();
        }
        // A comment is one line, whatever stands in it.
        while !text.trim_start().starts_with('#') && text.matches('"').count() % 2 == 1 {
            let next = if self.line - line < MOST { self.text()? } else { None };
            let Some(next) = next else {
                return Err(WrongLine::Here(line, "a quoted cell does not end".to_owned()));
            };
            text.push('\n');
            text.push_str(&next);
        }
        Ok(Some(Record { text, line }))
    }

    /// One line without its end.
    fn text(&mut self) -> Result<Option<String>, WrongLine> {
        let bytes = self.bytes().map_err(WrongLine::Unreadable)?;
        let Some(bytes) = bytes else { return Ok(None) };
        self.line += 1;
        if bytes.len() > LONGEST {
            return Err(WrongLine::Here(self.line, format!("a line has more than {LONGEST} bytes")));
        }
        let text = NotText::line(&bytes, self.line).map_err(WrongLine::NotText)?;
        Ok(Some(text.to_owned()))
    }

    /// Of a line that is too long one byte too many, and the rest is thrown away.
    fn bytes(&mut self) -> io::Result<Option<Vec<u8>>> {
        let (mut bytes, mut is_any) = (Vec::new(), false);
        loop {
            let piece = self.source.fill_buf()?;
            if std::mem::take(&mut self.after_cr) && piece.first() == Some(&b'\n') {
                self.source.consume(1);
                continue;
            }
            if piece.is_empty() {
                return Ok(is_any.then_some(bytes));
            }
            is_any = true;
            let end = piece.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let content = &piece[..end.unwrap_or(piece.len())];
            bytes.extend_from_slice(&content[..content.len().min(LONGEST + 1 - bytes.len())]);
            let Some(end) = end else {
                let length = piece.len();
                self.source.consume(length);
                continue;
            };
            self.after_cr = piece[end] == b'\r';
            self.source.consume(end + 1);
            return Ok(Some(bytes));
        }
    }
}
