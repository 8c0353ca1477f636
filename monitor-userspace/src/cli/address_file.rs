//! The address book as a file: lines `CLIENT,MAIL[,LANGUAGE]`, as spreadsheets write them too.
//!
//! Beside entries there may be empty lines, comments (`#`), and names of columns on the first line. Spreadsheets put a byte
//! order mark in front, quote what they like (RFC 4180), write all columns of every line, and, where the comma is in
//! numbers, semicolons or tabs between them. A file is read line by line: its length is no matter.

mod lines;

use std::io::{self, BufReader, Read};

use csv::{ReaderBuilder, StringRecord, Trim, WriterBuilder};
use monitor_core::domain::text_file::NotText;

use self::lines::{Lines, Record};
use super::address::{language, word};
use crate::control::AddressLine;

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// The entries of a file, or what is wrong with a line of it.
pub(super) struct Entries<R> {
    lines: Lines<R>,
    /// What is between two cells; known with the first record.
    delimiter: Option<u8>,
}

/// One line that is not as it should be.
#[derive(Debug)]
pub(super) enum WrongLine {
    /// The next one can be read.
    Here(usize, String),
    /// Nothing behind it can be read.
    NotText(NotText),
    /// The file cannot be read.
    Unreadable(io::Error),
}

impl<R: Read> Entries<R> {
    /// Of a file or of bytes.
    pub(super) fn of(source: R) -> Self {
        Self { lines: Lines::of(BufReader::with_capacity(PIECE, source)), delimiter: None }
    }

    /// An entry with its line, or what is wrong; `None` for what is none.
    fn entry(&mut self, Record { text, line }: &Record) -> Option<Result<(usize, AddressLine), WrongLine>> {
        if text.trim().is_empty() || text.trim_start().starts_with('#') {
            return None;
        }
        let is_first = self.delimiter.is_none();
        if is_first && let Some(delimiter) = declared(text) {
            self.delimiter = Some(delimiter);
            return None;
        }
        let delimiter = *self.delimiter.get_or_insert_with(|| delimiter(text));
        let record = match cells(text, delimiter) {
            Ok(record) => record,
            Err(what) => return Some(Err(WrongLine::Here(*line, what))),
        };
        if record.iter().all(str::is_empty) || (is_first && is_header(&record)) {
            return None;
        }
        let entry = entry(&record).map(|entry| (*line, entry));
        Some(entry.map_err(|what| WrongLine::Here(*line, what)))
    }
}

impl<R: Read> Iterator for Entries<R> {
    type Item = Result<(usize, AddressLine), WrongLine>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let found = match self.lines.next()? {
                Ok(record) => self.entry(&record),
                Err(wrong) => Some(Err(wrong)),
            };
            if found.is_some() {
                return found;
            }
        }
    }
}

/// What [`Entries`] reads.
pub(super) fn write(lines: &[AddressLine]) -> Result<String, csv::Error> {
    let mut writer = WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for line in lines {
        writer.write_field(line.client.to_string())?;
        writer.write_field(&line.mail)?;
        if let Some(language) = line.language {
            writer.write_field(word(language))?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.flush()?;
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `sep=;`, by which a file tells Excel what is between its cells.
fn declared(text: &str) -> Option<u8> {
    match text.trim().trim_matches('"').trim_end_matches(',').as_bytes() {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] => Some(*delimiter),
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'='] => Some(b','),
        _ => None,
    }
}

/// What is most often between the cells of the first line. A comma, unless there is more of another.
fn delimiter(text: &str) -> u8 {
    let count = |delimiter| cells(text, delimiter).map_or(0, |record| record.len());
    [b',', b';', b'\t'].into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}

/// The cells of one record, without white space around them.
fn cells(text: &str, delimiter: u8) -> Result<StringRecord, String> {
    if !text.contains('"') {
        return Ok(text.split(char::from(delimiter)).map(str::trim).collect());
    }
    // Quotes are quotes also behind a space.
    let text = text.trim();
    let mut reader = ReaderBuilder::new();
    reader.has_headers(false).flexible(true).trim(Trim::All).delimiter(delimiter).buffer_capacity(1024);
    let mut record = StringRecord::new();
    reader.from_reader(text.as_bytes()).read_record(&mut record).map_err(|error| error.to_string())?;
    Ok(record)
}

/// Names of columns: whatever they are called, no mail address and nothing like a client is among them.
fn is_header(record: &StringRecord) -> bool {
    record.len() >= 2 && !record[0].contains(['.', ':']) && record.iter().all(|cell| !cell.contains('@'))
}

fn entry(record: &StringRecord) -> Result<AddressLine, String> {
    // A spreadsheet fills columns that a line does not use.
    let mut cells: Vec<&str> = record.iter().collect();
    while cells.len() > 2 && cells.last().is_some_and(|cell| cell.is_empty()) {
        cells.pop();
    }
    let (client, mail, lang) = match cells.as_slice() {
        [client, mail] => (client, mail, None),
        [client, mail, lang] => (client, mail, Some(lang)),
        _ => return Err(format!("`{}` is not CLIENT,MAIL or CLIENT,MAIL,LANGUAGE", cells.join(","))),
    };
    mail.parse::<lettre::Address>().map_err(|error| format!("`{mail}` is not a mail address: {error}"))?;
    Ok(AddressLine {
        client: client.parse()?,
        mail: (*mail).to_owned(),
        language: lang.map(|lang| language(lang)).transpose()?,
        origin: None,
        registered: None,
    })
}

#[cfg(test)]
#[path = "address_file_tests.rs"]
mod tests;
