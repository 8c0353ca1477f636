//! The lines `// proves: F-3a F-7a` and the tests below them.

use std::path::{Path, PathBuf};

use super::STORIES;
use crate::fault::Fault;

/// That a test proves a clause.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) clause: String,
    pub(super) test: String,
    pub(super) file: PathBuf,
    pub(super) line: usize,
}

impl Proof {
    /// Whether real programs and the real kernel prove it.
    pub(super) fn is_story(&self) -> bool {
        self.file.starts_with(STORIES)
    }
}

/// All proofs of a file, and the lines that stand above no test or name no clause.
pub(super) fn parse(file: &Path, text: &str) -> (Vec<Proof>, Vec<Fault>) {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for (index, content) in lines.iter().enumerate() {
        let Some(clauses) = content.strip_prefix("// proves:") else { continue };
        let line = index + 1;
        let Some(test) = test_below(&lines[line..]) else {
            faults.push(Fault::at(file, line, "no test function stands below this `// proves:`"));
            continue;
        };
        let clauses: Vec<_> = clauses.split([' ', ',']).filter(|clause| !clause.is_empty()).collect();
        if clauses.is_empty() {
            faults.push(Fault::at(file, line, "this `// proves:` names no clause"));
        }
        found.extend(clauses.into_iter().map(|clause| Proof {
            clause: clause.to_owned(),
            test: test.to_owned(),
            file: file.to_owned(),
            line,
        }));
    }
    (found, faults)
}

/// The name of the test function that these lines begin with, behind comments and attributes. A test that is ignored
/// proves nothing.
fn test_below<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let mut is_test = false;
    for line in lines {
        if line.starts_with("#[") {
            if line.starts_with("#[ignore") {
                return None;
            }
            is_test |= line.starts_with("#[test]") || line.contains("::test]") || line.contains("::test(");
        } else if !line.starts_with("//") {
            return function_name(line).filter(|_| is_test);
        }
    }
    None
}

fn function_name(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    let qualifiers = ["pub", "async", "const", "unsafe"];
    let is_item = before.split_whitespace().all(|word| qualifiers.contains(&word));
    is_item.then(|| rest.split(['(', '<']).next().unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::parse;

    fn found(text: &str) -> Vec<(String, String)> {
        parse(Path::new("a.rs"), text).0.into_iter().map(|proof| (proof.clause, proof.test)).collect()
    }

    fn faults(text: &str) -> Vec<String> {
        parse(Path::new("a.rs"), text).1.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_clause_of_a_line_goes_to_the_test_below() {
        let one = "    // proves: F-3a F-7\n    // Slow.\n    #[test]\n    fn waits() {}\n\n";
        let other = "// proves: H-1\n#[tokio::test(start_paused = true)]\nasync fn gate() {}\n";
        let text = [one, other].concat();
        let pair = |clause: &str, test: &str| (clause.to_owned(), test.to_owned());
        assert_eq!(found(&text), [pair("F-3a", "waits"), pair("F-7", "waits"), pair("H-1", "gate")]);
    }

    #[test]
    fn only_tests_prove() {
        let said = ["a.rs:1: no test function stands below this `// proves:`"];
        assert_eq!(faults("// proves: F-1\nfn helper() {}\n"), said);
        assert_eq!(faults("// proves: F-1\n"), said);
        assert_eq!(faults("// proves: F-1\n\n#[test]\nfn apart() {}\n"), said);
        assert_eq!(faults("// proves: F-1\n#[test]\nmod tests {}\n"), said);
        assert_eq!(faults("// proves: F-1\n#[test]\n#[ignore]\nfn asleep() {}\n"), said);
    }

    #[test]
    fn a_line_without_a_clause_is_a_fault() {
        assert_eq!(faults("// proves:\n#[test]\nfn f() {}\n"), ["a.rs:1: this `// proves:` names no clause"]);
    }
}
