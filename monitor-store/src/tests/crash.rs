//! `kill -9` at random moments: what was acknowledged is there, nobody is told twice, nothing is half done.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use monitor_core::{domain::OutageId, outage::Change};

use super::{Bed, Place as _, SINCE, address, closing, outage, wait};

/// Tells this test that it is the child, and where the database is.
const DATABASE: &str = "RINGBACK_STORE_CRASH_DATABASE";

const ROUNDS: u64 = 6;
const WRITERS: i64 = 4;
const CLIENTS: [&str; 3] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];

// proves: F-7a F-15a R-6a
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_nothing_that_was_acknowledged() {
    if let Ok(database) = std::env::var(DATABASE) {
        return write_until_killed(&database).await;
    }
    let mut bed = Bed::fresh();
    bed.store.put_addresses(CLIENTS.map(|who| address(who, &format!("{who}@example"))).to_vec()).await.unwrap();
    let mut opened = BTreeSet::new();
    let mut closed = BTreeSet::new();
    for _ in 0..ROUNDS {
        let place = bed.closed();
        for line in acknowledged_before_kill(&place.name()) {
            match line.split_once(' ') {
                Some(("opened", id)) => opened.insert(OutageId(id.parse().unwrap())),
                Some(("closed", id)) => closed.insert(OutageId(id.parse().unwrap())),
                _ => panic!("the child said {line:?}"),
            };
        }
        bed = Bed::of(place);
        check(&bed, &opened, &closed).await;
    }
    assert!(!closed.is_empty(), "the child was always killed before its first recovery: the test shows nothing");
}

/// Several tasks at once, so that groups are committed; each tells what was acknowledged.
async fn write_until_killed(database: &str) {
    let store = Bed::of_name(database);
    let begin = store.restore().await.unwrap().next_outage.0;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            for id in (begin + writer..).step_by(usize::try_from(WRITERS).unwrap()) {
                let mut changes = vec![Change::Put(outage(id))];
                changes.extend(CLIENTS.map(|who| wait(id, who, SINCE)));
                store.apply(changes).await.unwrap();
                say(&format!("ack opened {id}"));
                store.apply(vec![Change::Close(closing(&[id]))]).await.unwrap();
                say(&format!("ack closed {id}"));
            }
        });
    }
    writers.join_next().await;
}

/// Past the test harness, which keeps what `println!` writes. The line begins anew, whatever the harness has written.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn acknowledged_before_kill(database: &str) -> Vec<String> {
    // This module's path without the crate's name.
    let (_, module) = module_path!().split_once("::").unwrap();
    let name = format!("{module}::kill_9_loses_nothing_that_was_acknowledged");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name.as_str(), "--exact", "--nocapture"])
        .env(DATABASE, database)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    let wanted = random(120);
    for line in lines {
        let line = line.unwrap();
        if let Some(line) = line.strip_prefix("ack ") {
            acknowledged.push(line.to_owned());
        }
        // Goes on to read what was said before the signal came.
        if acknowledged.len() == wanted {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= wanted, "the child ended by itself after {acknowledged:?}");
    acknowledged
}

/// From 1 to `most`.
fn random(most: u32) -> usize {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    1 + usize::try_from(nanos / 1000 % most).unwrap()
}

async fn check(bed: &Bed, opened: &BTreeSet<OutageId>, closed: &BTreeSet<OutageId>) {
    let records: BTreeMap<_, _> =
        bed.store.outages(true, u32::MAX).await.unwrap().into_iter().map(|o| (o.outage.id, o)).collect();
    for id in opened {
        assert_eq!(records.get(id).map(|o| o.clients), Some(3), "outage {id} was acknowledged with three clients");
    }
    for id in closed {
        assert!(records[id].ended.is_some(), "the end of outage {id} was acknowledged");
    }
    let mut told: BTreeMap<OutageId, Vec<String>> = BTreeMap::new();
    for letter in bed.letters().await {
        told.entry(letter.services()[0].outage).or_default().push(letter.to);
    }
    let waiting = bed.store.waiting(None, u32::MAX).await.unwrap();
    // Acknowledged or not: each outage is whole, before its end or after it.
    for (id, record) in &records {
        let listed = waiting.iter().filter(|w| w.outage == *id).count();
        let mut letters = told.remove(id).unwrap_or_default();
        letters.sort();
        if record.ended.is_some() {
            assert_eq!((listed, letters), (0, CLIENTS.map(|who| format!("{who}@example")).to_vec()), "outage {id}");
        } else {
            assert_eq!((listed, letters), (3, vec![]), "outage {id}");
        }
    }
    assert!(told.is_empty(), "letters of no outage: {told:?}");
}
