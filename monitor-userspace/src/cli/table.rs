//! The one printer of tables and of JSON.

use std::io::{self, Write as _};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use serde::Serialize;

use super::Failure;

/// Between two columns.
const GAP: u16 = 2;

/// Columns of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Width(Option<u16>);

impl Width {
    /// The terminal's, if standard output is one. Lines that go into a file or to another program stay whole.
    pub(super) fn of_stdout() -> Self {
        Self(terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0))
    }

    /// As long as it takes.
    #[cfg(test)]
    pub(super) const ANY: Self = Self(None);

    /// A terminal's.
    #[cfg(test)]
    pub(super) const fn of(width: u16) -> Self {
        Self(Some(width))
    }
}

/// Columns as wide as their widest cell, two spaces apart; where that is too wide, cells are wrapped. The header only when
/// there are lines.
pub(super) fn table<const N: usize>(header: [&str; N], lines: &[[String; N]], width: Width) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header).add_rows(lines);
    match width.0 {
        None => table.set_content_arrangement(ContentArrangement::Disabled),
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
    };
    let words = longest_words(header, lines);
    let wraps_between_words =
        width.0.is_some_and(|width| words.iter().fold(0, |sum: u16, word| sum.saturating_add(*word)) <= width);
    for (index, (column, word)) in table.column_iter_mut().zip(words).enumerate() {
        column.set_padding((0, if index + 1 < N { GAP } else { 0 }));
        if wraps_between_words {
            column.set_constraint(ColumnConstraint::LowerBoundary(comfy_table::Width::Fixed(word)));
        }
    }
    table.trim_fmt() + "\n"
}

/// How wide each column must be so that addresses and times stay in one piece, to be copied.
fn longest_words<const N: usize>(header: [&str; N], lines: &[[String; N]]) -> [u16; N] {
    std::array::from_fn(|column| {
        let cells = lines.iter().map(|line| line[column].as_str()).chain([header[column]]);
        let longest = cells.flat_map(str::split_whitespace).map(|word| word.chars().count()).max().unwrap_or(0);
        let gap = if column + 1 < N { GAP } else { 0 };
        u16::try_from(longest).unwrap_or(u16::MAX).saturating_add(gap)
    })
}

/// Prints a value as JSON, or as the text that `human` makes of it.
pub(super) fn print<T: Serialize>(json: bool, value: &T, human: impl FnOnce(&T) -> String) -> Result<(), Failure> {
    let text = if json {
        let mut text = serde_json::to_string_pretty(value).map_err(|error| Failure::failed(error.to_string()))?;
        text.push('\n');
        text
    } else {
        human(value)
    };
    match io::stdout().write_all(text.as_bytes()) {
        // A closed pipe is how `| head` ends.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Width, table};

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = [["a".to_owned(), "x".to_owned()], ["long".to_owned(), "y".to_owned()]];
        assert_eq!(table(["one", "two"], &lines, Width::ANY), "one   two\na     x\nlong  y\n");
        assert_eq!(table(["one"], &[], Width::ANY), "");
    }

    #[test]
    fn characters_that_are_two_columns_wide_count_as_two() {
        let lines = [["日本".to_owned(), "x".to_owned()], ["long".to_owned(), "y".to_owned()]];
        assert_eq!(table(["one", "two"], &lines, Width::ANY), "one   two\n日本  x\nlong  y\n");
    }

    #[test]
    fn a_terminal_is_not_overrun_and_a_file_gets_whole_lines() {
        let reason = "the application did not answer within three seconds, and then it answered with an error";
        let lines = [["443".to_owned(), reason.to_owned()], ["80".to_owned(), "-".to_owned()]];
        let narrow = table(["PORT", "REASON"], &lines, Width::of(40));
        assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
        assert!(narrow.lines().count() > 3 && narrow.contains("\n80    -\n"), "{narrow}");
        let words: Vec<_> = narrow.split_whitespace().collect();
        assert!(reason.split(' ').all(|word| words.contains(&word)), "nothing is cut off: {narrow}");
        assert!(table(["PORT", "REASON"], &lines, Width::ANY).contains(&format!("443   {reason}\n")));
    }

    #[test]
    fn what_is_copied_is_only_broken_where_a_word_is_longer_than_the_line() {
        let lines = [["192.0.2.7:443", "2026-11-21 00:56:28Z", "2026-11-21 00:57:28Z", "17"].map(str::to_owned)];
        let at = |width| table(["SERVICE", "FIRST", "LATEST", "OUTAGE"], &lines, Width::of(width));
        assert_eq!(
            at(48),
            "SERVICE        FIRST       LATEST      OUTAGE\n\
             192.0.2.7:443  2026-11-21  2026-11-21  17\n               00:56:28Z   00:57:28Z\n"
        );
        assert!(at(20).lines().all(|line| line.chars().count() <= 20), "{}", at(20));
    }

    #[test]
    fn ten_thousand_lines_cost_no_more_for_each_than_a_thousand() {
        let lines: Vec<_> = (0..10_000).map(|line| std::array::from_fn(|_| format!("cell {line}"))).collect();
        let time = |lines: &[[String; 7]]| {
            let start = std::time::Instant::now();
            let text = table(["A", "B", "C", "D", "E", "F", "G"], lines, Width::ANY);
            assert_eq!(text.lines().count(), lines.len() + 1);
            start.elapsed()
        };
        let thousand = (0..3).map(|_| time(&lines[..1000])).min().unwrap_or_default();
        // Ten times as much, and as much again for a machine that has other work. Quadratic would be a hundred times.
        let whole = time(&lines);
        assert!(whole < thousand * 40, "{thousand:?} and {whole:?}");
    }
}
