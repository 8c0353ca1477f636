use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const NOW: Duration = Duration::ZERO;

fn mail(name: &str) -> MailEntry {
    MailEntry { number: 1, name: name.to_owned(), is_lasting: true, size: Some(9) }
}

fn next(memory: &mut MailboxMemory, names: &[&str], now: Duration) -> Vec<String> {
    let plan = memory.plan(names.iter().copied().map(mail).collect(), now);
    plan.next.into_iter().map(|entry| entry.name).collect()
}

#[test]
fn a_mail_that_the_server_refuses_is_named_once_and_tried_after_the_others() {
    let mut memory = MailboxMemory::default();
    assert_eq!(next(&mut memory, &["bad", "good"], NOW), ["bad", "good"]);
    assert!(memory.failed(&mail("bad"), Blame::Mail, "refused", NOW));
    assert_eq!(next(&mut memory, &["bad", "good"], NOW), ["good"]);
    memory.left(&mail("good"));
    assert_eq!(next(&mut memory, &["bad", "good"], NOW), Vec::<String>::new(), "not before its pause is over");
    assert_eq!(next(&mut memory, &["bad", "good"], PAUSES[0]), ["bad"]);
    assert!(!memory.failed(&mail("bad"), Blame::Mail, "refused", PAUSES[0]));
    assert_eq!(memory.trouble(), None);
}

#[test]
fn a_mail_at_which_the_session_ends_is_named_when_that_comes_again() {
    let mut memory = MailboxMemory::default();
    let named: Vec<_> = (0..5).map(|_| memory.failed(&mail("bad"), Blame::Session, "cut", NOW)).collect();
    assert_eq!(named, [false, false, true, false, false]);
    assert!(memory.failed(&mail("other"), Blame::Mail, "refused", NOW));
    assert_eq!(memory.trouble(), None, "what is named is no trouble of the mailbox");
    memory.failed(&mail("new"), Blame::Session, "cut", NOW);
    assert_eq!(memory.trouble(), Some("cut"));
}

#[test]
fn a_name_that_is_given_to_another_mail_hides_nothing() {
    let mut memory = MailboxMemory::default();
    memory.left(&mail("1"));
    let other = MailEntry { size: Some(10), ..mail("1") };
    assert_eq!(memory.plan(vec![other.clone()], NOW).next, [other]);
}

#[test]
fn what_is_deleted_in_vain_does_not_keep_others_away_and_is_not_read_twice() {
    let mut memory = MailboxMemory::default();
    let names: Vec<_> = (0..60).map(|number| format!("m{number}")).collect();
    let all: Vec<_> = names.iter().map(String::as_str).collect();
    let mut read = BTreeSet::new();
    for _ in 0..2 {
        for name in next(&mut memory, &all, NOW) {
            assert_eq!(memory.deleted(&mail(&name), [7; 32], NOW), 0);
            assert!(read.insert(name));
        }
    }
    assert_eq!(read.len(), 60);
    assert!(memory.was_read(&mail("m0"), &[7; 32]) && !memory.was_read(&mail("m0"), &[8; 32]));
    assert_eq!(memory.deleted(&mail("m0"), [7; 32], NOW), 1);
    assert!(!next(&mut memory, &["m0"], NOW).contains(&"m0".to_owned()));
}

proptest! {
    /// A mailbox of which some mails are always bad in one way: every good one is read once, in bounded many sessions.
    #[test]
    fn every_good_mail_is_read_whatever_the_others_do(faults in proptest::collection::vec(0..4_u8, 1..200)) {
        let mut memory = MailboxMemory::default();
        let names: Vec<_> = (0..faults.len()).map(|number| number.to_string()).collect();
        let fault = |name: &str| faults[name.parse::<usize>().unwrap_or(0)];
        let (mut read, mut gone, mut sessions) = (Vec::new(), BTreeSet::new(), 0);
        loop {
            sessions += 1;
            let there = names.iter().filter(|name| !gone.contains(*name)).map(|name| mail(name)).collect();
            let plan = memory.plan(there, NOW);
            let (mut deleted, mut cut) = (Vec::new(), false);
            for entry in &plan.next {
                match fault(&entry.name) {
                    0 => {
                        if !memory.was_read(entry, &[0; 32]) {
                            read.push(entry.name.clone());
                        }
                        memory.deleted(entry, [0; 32], NOW);
                        deleted.push(entry.name.clone());
                    }
                    1 => drop(memory.failed(entry, Blame::Mail, "refused", NOW)),
                    2 => {
                        memory.failed(entry, Blame::Session, "cut", NOW);
                        cut = true;
                        break;
                    }
                    _ => memory.left(entry),
                }
            }
            if !cut {
                gone.extend(deleted);
                if !plan.more {
                    break;
                }
            }
            prop_assert!(sessions <= 2 * faults.len() + 5);
        }
        let good: BTreeSet<_> = names.iter().filter(|name| fault(name) == 0).cloned().collect();
        prop_assert_eq!(read.len(), good.len(), "each once");
        prop_assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), good);
    }
}
