//! The clauses of docs/rows.md: table lines `| F-2a | claimed | text |`.

use std::{collections::BTreeSet, path::Path};

use crate::fault::Fault;

/// One clause.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) id: String,
    pub(super) status: Status,
    pub(super) text: String,
    pub(super) line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// A story proves it.
    Claimed,
    /// Later work brings it, or its story.
    Open,
}

/// All clauses, and the lines that look like one and are none.
pub(super) fn parse(file: &Path, text: &str) -> (Vec<Clause>, Vec<Fault>) {
    let (mut clauses, mut faults, mut ids) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (line, content) in (1..).zip(text.lines()) {
        let Some(cells) = content.strip_prefix('|').and_then(|rest| rest.trim_end().strip_suffix('|')) else {
            continue;
        };
        let mut cells = cells.splitn(3, '|').map(str::trim);
        let id = cells.next().unwrap_or_default();
        if !is_id(id) {
            continue;
        }
        let status = match cells.next() {
            Some("claimed") => Status::Claimed,
            Some("open") => Status::Open,
            _ => {
                faults.push(Fault::at(file, line, format_args!("{id} is neither `claimed` nor `open`")));
                continue;
            }
        };
        let text = cells.next().unwrap_or_default().to_owned();
        if text.is_empty() {
            faults.push(Fault::at(file, line, format_args!("{id} says nothing")));
        }
        if !ids.insert(id.to_owned()) {
            faults.push(Fault::at(file, line, format_args!("{id} is there twice")));
        }
        clauses.push(Clause { id: id.to_owned(), status, text, line });
    }
    (clauses, faults)
}

/// `F-12`, `F-2a`
fn is_id(text: &str) -> bool {
    let Some((row, number)) = text.split_once('-') else { return false };
    let digits = number.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
    row.len() == 1
        && row.bytes().all(|letter| letter.is_ascii_uppercase())
        && !digits.is_empty()
        && digits.bytes().all(|digit| digit.is_ascii_digit())
        && number.len() - digits.len() <= 1
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Clause, Status, is_id, parse};

    fn faults(text: &str) -> Vec<String> {
        parse(Path::new("rows.md"), text).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_clause_is_a_table_line_with_an_id() {
        let text = "| clause | status | what |\n| --- | --- | --- |\n| F-2a | open | One \\| two. |\nF-3 is text\n";
        let (clauses, faults) = parse(Path::new("rows.md"), text);
        let expected = Clause { id: "F-2a".into(), status: Status::Open, text: "One \\| two.".into(), line: 3 };
        assert_eq!((clauses, faults), (vec![expected], Vec::new()));
    }

    #[test]
    fn ids_are_a_letter_a_number_and_perhaps_a_letter() {
        assert!(["F-1", "H-10", "O-4e"].iter().all(|id| is_id(id)));
        assert!(["id", "---", "F-", "F-a", "F-1ab", "f-1", "FF-1", "F-1 F-2"].iter().all(|id| !is_id(id)));
    }

    #[test]
    fn a_clause_without_a_status_or_a_text_is_a_fault() {
        assert_eq!(faults("| F-1 | done | Seen. |"), ["rows.md:1: F-1 is neither `claimed` nor `open`"]);
        assert_eq!(faults("| F-1 | Seen. |"), ["rows.md:1: F-1 is neither `claimed` nor `open`"]);
        assert_eq!(faults("| F-1 | open | |"), ["rows.md:1: F-1 says nothing"]);
    }

    #[test]
    fn a_clause_that_is_there_twice_is_a_fault() {
        assert_eq!(faults("| F-1 | open | A. |\n| F-1 | open | B. |"), ["rows.md:2: F-1 is there twice"]);
    }
}
