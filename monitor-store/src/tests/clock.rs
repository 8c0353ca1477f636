//! A step of the wall clock moves every time that was noted in this boot, and nothing else.

use std::{collections::BTreeSet, sync::Mutex};

use monitor_core::domain::{ClockOffset, ClockReading, ClockStep, MonotonicNs, UnixMs};

use super::{Bed, RECOVERED, SINCE, wait};
use crate::{ReadUpTo, tables::clock::TIMES};

const BOOT: i64 = SINCE.0 - 1000;

/// Columns that hold whole numbers, and no time of day in milliseconds.
const OTHERS: &[&str] = &[
    // Numbers of rows, counts, ports and bits.
    "letter_service.attempts",
    "letter_service.letter",
    "letter_service.outage",
    "letter_tally.dead",
    "letter_tally.delivered",
    "letter_tally.queued",
    "letter_tally.retrying",
    "letter_words.unsubscribe",
    "local_engine.boots",
    "notice_event.outage",
    "outage.clients",
    "outage.failures",
    "outage.latest_answers",
    "outage.letters",
    "relay_list.clients",
    "relay_list.letter",
    "relay_list.outage",
    "relay_list.told",
    "relay_list.untold",
    "remote_engine.boots",
    "waiting.attempts",
    "waiting.counted",
    "waiting.outage",
    "declined.outage",
    "schema_version.version",
    "kernel_reports.position",
    "kernel_reports.ring",
    // By other clocks: the kernel's, an SNMP engine's, and this one itself.
    "kernel_reports.steady",
    "outage.from_ns",
    "outage.latest_ns",
    "outage.until_ns",
    "remote_engine.time",
    "clock.ahead",
    "clock.began",
    "clock.is_behind",
    "clock.known",
    "clock.measured",
    // Of gateways that share a database, which go by the wall clock as it is.
    "gateway.applied",
    "gateway.seen",
    "outage_alias.failures",
    "outage_alias.local",
    "outage_alias.outage",
    "outage_alias.since",
    "question.asked",
    "question.attempts",
    "question.client_port",
    "question.port",
    "question.seq",
    "question.since",
    "question.well",
    "shared.book",
    "shared.turn",
    "spool.at",
];

fn reading(ahead: i64, at: u64) -> ClockReading {
    let ahead = ClockOffset::from_nanoseconds(ahead * 1_000_000);
    ClockReading { boot: "this one".to_owned(), ahead, at: MonotonicNs(at * 1_000_000) }
}

static ADOPTED: Mutex<Vec<i64>> = Mutex::new(Vec::new());

fn adopt(ahead: ClockOffset) {
    ADOPTED.lock().unwrap().push(ahead.nanoseconds() / 1_000_000);
}

#[tokio::test]
async fn every_column_with_a_time_moves_and_none_is_forgotten() {
    let bed = Bed::with_outages(&[1]).await;
    let columns: Vec<(String, String)> = bed
        .store
        .database
        .read(|conn| {
            let mut columns = conn.prepare_cached(
                "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
                 WHERE m.type = 'table' AND c.type = 'BIGINT'",
            )?;
            let columns = columns.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(columns.collect::<Result<_, _>>()?)
        })
        .await
        .unwrap();
    let found: BTreeSet<String> = columns.into_iter().map(|(table, column)| format!("{table}.{column}")).collect();
    let times = TIMES.iter().flat_map(|(table, columns)| columns.iter().map(move |column| format!("{table}.{column}")));
    let known: BTreeSet<String> = times.chain(OTHERS.iter().map(|&name| name.to_owned())).collect();
    let forgotten: Vec<_> = found.difference(&known).collect();
    assert!(forgotten.is_empty(), "in neither list: {forgotten:?}");
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "not in the schema, or not BIGINT: {gone:?}");
}

// proves: G-10
#[tokio::test]
async fn a_step_moves_what_this_boot_has_noted_in_one_transaction() {
    let bed = Bed::with_outages(&[1]).await;
    bed.local.apply(vec![wait(1, "10.0.0.1", SINCE)]).await.unwrap();
    let read = ReadUpTo { ring: 1, position: 2, steady: Some(ClockOffset::from_nanoseconds(BOOT * 1_000_000)) };
    bed.local.apply_batch(crate::Batch { read: Some(read), ..crate::Batch::default() }).await.unwrap();
    let (clock, step) = bed.local.keep_clock(reading(BOOT, 500), adopt).await.unwrap();
    assert_eq!((clock.began, step), (UnixMs(BOOT + 500), None));
    for by in [86_400_000, -86_400_000] {
        let before = bed.store.outages(true, 10).await.unwrap()[0].outage.since;
        let ahead = clock.ahead.nanoseconds() / 1_000_000 + if by > 0 { by } else { 0 };
        let (_, step) = bed.local.keep_clock(reading(ahead, 2000), adopt).await.unwrap();
        assert_eq!(step.map(|step| step.by), Some(by));
        assert_eq!(bed.store.outages(true, 10).await.unwrap()[0].outage.since, UnixMs(before.0 + by));
        let steady = bed.local.read_up_to().await.unwrap().unwrap().steady.unwrap();
        assert_eq!(steady.nanoseconds() / 1_000_000, ahead);
    }
    assert_eq!(bed.store.outages(true, 10).await.unwrap()[0].outage.since, SINCE);
    // Another boot: what was noted before it stays.
    let later = |ahead| ClockReading { boot: "the next".to_owned(), ..reading(ahead, 10) };
    let (_, step) = bed.local.keep_clock(later(RECOVERED.0 + 1000), adopt).await.unwrap();
    assert_eq!(step, None);
    let (_, step) = bed.local.keep_clock(later(RECOVERED.0 + 5000), adopt).await.unwrap();
    assert_eq!(step, Some(ClockStep { by: 4000, since: UnixMs(RECOVERED.0 + 1010) }));
    assert_eq!(bed.store.outages(true, 10).await.unwrap()[0].outage.since, SINCE);
    let adopted = [BOOT, BOOT + 86_400_000, BOOT, RECOVERED.0 + 1000, RECOVERED.0 + 5000];
    assert_eq!(*ADOPTED.lock().unwrap(), adopted);
}
