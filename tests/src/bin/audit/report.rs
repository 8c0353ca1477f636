//! Findings with their history, for whoever looks for the cause, and the files that a run leaves.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result};
use lab::Attempt as Outcome;

use crate::{
    clock::{Ns, SECOND},
    faults::Death,
    told::{Letter, Outage},
    truth::{Claim, Truth},
    verdict::{Finding, FindingKind, Verdict},
    witness::seconds,
};

/// Deaths and outages this near to an interval are part of its history.
const NEAR: Ns = 10 * SECOND;

/// So many findings are printed; the file has all.
const PRINTED: usize = 20;

/// Everything that a report speaks of.
pub(crate) struct Report<'a> {
    /// When the audit began.
    pub(crate) start: Ns,
    /// The same by the wall clock (UTC), in seconds since midnight.
    pub(crate) time_of_start: f64,
    /// What is true.
    pub(crate) truth: &'a Truth<'a>,
    /// What the daemon says.
    pub(crate) outages: &'a BTreeMap<i64, Outage>,
    /// The mails.
    pub(crate) letters: &'a [Letter],
    /// When the daemon died.
    pub(crate) deaths: &'a [Death],
    /// What the daemon logged.
    pub(crate) log: &'a str,
    /// The comparison.
    pub(crate) verdict: &'a Verdict,
}

