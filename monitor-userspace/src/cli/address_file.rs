//! The address book as a file: lines `CLIENT,MAIL[,LANGUAGE]`, as spreadsheets write them too.

use csv::{ReaderBuilder, StringRecord, Trim, WriterBuilder};
use monitor_core::domain::byte_order_mark::without_mark;

use super::address::{language, word};
use crate::control::AddressLine;

/// The entries of a file's text, or every mistake in it with its line.
///
/// Beside entries there may be empty lines, comments (`#`), and names of columns on the first line. Spreadsheets put a
/// byte order mark in front, quote what they like, and write all columns of every line.
pub(super) fn read(text: &str) -> Result<Vec<AddressLine>, Vec<(usize, String)>> {
    let text = without_mark(text);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    let (mut entries, mut mistakes) = (Vec::new(), Vec::new());
    let mut lines = Lines { text, offset: 0, line: 1 };
    let mut is_first = true;
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                mistakes.push((lines.line, error.to_string()));
                break;
            }
        };
        let line = lines.of(&record);
        if record.iter().all(str::is_empty) || record[0].starts_with('#') {
            continue;
        }
        if !(std::mem::take(&mut is_first) && is_header(&record)) {
            match entry(&record) {
                Ok(entry) => entries.push(entry),
                Err(what) => mistakes.push((line, what)),
            }
        }
    }
    if mistakes.is_empty() { Ok(entries) } else { Err(mistakes) }
}

/// What [`read`] reads.
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

/// On which line a record begins. The reader counts empty lines and comments in front of a record as part of it.
struct Lines<'a> {
    text: &'a str,
    /// What has been counted so far.
    offset: usize,
    line: usize,
}

impl Lines<'_> {
    fn of(&mut self, record: &StringRecord) -> usize {
        let start = record.position().and_then(|position| usize::try_from(position.byte()).ok());
        let start = start.unwrap_or(self.offset);
        self.line += newlines(self.text.get(self.offset..start).unwrap_or_default());
        self.offset = start;
        let rest = self.text.get(start..).unwrap_or_default();
        self.line + rest.lines().take_while(|line| line.is_empty() || line.starts_with('#')).count()
    }
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use monitor_core::domain::Language;

    /// Each entry as `client mail language`.
    fn shown(text: &str) -> Vec<String> {
        let language = |line: &AddressLine| line.language.map_or("-", word);
        read(text).unwrap().iter().map(|line| format!("{} {} {}", line.client, line.mail, language(line))).collect()
    }

    #[test]
    fn what_spreadsheets_write_is_read() {
        for text in [
            "10.1.1.1,a@example.jp,ja\n10.1.1.2,b@example.jp\n",
            // Excel's "CSV UTF-8": a byte order mark and CRLF.
            "\u{feff}10.1.1.1,a@example.jp,ja\r\n10.1.1.2,b@example.jp\r\n",
            // Columns that other lines have are filled.
            "10.1.1.1,a@example.jp,ja\r\n10.1.1.2,b@example.jp,\r\n",
            "10.1.1.1,a@example.jp,ja,,\n10.1.1.2,b@example.jp,,,\n,,,,\n",
            "\"10.1.1.1\",\"a@example.jp\",\"ja\"\n\"10.1.1.2\",\"b@example.jp\",\"\"\n",
            "Client,Mail,Language\n10.1.1.1,a@example.jp,ja\n10.1.1.2,b@example.jp,\n",
            "\u{feff}\"IPv4 address\",\"E-mail\"\r\n10.1.1.1,a@example.jp,ja\r\n10.1.1.2,b@example.jp,\r\n",
            "# people\n\n \t\n  # of the first floor\n 10.1.1.1 , a@example.jp,\tja\n10.1.1.2,b@example.jp",
        ] {
            assert_eq!(shown(text), ["10.1.1.1 a@example.jp ja", "10.1.1.2 b@example.jp -"], "{text:?}");
        }
        assert_eq!(shown(""), [""; 0]);
    }

    #[test]
    fn mistakes_name_their_line_whatever_stands_in_front() {
        let mistakes = |text: &str| read(text).unwrap_err();
        let lines = |text: &str| mistakes(text).into_iter().map(|(line, _)| line).collect::<Vec<_>>();
        assert_eq!(lines("\u{feff}# people\r\n\r\n10.1.1.x,a@b.c\r\n# more\r\n\"10.1.1.y\",a@b.c\r\n"), [3, 5]);
        assert_eq!(lines("10.1.1.1,\"a@b.c\n\",ja\n10.1.1.x,a@b.c\n"), [3]);
        for (text, what) in [
            ("10.1.1.1,a@b.c,fr,\n", "`fr` is not a language"),
            ("10.1.1.1\n", "`10.1.1.1` is not CLIENT,MAIL"),
            ("10.1.1.1,,\n", "`` is not a mail address"),
            ("10.1.1.1,a@b.c,ja,x\n", "`10.1.1.1,a@b.c,ja,x` is not CLIENT,MAIL"),
            // Only the first line may hold names of columns.
            ("10.1.1.1,a@b.c\nclient,mail\n", "`mail` is not a mail address"),
            ("nobody\n", "`nobody` is not CLIENT,MAIL"),
            ("fe80::x,nobody\n", "`nobody` is not a mail address"),
        ] {
            assert!(mistakes(text)[0].1.contains(what), "{text:?}: {:?}", mistakes(text));
        }
    }

    #[test]
    fn what_is_exported_can_be_imported() {
        let text = "10.1.1.1,sato@example.jp,ja\n10.2.0.0/16,noc@example.net\n";
        let lines = read(text).unwrap();
        assert_eq!((lines[0].language, lines[1].language), (Some(Language::Ja), None));
        assert_eq!(write(&lines).unwrap(), text);
        let quoted = "10.1.1.1,\"\"\"a,b\"\"@example.jp\",ja\n";
        assert_eq!(shown(quoted), ["10.1.1.1 \"a,b\"@example.jp ja"]);
        assert_eq!(write(&read(quoted).unwrap()).unwrap(), quoted);
    }
}
