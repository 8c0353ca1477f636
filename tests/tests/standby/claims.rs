//! Somebody else says that a shared address is its own (H-4): the active host says again that it is not.

use std::{
    net::{IpAddr, Ipv4Addr},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab::{Cluster, FrameListener, FrameSocket, Knocking, Ways, cluster::settled, wait_until};
use monitor_core::standby::announcement;

use super::{BEAT, LIMIT, alone};

/// Beat, and what the client's own connections take; without an answer caches stay wrong for seconds.
const ANSWERED_WITHIN: Duration = Duration::from_millis(300);
/// What may pass between two answers.
const PAUSE: Duration = Duration::from_secs(1);

/// Nobody's of the lab.
const FOREIGN: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// A stranger on the switch.
struct Stranger {
    socket: FrameSocket,
    claims: Vec<Vec<u8>>,
}

impl Stranger {
    fn new(cluster: &Cluster, address: IpAddr) -> Result<Self> {
        let switch = cluster.lab().switch().context("a switch")?;
        Ok(Self { socket: switch.frame_socket("br0")?, claims: announcement::frames(address, FOREIGN) })
    }

    fn claim(&self) -> Result<()> {
        self.claims.iter().try_for_each(|frame| self.socket.send(frame))
    }
}

/// What the client hears of the announcements of one host for one address.
struct Announcements {
    listener: FrameListener,
    frame: Vec<u8>,
}

impl Announcements {
    fn new(cluster: &Cluster, address: IpAddr, host: u8) -> Result<Self> {
        let ethertype = if address.is_ipv4() { 0x0806 } else { 0x86dd };
        let frame = announcement::frames(address, cluster.host(host).mac("eth0")?).remove(0);
        Ok(Self { listener: cluster.client().frame_listener("eth0", ethertype)?, frame })
    }

    /// How many since the last call.
    fn heard(&self) -> usize {
        self.listener.heard().iter().filter(|frame| **frame == self.frame).count()
    }
}

// proves: H-4 H-8
#[test]
fn a_foreign_claim_is_answered_by_the_active_host_and_by_no_other() -> Result<()> {
    let _alone = alone();
    for address in Cluster::shared() {
        let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
        let daemons = cluster.start(Ways::Front, BEAT)?;
        let (active, standby) = (Announcements::new(&cluster, address, 1)?, Announcements::new(&cluster, address, 2)?);
        let stranger = Stranger::new(&cluster, address)?;
        let knocking = Knocking::start(cluster.client(), address)?;
        knocking.answered_by("server1", LIMIT)?;
        // Beyond what was announced at the take-over and a second later.
        thread::sleep(2 * PAUSE);
        active.heard();
        let claimed = Instant::now();
        stranger.claim()?;
        wait_until("the active host announces", LIMIT, || active.heard() > 0)?;
        assert!(claimed.elapsed() < ANSWERED_WITHIN, "{:?}", claimed.elapsed());
        assert_eq!(cluster.cached(address)?, Some(cluster.host(1).mac("eth0")?));
        thread::sleep(PAUSE);
        assert!(knocking.gap(claimed) < ANSWERED_WITHIN, "{:?}", knocking.gap(claimed));
        assert_eq!(standby.heard(), 0);
        settled(&daemons, 1)?;
        let group = &daemons[0].json(&["standby"])?[0];
        assert_eq!(group["claimed_by"], "02:00:00:00:00:09", "{group:#}");
        assert!(group["conflicts"].as_u64() >= Some(1), "{group:#}");
        assert_eq!(daemons[1].json(&["standby"])?[0]["conflicts"], 0);
        assert!(daemons[0].log().contains("02:00:00:00:00:09"), "{}", daemons[0].log());
    }
    Ok(())
}

// proves: H-4 H-8
#[test]
fn many_claims_are_answered_once_a_second_and_the_last_word_is_the_active_hosts() -> Result<()> {
    let _alone = alone();
    let address = IpAddr::V4(Ipv4Addr::new(10, 9, 0, 50));
    let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
    let daemons = cluster.start(Ways::Front, BEAT)?;
    let stranger = Stranger::new(&cluster, address)?;
    let answers = Announcements::new(&cluster, address, 1)?;
    thread::sleep(2 * PAUSE);
    answers.heard();
    let (begin, mut answered) = (Instant::now(), 0);
    while begin.elapsed() < 2 * PAUSE + PAUSE / 2 {
        stranger.claim()?;
        thread::sleep(Duration::from_millis(5));
        answered += answers.heard();
    }
    // At 0, 1 and 2 seconds; what came after that is answered at 3.
    assert!((2..=3).contains(&answered), "{answered}");
    wait_until("the last one is answered", 2 * PAUSE, || answers.heard() > 0)?;
    assert_eq!(cluster.answering(Ipv4Addr::new(10, 9, 0, 50))?, [cluster.host(1).mac("eth0")?]);
    assert!(daemons[0].json(&["standby"])?[0]["conflicts"].as_u64() > Some(200));
    Ok(())
}
