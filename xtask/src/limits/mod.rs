//! `cargo xtask limits`: no function over 70 lines, no file over 400, but for the exceptions in `xtask/limits.toml`.

mod exceptions;
mod measure;

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Context as _, Result};

use self::{
    exceptions::{Exception, Exceptions},
    measure::Measured,
};
use crate::{
    fault::{self, Fault},
    workspace,
};

const EXCEPTIONS: &str = "xtask/limits.toml";

/// Signature and body of a function; its documentation and attributes do not count.
const FUNCTION: usize = 70;
/// All lines of a file.
const FILE: usize = 400;

pub(crate) fn run() -> Result<()> {
    let list = workspace::root().join(EXCEPTIONS);
    let text = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let exceptions = Exceptions::parse(&text)?;
    let mut measured = Vec::new();
    for file in workspace::files(workspace::root(), ".rs")? {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        measured.extend(measure::file(workspace::relative(&file), &text)?);
    }
    let faults = judge(&measured, &exceptions);
    let files: BTreeSet<&PathBuf> = measured.iter().map(|measured| &measured.file).collect();
    println!("limits: {} files, {} functions", files.len(), measured.len() - files.len());
    fault::judge("limits", &faults)
}

/// What is too long and not excepted, then the exceptions that nothing needs.
fn judge(measured: &[Measured], exceptions: &Exceptions) -> Vec<Fault> {
    let mut needed = BTreeSet::new();
    let mut faults = Vec::new();
    for long in measured.iter().filter(|measured| measured.lines > measured.limit()) {
        match exceptions.covering(long) {
            Some(index) => _ = needed.insert(index),
            None => faults.push(Fault::at(&long.file, long.line, long.sentence())),
        }
    }
    let unneeded = exceptions.all().iter().enumerate().filter(|(index, _)| !needed.contains(index));
    faults.extend(unneeded.map(|(_, exception)| needless(exception)));
    faults
}

fn needless(exception: &Exception) -> Fault {
    let function = exception.function.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
    Fault::new(format!("{EXCEPTIONS}: {}{function} keeps the limit: remove the exception", exception.path.display()))
}

impl Measured {
    fn limit(&self) -> usize {
        if self.function.is_some() { FUNCTION } else { FILE }
    }

    fn sentence(&self) -> String {
        let what =
            self.function.as_ref().map_or_else(|| "the file".to_owned(), |name| format!("the function `{name}`"));
        format!("{what} has {} lines, {} at most", self.lines, self.limit())
    }
}

#[cfg(test)]
mod tests {
    use super::{exceptions::Exceptions, judge, measure::Measured};

    fn judged(lines: usize, function: Option<&str>, exceptions: &str) -> Vec<String> {
        let measured = Measured { file: "a.rs".into(), line: 3, function: function.map(str::to_owned), lines };
        let exceptions = Exceptions::parse(exceptions).expect("the list is right");
        judge(&[measured], &exceptions).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_limit_itself_is_kept() {
        assert!(judged(70, Some("f"), "").is_empty());
        assert!(judged(400, None, "").is_empty());
    }

    #[test]
    fn what_is_too_long_is_named_with_its_line() {
        assert_eq!(judged(71, Some("f"), ""), ["a.rs:3: the function `f` has 71 lines, 70 at most"]);
        assert_eq!(judged(401, None, ""), ["a.rs:3: the file has 401 lines, 400 at most"]);
    }

    #[test]
    fn an_exception_covers_what_it_names_and_nothing_else() {
        let function = "[[exception]]\npath = 'a.rs'\nfunction = 'f'\nreason = 'a table'\n";
        assert!(judged(71, Some("f"), function).is_empty());
        assert_eq!(judged(71, Some("g"), function).len(), 2);
        assert_eq!(judged(401, None, function).len(), 2);
        let file = "[[exception]]\npath = 'a.rs'\nreason = 'a table'\n";
        assert!(judged(401, None, file).is_empty());
        assert_eq!(judged(71, Some("f"), file).len(), 2);
    }

    #[test]
    fn an_exception_that_nothing_needs_is_a_fault() {
        let function = "[[exception]]\npath = 'a.rs'\nfunction = 'f'\nreason = 'a table'\n";
        assert_eq!(
            judged(70, Some("f"), function),
            ["xtask/limits.toml: a.rs `f` keeps the limit: remove the exception"]
        );
    }
}