impl Report<'_> {
    /// Prints the findings and the summary, and writes the files into the folder.
    pub(crate) fn give(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let histories: Vec<String> = self.verdict.findings.iter().map(|finding| self.history(finding)).collect();
        for history in histories.iter().take(PRINTED) {
            println!("{history}");
        }
        let summary = self.summary();
        let mut text = histories.join("\n");
        let _ = write!(text, "\n{summary}");
        let files = [
            ("findings.txt", text),
            ("attempts.tsv", self.attempts()),
            ("faults.tsv", self.faults()),
            ("outages.tsv", self.outages()),
            ("letters.tsv", self.letters()),
            ("daemon.log", self.log.to_owned()),
        ];
        for (name, text) in files {
            fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))?;
        }
        println!("{summary}\nall findings, attempts, faults, outages, letters and the log: {}", folder.display());
        Ok(())
    }

    /// How many findings there are of a kind.
    pub(crate) fn count(&self, kind: FindingKind) -> usize {
        self.verdict.findings.iter().filter(|finding| finding.kind == kind).count()
    }

    fn summary(&self) -> String {
        let mut classes = BTreeMap::<(FindingKind, &str), usize>::new();
        for finding in &self.verdict.findings {
            *classes.entry((finding.kind, &finding.class)).or_default() += 1;
        }
        let mut text = String::new();
        for ((kind, class), count) in classes {
            let _ = writeln!(text, "{count:6}  {kind}: {class}");
        }
        let verdict = self.verdict;
        let failed = self.truth.failed.len();
        let _ = writeln!(
            text,
            "also: {} due, {} not told of a short silence, {} of one that was judged while no daemon ran, {} attempts at an edge, {} repeated copies, \
             {} outages over several intervals, {} attempts unseen, {} frames seen, {} frames not seen",
            verdict.due,
            verdict.short,
            verdict.alone,
            verdict.edge,
            verdict.copies,
            verdict.merged,
            self.truth.unseen,
            self.truth.testimony.sights,
            self.truth.testimony.missed,
        );
        let (told, untold) = verdict.own_trouble;
        let _ = write!(
            text,
            "attempts {}, failed {failed}, outages {}, mails {}, kills {}, missed {}, wrong {}, twice {}, \
             own trouble {} (told {told})",
            self.truth.attempts.len(),
            self.outages.len(),
            self.letters.len(),
            self.deaths.len(),
            self.count(FindingKind::Missed),
            self.count(FindingKind::Wrong),
            self.count(FindingKind::Twice),
            told + untold,
        );
        text
    }

    fn at(&self, at: Ns) -> String {
        if at == Ns::MAX { "never".to_owned() } else { format!("{:.3}", seconds(at, self.start)) }
    }

    fn times(&self, times: &[Ns]) -> String {
        times.iter().map(|at| self.at(*at)).collect::<Vec<_>>().join(" ")
    }

    fn history(&self, finding: &Finding) -> String {
        let (from, to) = self.truth.bounds(finding.gap);
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{}: {} about {}, no answer from {} to {} s: {}",
            finding.kind,
            finding.client,
            finding.gap.service,
            self.at(from.max(self.start)),
            self.at(to),
            finding.class
        );
        for window in self.truth.faults(finding.gap) {
            let _ = writeln!(text, "  fault    {}, {} to {}", window.fault, self.at(window.begun), self.at(window.end));
        }
        for index in 0..self.truth.attempts.len() {
            let attempt = &self.truth.attempts[index];
            if attempt.client.ip() == finding.client
                && attempt.service == finding.gap.service
                && attempt.begin < to.saturating_add(NEAR)
                && attempt.end.saturating_add(NEAR) > from
            {
                let _ = writeln!(text, "  attempt  {}", self.attempt(index));
            }
        }
        self.about_the_daemon(&mut text, finding, from, to);
        text
    }

    fn about_the_daemon(&self, text: &mut String, finding: &Finding, from: Ns, to: Ns) {
        let near = |begin: Ns, end: Ns| begin < to.saturating_add(NEAR) && end.saturating_add(NEAR) > from;
        for death in self.deaths.iter().filter(|death| near(death.at, death.back)) {
            let how = if death.gently { "SIGTERM" } else { "SIGKILL" };
            let _ = writeln!(text, "  daemon   {how} {}, back {}", self.at(death.at), self.at(death.back));
        }
        let of_service = |outage: &&Outage| outage.service == finding.gap.service && near(outage.since, outage.ended);
        for outage in self.outages.values().filter(of_service) {
            let _ = writeln!(text, "  outage   {}", self.outage(outage));
            // What becomes of each letter says nothing of why somebody was told.
            for line in self.log.lines().filter(|line| speaks_of(line, outage.id) && !line.contains("letter=")) {
                let at = time_of_day(line).map_or(f64::NAN, |at| at - self.time_of_start);
                let _ = writeln!(text, "  log      {at:.3} {line}");
            }
        }
        for letter in self.letters.iter().filter(|letter| finding.letters.contains(&letter.id)) {
            let _ = writeln!(text, "  letter   {}", self.letter(letter));
        }
    }

    fn attempt(&self, index: usize) -> String {
        let attempt = &self.truth.attempts[index];
        let mut text = format!(
            "{}\t{}\t{}\t{}\t{:?}",
            self.at(attempt.begin),
            self.at(attempt.end),
            attempt.client,
            attempt.service,
            attempt.outcome
        );
        if let Some(failed) = self.truth.failed.iter().find(|failed| failed.attempt == index) {
            let _ = write!(text, " ({})", failed.claim);
        }
        if let Some(seen) = self.truth.handshake(attempt) {
            for (name, times) in [
                ("SYN", &seen.syns),
                ("SYN/ACK", &seen.answers),
                ("RST", &seen.refusals),
                ("ICMP", &seen.errors),
                ("client's RST", &seen.resets),
            ] {
                if !times.is_empty() {
                    let _ = write!(text, "\t{name} {}", self.times(times));
                }
            }
        }
        text
    }

    fn outage(&self, outage: &Outage) -> String {
        let (clients, letters) = outage.clients;
        format!(
            "{}\t{}\t{} to {}\t{}, ended by {}\t{clients} clients, {letters} letters",
            outage.id,
            outage.service,
            self.at(outage.since),
            self.at(outage.ended),
            outage.evidence,
            outage.ended_by
        )
    }

    fn letter(&self, letter: &Letter) -> String {
        let copies: Vec<_> = letter
            .copies
            .iter()
            .map(|(at, heard)| format!("{}{}", self.at(*at), if *heard { "" } else { " (not acknowledged)" }))
            .collect();
        format!("{}\t{}\toutages {:?}\tarrived {}", letter.id, letter.client, letter.outages, copies.join(", "))
    }

    fn attempts(&self) -> String {
        let failed = |index: &usize| self.truth.attempts[*index].outcome != Outcome::Connected;
        let lines = (0..self.truth.attempts.len()).filter(failed).map(|index| self.attempt(index) + "\n");
        lines.collect()
    }

    fn faults(&self) -> String {
        let windows = self.truth.windows.iter();
        let windows = windows.map(|w| format!("{}\t{}\t{}\n", self.at(w.begun), self.at(w.end), w.fault));
        let deaths = self.deaths.iter();
        let deaths = deaths.map(|death| format!("{}\t{}\tdaemon dead\n", self.at(death.at), self.at(death.back)));
        windows.chain(deaths).collect()
    }

    fn outages(&self) -> String {
        self.outages.values().map(|outage| self.outage(outage) + "\n").collect()
    }

    fn letters(&self) -> String {
        self.letters.iter().map(|letter| self.letter(letter) + "\n").collect()
    }
}

/// The seconds since midnight of a line of the log, which begins with `2026-11-27T20:01:52.956472Z`.
fn time_of_day(line: &str) -> Option<f64> {
    let time = line.split_once('T')?.1.split_once('Z')?.0;
    time.split(':').try_fold(0.0, |seconds, part| Some(seconds * 60.0 + part.parse::<f64>().ok()?))
}

/// Whether a line of the log names this outage.
fn speaks_of(line: &str, outage: i64) -> bool {
    let named = |mark: &str, end: &[char]| {
        line.match_indices(mark).any(|(at, _)| {
            let rest = &line[at + mark.len()..];
            rest.strip_prefix(&outage.to_string()).is_some_and(|rest| rest.is_empty() || rest.starts_with(end))
        })
    };
    named("outage=", &[' ']) || named("OutageId(", &[')'])
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missed => "MISSED",
            Self::Wrong => "WRONG",
            Self::Twice => "TWICE",
        })
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnTrouble => "own trouble",
            Self::Edge => "at an edge",
            Self::Must => "must be told",
        })
    }
}
