//! `cargo xtask rows`: docs/rows.md against the `// proves:` lines above the tests.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Folders without tests of ours.
const SKIPPED: [&str; 2] = ["target", ".git"];

pub(crate) fn run() -> Result<()> {
    let list = workspace::root().join("docs/rows.md");
    let text = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let rows: Vec<_> = text.lines().filter_map(parse_row).collect();
    let mut proofs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut files = Vec::new();
    rust_files(workspace::root(), &mut files)?;
    for file in &files {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let place = file.strip_prefix(workspace::root()).unwrap_or(file).display();
        for (row, test) in proven(&text) {
            proofs.entry(row).or_default().push(format!("{place}: {test}"));
        }
    }
    for (row, meaning) in &rows {
        println!("{row:5} {meaning}");
        match proofs.get(*row) {
            Some(tests) => tests.iter().for_each(|test| println!("        {test}")),
            None => println!("        -- no test"),
        }
    }
    let unproven = rows.iter().filter(|(row, _)| !proofs.contains_key(*row)).count();
    println!("{} of {} rows have a test", rows.len() - unproven, rows.len());
    let unknown: Vec<_> = proofs.keys().filter(|row| !rows.iter().any(|(known, _)| known == row)).cloned().collect();
    if !unknown.is_empty() {
        bail!("`// proves:` lines name rows that docs/rows.md lacks: {}", unknown.join(", "));
    }
    Ok(())
}

/// `| F-1 | meaning |`
fn parse_row(line: &str) -> Option<(&str, &str)> {
    let (id, meaning) = line.strip_prefix('|')?.trim_end().strip_suffix('|')?.split_once('|')?;
    let id = id.trim();
    let number = id.get(2..).filter(|_| id.get(1..2) == Some("-"))?;
    (!number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())).then(|| (id, meaning.trim()))
}

/// Rows and the test functions below the lines that name them.
fn proven(text: &str) -> Vec<(String, String)> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some(rows) = line.strip_prefix("// proves:") else { continue };
        let name = lines.iter().skip(number + 1).find_map(|line| function_name(line)).unwrap_or("?");
        found.extend(rows.split([' ', ',']).filter(|row| !row.is_empty()).map(|row| (row.to_owned(), name.to_owned())));
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    let qualifiers = ["pub", "async", "const", "unsafe"];
    let is_item = before.split_whitespace().all(|word| qualifiers.contains(&word));
    is_item.then(|| rest.split(['(', '<']).next().unwrap_or(rest))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut entries = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !SKIPPED.contains(&name) {
            rust_files(&path, found)?;
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{parse_row, proven};

    #[test]
    fn a_row_is_a_table_line_with_an_id() {
        assert_eq!(parse_row("| F-12 | An answer |"), Some(("F-12", "An answer")));
        assert_eq!(parse_row("| --- | --- |"), None);
        assert_eq!(parse_row("| id | meaning |"), None);
    }

    #[test]
    fn every_row_of_a_line_goes_to_the_next_function() {
        let text =
            "    // proves: F-3 F-7\n    #[test]\n    fn waits() {}\n\n// proves: H-1\n#[test]\nasync fn gate() {}\n";
        let pair = |row: &str, test: &str| (row.to_owned(), test.to_owned());
        assert_eq!(proven(text), [pair("F-3", "waits"), pair("F-7", "waits"), pair("H-1", "gate")]);
    }
}
