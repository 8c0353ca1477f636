//! What everybody on the link hears of a take-over (H-4), and whom nobody believes.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use lab::{Cluster, Knocking, Owners, Ways, cluster::settled};
use monitor_core::standby::announcement;

use super::{BEAT, GONE, LIMIT, WORST, alone, asker, for_both_families, v4};

/// Between an announcement and its repetition.
const AGAIN: Duration = Duration::from_secs(1);

// proves: H-4 H-8
#[test]
fn a_take_over_is_announced_before_a_question_is_answered_and_again_after_a_second() -> Result<()> {
    for_both_families(|cluster, address| {
        let mut daemons = cluster.start(Ways::Front, BEAT)?;
        let (client, new) = (cluster.client(), cluster.host(2).mac("eth0")?);
        let announced = announcement::frames(address, new);
        let listener = client.frame_listener("eth0", if address.is_ipv4() { 0x0806 } else { 0x86dd })?;
        let owners = Owners::start(client, asker(address), address)?;
        thread::sleep(GONE);
        drop(listener.heard());
        let mut heard: Vec<(Instant, Vec<u8>)> = Vec::new();
        daemons[0].kill9()?;
        let end = Instant::now() + GONE + AGAIN + Duration::from_millis(500);
        while Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
            let now = Instant::now();
            let of_new = listener.heard().into_iter().filter(|frame| frame[6..12] == new);
            heard.extend(of_new.filter(|frame| claims(frame, address)).map(|frame| (now, frame)));
        }
        let all: Vec<_> = heard.iter().map(|(_, frame)| frame.clone()).collect();
        assert_eq!(
            all[..announced.len()],
            announced,
            "a request and then a reply, or an advertisement; before all else"
        );
        assert!(owners.count(heard[0].0, new) > 20);
        let said: Vec<_> = heard.iter().filter(|(_, frame)| announced.contains(frame)).collect();
        let frames: Vec<_> = said.iter().map(|(_, frame)| frame.clone()).collect();
        assert_eq!(frames, [&announced[..], &announced].concat(), "twice");
        let pause = said[announced.len()].0 - said[0].0;
        assert!(pause > AGAIN - GONE && pause < AGAIN + GONE, "{pause:?}");
        Ok(())
    })
}

/// Whether the frame says that the address is its sender's.
fn claims(frame: &[u8], address: std::net::IpAddr) -> bool {
    match address {
        std::net::IpAddr::V4(v4) => frame.get(28..32) == Some(&v4.octets()),
        std::net::IpAddr::V6(v6) => frame.get(54) == Some(&136) && frame.get(62..78) == Some(&v6.octets()),
    }
}

// proves: H-3a
#[test]
fn recorded_beats_of_a_dead_host_keep_nobody_from_taking_over() -> Result<()> {
    let _alone = alone();
    let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
    let daemons = cluster.start(Ways::Front, BEAT)?;
    let knocking = Knocking::start(cluster.client(), v4().into())?;
    knocking.answered_by("server1", LIMIT)?;
    let recorder = cluster.recorder(2)?;
    thread::sleep(Duration::from_secs(1));
    let recording = recorder.heard();
    assert!(recording.len() >= 15, "{}", recording.len());
    let begin = Instant::now();
    cluster.host(1).link_down()?;
    while begin.elapsed() < 2 * GONE + AGAIN {
        cluster.replay(2, &recording)?;
        thread::sleep(Duration::from_millis(20));
    }
    settled(&daemons[1..], 1).map_err(|error| error.context("alone, and active"))?;
    let gap = knocking.gap(begin);
    assert!(gap < WORST, "{gap:?}");
    assert_eq!(knocking.latest().as_deref(), Some("server2"));
    Ok(())
}
