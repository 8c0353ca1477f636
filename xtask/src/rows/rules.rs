//! Design rules: docs/rules.md defines them, code and documents cite them by number.

use std::{collections::BTreeSet, path::Path};

use crate::fault::Fault;

/// The numbers of all headings `## Rule N: Title`.
pub(super) fn defined(text: &str) -> BTreeSet<u32> {
    let number = |line: &str| line.strip_prefix("## Rule ")?.split_once(':')?.0.parse().ok();
    text.lines().filter_map(number).collect()
}

/// Citations of rules that are not defined.
pub(super) fn faults(file: &Path, text: &str, defined: &BTreeSet<u32>) -> Vec<Fault> {
    let unknown = cited(text).into_iter().filter(|(_, rule)| !defined.contains(rule));
    unknown.map(|(line, rule)| Fault::at(file, line, format_args!("docs/rules.md has no rule {rule}"))).collect()
}

/// The words of a text, over the ends of its lines, without the marks of comments.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim_start().trim_start_matches(['/', '!']);
        words.extend(content.split_whitespace().map(|word| (line, word)));
    }
    words
}

/// Every `rule 4`, `rules 4 and 8`, `Rules 1 to 3, 5`, with its line.
fn cited(text: &str) -> Vec<(usize, u32)> {
    let words = words(text);
    let mut found = Vec::new();
    for (index, (_, word)) in words.iter().enumerate() {
        let word = word.trim_start_matches(|letter: char| !letter.is_alphanumeric()).to_ascii_lowercase();
        if word != "rule" && word != "rules" {
            continue;
        }
        let only_one = word == "rule";
        let mut range_from: Option<u32> = None;
        for (line, word) in &words[index + 1..] {
            let digits: &str = word.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
            match (digits.parse::<u32>(), *word) {
                (Ok(number), _) => {
                    let first = range_from.take().map_or(number, |from| from + 1);
                    found.extend((first..=number).map(|rule| (*line, rule)));
                    // A rule's number ends a citation, unless a comma goes on with it.
                    let goes_on = word[digits.len()..].is_empty() || &word[digits.len()..] == ",";
                    if only_one || !goes_on {
                        break;
                    }
                }
                (Err(_), "and") => {}
                (Err(_), "to") => range_from = found.last().map(|(_, rule)| *rule),
                (Err(_), _) => break,
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::{cited, defined, faults};

    #[test]
    fn rules_are_headings() {
        let text =
            "# The rules\n\n## Rule 1: One\n\n## Rules\n\n## Rule 8: Eight\n### Rule 3: no heading of that kind\n";
        assert_eq!(defined(text), BTreeSet::from([1, 8]));
    }

    #[test]
    fn citations_are_found_in_each_form() {
        assert_eq!(cited("/// Opens (design rule 8)."), [(1, 8)]);
        assert_eq!(cited("//! ends (design rule 5), when told (rules 6 and 8)."), [(1, 5), (1, 6), (1, 8)]);
        assert_eq!(
            cited("//! counts (design rules 1 to 3), adds (rules 4 and 8)"),
            [1, 2, 3, 4, 8].map(|rule| (1, rule))
        );
        assert_eq!(cited("rules 1, 2 and 5"), [(1, 1), (1, 2), (1, 5)]);
    }

    #[test]
    fn a_citation_may_go_over_the_end_of_a_line() {
        assert_eq!(
            cited("    /// for the race (design\n    /// rule 7).\n    /// the rule\n    /// 3 is"),
            [(2, 7), (4, 3)]
        );
    }

    #[test]
    fn other_words_are_no_citations() {
        assert_eq!(cited("the guards' rules. 5 of them; rule_5_ends; ruled 7"), []);
    }

    #[test]
    fn a_rule_that_is_not_defined_is_told_with_its_line() {
        let found = faults(Path::new("a.rs"), "// rule 1\n// design rule\n// 9", &BTreeSet::from([1]));
        let expected = format!("a.rs:3: docs/rules.md has no rule {}", 9);
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    }
}
