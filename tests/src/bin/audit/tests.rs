//! The checker itself: small histories, each with one verdict.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use lab::{Attempt as Outcome, Way};

use crate::{
    clients::Tried,
    clock::{MS, Ns},
    faults::{Death, Window},
    plan::{FaultKind, ServerFault},
    told::{Letter, Outage},
    truth::{Claim, Truth},
    verdict::{FindingKind, Verdict, judge},
    witness::{Said, Sight, Testimony},
};

/// A round trip of the histories.
const FAR: Ns = 50 * MS;

/// What happened, in milliseconds.
#[derive(Default)]
struct History {
    attempts: Vec<Tried>,
    sights: Vec<Sight>,
    windows: Vec<Window>,
    outages: BTreeMap<i64, Outage>,
    letters: Vec<Letter>,
    deaths: Vec<Death>,
}

fn client(number: u8) -> IpAddr {
    IpAddr::from([10, 1, 1, number])
}

fn service() -> SocketAddr {
    SocketAddr::from(([10, 2, 1, 2], 8001))
}

impl History {
    /// A way that is cut from 1 s to 5 s, and a service that answers client 9 before and after that.
    fn new() -> Self {
        let fault = ServerFault { server: 1, port: Some(8001), kind: FaultKind::Cut(Way::There) };
        let mut history = Self::default();
        history.windows.push(Window {
            fault,
            begin: 1_000 * MS,
            begun: 1_001 * MS,
            end: 5_000 * MS,
            ended: 5_001 * MS,
        });
        history.connects(9, 900);
        history.connects(9, 5_100);
        history
    }

    /// An attempt that begins then, with a SYN at once, and ends then.
    fn tries(&mut self, who: u8, begin: Ns, end: Ns, outcome: Outcome) -> Sight {
        let port = 40_000 + u16::try_from(self.attempts.len()).unwrap_or(0);
        let tried = SocketAddr::new(client(who), port);
        let (begin, end) = (begin * MS, end * MS);
        self.attempts.push(Tried { client: tried, service: service(), begin, end, outcome });
        let syn = Sight { at: begin, client: tried, service: service(), isn: u32::from(port), said: Said::Syn };
        self.sights.push(syn);
        syn
    }

    fn connects(&mut self, who: u8, begin: Ns) {
        let syn = self.tries(who, begin, begin + 50, Outcome::Connected);
        self.sights.push(Sight { at: syn.at + FAR, said: Said::Answer, ..syn });
    }

    fn outage(&mut self, id: i64, since: Ns, ended: Ns) {
        let (ended_by, evidence) = ("answered".to_owned(), "unanswered".to_owned());
        let (since, ended) = (since * MS, ended * MS);
        self.outages.insert(id, Outage { id, service: service(), since, ended, ended_by, evidence, clients: (1, 1) });
    }

    fn letter(&mut self, who: u8, outage: i64, copies: &[(Ns, bool)]) {
        let copies = copies.iter().map(|(at, heard)| (at * MS, *heard)).collect();
        let id = format!("{who}.{outage}.{}", self.letters.len());
        self.letters.push(Letter { id, client: client(who), outages: vec![outage], copies });
    }

    /// The claims of the failed attempts, and the verdict.
    fn judged(&self) -> (Vec<Claim>, Verdict) {
        let testimony = Testimony::new(&self.sights, 0);
        let (server_of, far) = (|_| 1, |_| FAR);
        let truth = Truth::new(&self.attempts, &testimony, &self.windows, &server_of, &far);
        let verdict = judge(&truth, &self.outages, &self.letters, &self.deaths);
        (truth.failed.iter().map(|failed| failed.claim).collect(), verdict)
    }

    fn findings(&self) -> Vec<(FindingKind, IpAddr)> {
        self.judged().1.findings.into_iter().map(|finding| (finding.kind, finding.client)).collect()
    }
}

#[test]
fn a_client_that_failed_while_the_fault_was_in_force_must_be_told() {
    let mut history = History::new();
    history.tries(1, 2_000, 2_500, Outcome::TimedOut);
    assert_eq!(history.judged().0, [Claim::Must]);
    assert_eq!(history.findings(), [(FindingKind::Missed, client(1))]);
    history.outage(1, 2_000, 5_150);
    history.letter(1, 1, &[(5_200, true)]);
    assert_eq!(history.findings(), []);
}

