//! `ringback address import`: a file of any length into the address book.
//!
//! The file is read twice. First every line is checked, and nothing is changed if one is wrong. Then the entries are added in
//! order, in pieces: a transaction of a million entries would keep the daemon from noting who waits.

use std::{
    fs::File,
    io::{self, Cursor, Read},
    path::Path,
};

use super::{
    Failure,
    address_file::{Entries, WrongLine},
    book::{Book, Piece},
};

/// Entries in one transaction.
const PIECE: usize = 5_000;

/// Mistakes that are named; a file of something else has one on every line.
const NAMED: usize = 100;

/// Bytes of what cannot be read twice, such as a pipe.
const LONGEST_PIPE: u64 = 256 << 20;

/// Adds every entry of the file, or none if a line is wrong; says how many.
///
/// # Errors
/// Every wrong line, or after which line it broke off.
pub(super) async fn import(book: &Book, path: &Path) -> Result<usize, Failure> {
    let source = Source::of(path).map_err(|error| unreadable(path, &error))?;
    let count = check(path, &source)?;
    let (mut pieces, mut piece, mut added) = (0, Vec::with_capacity(PIECE), 0);
    let mut last_line = 0;
    for found in source.entries().map_err(|error| unreadable(path, &error))? {
        let (line, entry) = found.map_err(|_| broken_off(path, last_line, "the file was changed meanwhile"))?;
        piece.push(entry);
        pieces += 1;
        if piece.len() == PIECE || pieces == count {
            let which = if pieces == count { Piece::Last } else { Piece::More };
            let put = book.put(std::mem::replace(&mut piece, Vec::with_capacity(PIECE)), which).await;
            added += put.map_err(|error| broken_off(path, last_line, &error.to_string()))?;
            last_line = line;
        }
    }
    if added != count {
        return Err(broken_off(path, last_line, "the file was changed meanwhile"));
    }
    Ok(added)
}

/// How many entries there are, or every wrong line.
fn check(path: &Path, source: &Source) -> Result<usize, Failure> {
    let shown = path.display();
    let (mut count, mut wrong, mut named) = (0, 0, Vec::new());
    for found in source.entries().map_err(|error| unreadable(path, &error))? {
        match found {
            Ok(_) => count += 1,
            Err(WrongLine::Unreadable(error)) => return Err(unreadable(path, &error)),
            Err(WrongLine::NotText(what)) => return Err(Failure::usage(format!("{shown} cannot be read: {what}"))),
            Err(WrongLine::Here(line, what)) => {
                wrong += 1;
                if named.len() < NAMED {
                    named.push(format!("{shown}:{line}: {what}"));
                }
            }
        }
    }
    if wrong == 0 {
        return Ok(count);
    }
    if wrong > NAMED {
        named.push(format!("and {} more wrong lines", wrong - NAMED));
    }
    named.push("nothing was imported".to_owned());
    Err(Failure::usage(named.join("\n")))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{} cannot be read: {error}", path.display()))
}

fn broken_off(path: &Path, line: usize, why: &str) -> Failure {
    let shown = path.display();
    Failure::failed(if line == 0 {
        format!("{shown}: nothing was imported: {why}")
    } else {
        format!("{shown}: imported to line {line}, then it broke off: {why}; import it again, which does no harm")
    })
}

/// What can be read twice.
enum Source<'a> {
    File(&'a Path),
    /// Of a pipe.
    Bytes(Vec<u8>),
}

impl<'a> Source<'a> {
    fn of(path: &'a Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.is_file() {
            return Ok(Self::File(path));
        }
        let mut bytes = Vec::new();
        if file.take(LONGEST_PIPE + 1).read_to_end(&mut bytes)? as u64 > LONGEST_PIPE {
            return Err(io::Error::other("it is too long for a pipe: write it into a file"));
        }
        Ok(Self::Bytes(bytes))
    }

    fn entries(&self) -> io::Result<Entries<Box<dyn Read + '_>>> {
        Ok(Entries::of(match self {
            Self::File(path) => Box::new(File::open(path)?),
            Self::Bytes(bytes) => Box::new(Cursor::new(bytes)),
        }))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_import_names_every_wrong_line_and_takes_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("people.csv");
        fs::write(&file, "# people\n10.1.1.1,sato@example.jp,ja\n10.1.1.x,a@b.c\n10.1.1.2,nobody\n10.1.1.3\n").unwrap();
        let error = check(&file, &Source::of(&file).unwrap()).unwrap_err();
        assert_eq!(error.status(), 2);
        let text = error.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].contains("people.csv:3: `10.1.1.x` is not an address or network"), "{text}");
        assert!(lines[1].contains("people.csv:4: `nobody` is not a mail address"), "{text}");
        assert!(lines[2].contains("people.csv:5: `10.1.1.3` is not CLIENT,MAIL"), "{text}");
        assert_eq!(lines[3], "nothing was imported");
    }

    #[test]
    fn a_file_of_something_else_is_not_quoted_in_full() {
        let source = Source::Bytes(b"nothing of ours\n".repeat(5_000));
        let text = check(Path::new("x"), &source).unwrap_err().to_string();
        assert_eq!(text.lines().count(), NAMED + 2);
        assert!(text.ends_with("and 4900 more wrong lines\nnothing was imported"), "{text}");
    }
}
