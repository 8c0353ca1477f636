//! `cargo xtask rows`: the clauses of docs/rows.md against the `// proves:` lines above tests, and the design rules that are
//! cited against docs/rules.md.
//!
//! A clause is proven by a story in `tests/tests/`; tests elsewhere are shown beside it and do not count.

mod clauses;
mod proofs;
mod rules;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use self::{
    clauses::{Clause, Status},
    proofs::Proof,
};
use crate::{
    fault::{self, Fault},
    workspace,
};

const ROWS: &str = "docs/rows.md";
const RULES: &str = "docs/rules.md";
/// Where stories are.
const STORIES: &str = "tests/tests";

pub(crate) fn run() -> Result<()> {
    let (clauses, mut faults) = clauses::parse(Path::new(ROWS), &read(ROWS)?);
    let rules = rules::defined(&read(RULES)?);
    let mut proofs = Vec::new();
    for file in sources()? {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let place = workspace::relative(&file);
        if place.extension().is_some_and(|ending| ending == "rs") {
            let (found, wrong) = proofs::parse(place, &text);
            proofs.extend(found);
            faults.extend(wrong);
        }
        if place != Path::new(RULES) {
            faults.extend(rules::faults(place, &text, &rules));
        }
    }
    print(&clauses, &proofs);
    faults.extend(judge(&clauses, &proofs));
    fault::judge("rows", &faults)
}

fn read(name: &str) -> Result<String> {
    fs::read_to_string(workspace::root().join(name)).with_context(|| format!("cannot read {name}"))
}

fn sources() -> Result<Vec<PathBuf>> {
    let mut files = workspace::files(workspace::root(), ".rs")?;
    files.extend(workspace::files(workspace::root(), ".md")?);
    Ok(files)
}

/// What clauses and proofs say of each other that is not so.
fn judge(clauses: &[Clause], proofs: &[Proof]) -> Vec<Fault> {
    let known: BTreeMap<_, _> = clauses.iter().map(|clause| (clause.id.as_str(), clause.status)).collect();
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut faults = Vec::new();
    for proof in proofs {
        let problem = match known.get(proof.clause.as_str()) {
            None => format!("there is no clause {} in {ROWS}", proof.clause),
            Some(Status::Open) if proof.is_story() => {
                format!("{} is open in {ROWS}, and `{}` proves it: claim it, or mend the tag", proof.clause, proof.test)
            }
            Some(_) => {
                if proof.is_story() {
                    told.insert(&proof.clause);
                }
                continue;
            }
        };
        faults.push(Fault::at(&proof.file, proof.line, problem));
    }
    let unproven =
        clauses.iter().filter(|clause| clause.status == Status::Claimed && !told.contains(clause.id.as_str()));
    faults.extend(unproven.map(|clause| {
        let problem = format!("{} is claimed, and no test in {STORIES}/ proves it", clause.id);
        Fault::at(Path::new(ROWS), clause.line, problem)
    }));
    faults
}

/// Each clause with its tests: first the stories, then, marked +, the others.
fn print(clauses: &[Clause], proofs: &[Proof]) {
    for clause in clauses {
        let of_clause = proofs.iter().filter(|proof| proof.clause == clause.id);
        let (stories, others): (Vec<_>, Vec<_>) = of_clause.partition(|proof| proof.is_story());
        let open = if clause.status == Status::Open { "open: " } else { "" };
        println!("{:6} {} + {}  {open}{}", clause.id, stories.len(), others.len(), clause.text);
        stories.iter().for_each(|proof| println!("           {}: {}", proof.file.display(), proof.test));
        others.iter().for_each(|proof| println!("         + {}: {}", proof.file.display(), proof.test));
    }
    let claimed = clauses.iter().filter(|clause| clause.status == Status::Claimed).count();
    let stories = proofs.iter().filter(|proof| proof.is_story()).count();
    println!("{claimed} clauses claimed, {} open", clauses.len() - claimed);
    println!("{stories} proofs in {STORIES}/, {} elsewhere", proofs.len() - stories);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{clauses, judge, proofs};

    /// What is wrong with this list of clauses, a story and a unit test that prove these.
    fn judged(rows: &str, story: &str, unit: &str) -> Vec<String> {
        let (clauses, wrong) = clauses::parse(Path::new("docs/rows.md"), rows);
        assert_eq!(wrong, []);
        let test = |tag: &str| format!("// proves: {tag}\n#[test]\nfn it_works() {{}}\n");
        let mut found = Vec::new();
        for (file, tag) in [("tests/tests/story.rs", story), ("core/src/unit.rs", unit)] {
            if !tag.is_empty() {
                found.extend(proofs::parse(Path::new(file), &test(tag)).0);
            }
        }
        judge(&clauses, &found).iter().map(ToString::to_string).collect()
    }

    const CLAIMED: &str = "| F-1 | claimed | Seen. |\n";
    const OPEN: &str = "| F-1 | open | Seen. |\n";

    #[test]
    fn a_claimed_clause_with_a_story_and_an_open_one_without_are_right() {
        assert_eq!(judged(CLAIMED, "F-1", "F-1"), [""; 0]);
        assert_eq!(judged(OPEN, "", "F-1"), [""; 0]);
    }

    #[test]
    fn a_claimed_clause_needs_a_story() {
        let expected = ["docs/rows.md:1: F-1 is claimed, and no test in tests/tests/ proves it"];
        assert_eq!(judged(CLAIMED, "", ""), expected);
        assert_eq!(judged(CLAIMED, "", "F-1"), expected);
    }

    #[test]
    fn an_open_clause_has_no_story() {
        let expected =
            "tests/tests/story.rs:1: F-1 is open in docs/rows.md, and `it_works` proves it: claim it, or mend the tag";
        assert_eq!(judged(OPEN, "F-1", ""), [expected]);
    }

    #[test]
    fn a_clause_that_is_not_there_cannot_be_proven() {
        assert_eq!(judged(OPEN, "F-2", ""), ["tests/tests/story.rs:1: there is no clause F-2 in docs/rows.md"]);
        assert_eq!(judged(OPEN, "", "F-1a"), ["core/src/unit.rs:1: there is no clause F-1a in docs/rows.md"]);
    }
}
