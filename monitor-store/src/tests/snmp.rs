//! SNMP engine state over restarts.

use monitor_core::{domain::UnixMs, snmp::RemoteEngine};

use super::Bed;
use crate::Batch;

fn seen(engine: &RemoteEngine) -> Batch {
    Batch { seen: vec![engine.clone()], ..Batch::default() }
}

#[tokio::test]
async fn our_engine_keeps_its_id_and_counts_its_starts() {
    let bed = Bed::fresh();
    let first = bed.local.start_engine().await.unwrap();
    assert_eq!((first.boots, first.id.len(), first.id[0] & 0x80), (1, 13, 0x80));
    let second = bed.reopened().local.start_engine().await.unwrap();
    assert_eq!((second.boots, &second.id), (2, &first.id));
    assert_ne!(Bed::fresh().local.start_engine().await.unwrap().id, first.id);
}

#[tokio::test]
async fn a_sending_engine_and_its_replay_window_are_kept() {
    let bed = Bed::fresh();
    let mut engine =
        RemoteEngine { id: vec![0x80, 0, 1], boots: 3, time: u32::MAX, received: UnixMs(5), seen: vec![(7, i32::MIN)] };
    bed.local.apply_batch(seen(&engine)).await.unwrap();
    engine.seen.push((u32::MAX, -1));
    engine.boots = 4;
    bed.local.apply_batch(seen(&engine)).await.unwrap();
    assert_eq!(bed.reopened().local.remote_engines().await.unwrap(), [engine]);
}