#[test]
fn nobody_is_due_outside_of_faults_and_at_their_edges() {
    let mut history = History::new();
    history.tries(1, 100, 500, Outcome::TimedOut);
    assert_eq!(history.judged().0, [Claim::OwnTrouble]);
    // On its way when the fault began.
    history.tries(2, 970, 1_500, Outcome::TimedOut);
    // Its answer met its giving up.
    let syn = history.tries(3, 4_900, 5_300, Outcome::TimedOut);
    history.sights.push(Sight { at: 5_304 * MS, said: Said::Answer, ..syn });
    assert_eq!(history.judged().0, [Claim::OwnTrouble, Claim::Edge, Claim::Edge]);
    assert_eq!(history.findings(), []);
}

#[test]
fn an_interval_lasts_until_the_first_answer_if_somebody_failed_in_it() {
    let mut history = History::new();
    history.tries(1, 5_050, 5_090, Outcome::TimedOut);
    assert_eq!(history.judged().0, [Claim::OwnTrouble]);
    history.tries(2, 2_000, 2_500, Outcome::TimedOut);
    assert_eq!(history.judged().0, [Claim::Must, Claim::Must]);
}

#[test]
fn a_short_silence_is_no_finding_but_a_refusal_is() {
    let mut history = History::new();
    history.connects(9, 3_000);
    history.connects(9, 4_000);
    history.tries(1, 3_500, 3_900, Outcome::TimedOut);
    let (claims, verdict) = history.judged();
    assert_eq!((claims, verdict.short, verdict.findings), (vec![Claim::Must], 1, Vec::new()));
    history.tries(2, 3_500, 3_540, Outcome::Refused);
    assert_eq!(history.findings().len(), 2);
}

#[test]
fn silence_beside_refusals_that_was_judged_while_no_daemon_ran_is_counted_apart() {
    let mut history = History::new();
    history.connects(9, 3_000);
    history.connects(9, 4_000);
    history.tries(1, 3_500, 3_900, Outcome::TimedOut);
    history.tries(2, 3_500, 3_540, Outcome::Refused);
    history.deaths.push(Death { at: 3_600 * MS, back: 7_000 * MS, gently: false });
    assert_eq!((history.judged().1.alone, history.findings()), (1, vec![(FindingKind::Missed, client(2))]));
    // It was back in time.
    history.deaths[0].back = 6_000 * MS;
    assert_eq!((history.judged().1.alone, history.findings().len()), (0, 2));
}

#[test]
fn who_got_through_or_never_tried_is_told_wrongly() {
    let mut history = History::new();
    history.tries(1, 2_000, 2_500, Outcome::TimedOut);
    let syn = history.tries(2, 4_500, 5_550, Outcome::Connected);
    history.sights.push(Sight { at: 5_500 * MS, ..syn });
    history.sights.push(Sight { at: 5_550 * MS, said: Said::Answer, ..syn });
    history.outage(1, 2_000, 5_150);
    for who in [1, 2, 3] {
        history.letter(who, 1, &[(5_200, true)]);
    }
    assert_eq!(history.findings(), [(FindingKind::Wrong, client(2)), (FindingKind::Wrong, client(3))]);
}

#[test]
fn two_outages_of_one_interval_and_a_needless_copy_are_twice() {
    let mut history = History::new();
    history.tries(1, 2_000, 2_500, Outcome::TimedOut);
    history.outage(1, 2_000, 3_000);
    history.outage(2, 3_500, 5_150);
    history.letter(1, 1, &[(3_100, true)]);
    assert_eq!(history.findings(), []);
    history.letter(1, 2, &[(5_200, true)]);
    assert_eq!(history.findings(), [(FindingKind::Twice, client(1))]);
    // A copy is excused if the first was not acknowledged, or if the daemon died behind the answer.
    history.letters.truncate(1);
    history.letters[0].copies.push((3_000 * MS, false));
    assert_eq!(history.findings(), []);
    history.letters[0].copies.push((4_000 * MS, true));
    assert_eq!(history.findings(), [(FindingKind::Twice, client(1))]);
    history.deaths.push(Death { at: 3_110 * MS, back: 3_200 * MS, gently: false });
    assert_eq!(history.findings(), []);
}
