//! The wall clock is set while something is waited for.

use std::time::Duration;

use monitor_common::Evidence;
use monitor_core::{domain::UnixMs, outage::Rules};

use super::{super::Settings, Bed, client, settings, until, web, world::BOOT};

const DAY: i64 = 86_400_000;

fn probing() -> Settings {
    let rules = Rules { probe_interval: Some(Duration::from_secs(2)), ..Rules::default() };
    Settings { rules, ..settings() }
}

// proves: G-10
#[tokio::test]
async fn an_outage_outlives_a_wall_clock_that_is_set_and_is_dated_by_the_new_time() {
    for by in [3 * DAY, -3 * DAY] {
        let bed = Bed::new();
        let running = bed.start().await;
        bed.world.fails(client(1), web(), Evidence::Unanswered);
        until("the service is marked", async || bed.world.is_marked(web())).await;
        let before = running.outages().await[0].outage;
        bed.world.lock().set_ahead = by;
        let moved = async || running.outages().await[0].outage.since == UnixMs(before.since.0 + by);
        until("its times have moved", moved).await;
        assert_eq!(running.open().await, [web()], "neither discarded nor closed");
        bed.world.answers(web(), client(2));
        until("it is over", async || running.open().await.is_empty()).await;
        let ended = running.outages().await[0].ended.unwrap();
        assert!((ended.0 - BOOT.0 - by).abs() < DAY, "{ended:?}");
        running.stop().await.unwrap();
    }
}

// proves: G-10
#[tokio::test]
async fn a_probe_is_as_far_away_as_before_when_the_clock_is_set_back() {
    let bed = Bed::with(probing);
    let mut running = bed.start().await;
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    until("the service is marked", async || bed.world.is_marked(web())).await;
    let before = running.outages().await[0].outage.since;
    bed.world.lock().set_ahead = -2 * 3_600_000;
    until("its times have moved", async || running.outages().await[0].outage.since < before).await;
    bed.world.later(2000);
    let probed = tokio::time::timeout(super::LIMIT, running.probes.recv()).await.unwrap();
    assert_eq!(probed, Some(web()));
    running.stop().await.unwrap();
}

// proves: G-10
#[tokio::test]
async fn a_clock_that_is_set_while_no_daemon_runs_moves_what_is_waited_for_at_the_next_start() {
    let bed = Bed::new();
    let running = bed.start().await;
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    until("the service is marked", async || bed.world.is_marked(web())).await;
    let before = running.outages().await[0].outage.since;
    running.stop().await.unwrap();
    bed.world.lock().set_ahead = 3 * DAY;
    let running = bed.start().await;
    assert_eq!(running.open().await, [web()]);
    assert_eq!(running.outages().await[0].outage.since, UnixMs(before.0 + 3 * DAY));
    running.stop().await.unwrap();
}
