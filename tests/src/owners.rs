//! Who says that an address is its own: a client that asks every 5 ms and writes down every answer.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{Host, forged};

const PERIOD: Duration = Duration::from_millis(5);

/// When, and by which MAC address.
type Answers = Arc<Mutex<Vec<(Instant, [u8; 6])>>>;

/// See the module. Caches are not asked, so they hide nothing.
#[derive(Debug)]
pub struct Owners {
    answers: Answers,
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Owners {
    /// Begins to ask for `address` in the name of `asker`, an address of this host on `eth0`.
    pub fn start(host: &Host, asker: IpAddr, address: IpAddr) -> Result<Self> {
        let mac = host.mac("eth0")?;
        let question = forged::who_has(address, mac, asker);
        let (socket, ethertype) = (host.frame_socket("eth0")?, if address.is_ipv4() { 0x0806 } else { 0x86dd });
        let listener = host.frame_listener("eth0", ethertype)?;
        let (answers, done) = (Answers::default(), Arc::new(AtomicBool::new(false)));
        let (heard, ended) = (Arc::clone(&answers), Arc::clone(&done));
        let thread = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                // The link may be down for a while.
                let _ = socket.send(&question);
                thread::sleep(PERIOD);
                let now = Instant::now();
                let owners = listener.heard().into_iter().filter_map(|frame| owner(&frame, address, mac));
                heard.lock().unwrap_or_else(PoisonError::into_inner).extend(owners.map(|owner| (now, owner)));
            }
        });
        Ok(Self { answers, done, thread: Some(thread) })
    }

    /// For how long `old` still answered after `new` had first answered since `begin`; zero if it did not.
    #[must_use]
    pub fn overlap(&self, begin: Instant, old: [u8; 6], new: [u8; 6]) -> Duration {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let since = || answers.iter().filter(|(at, _)| *at >= begin);
        let first = since().find(|(_, mac)| *mac == new).map(|(at, _)| *at);
        let last = since().rev().find(|(_, mac)| *mac == old).map(|(at, _)| *at);
        first.zip(last).map(|(first, last)| last.saturating_duration_since(first)).unwrap_or_default()
    }

    /// How often this MAC address has answered since `begin`.
    #[must_use]
    pub fn count(&self, begin: Instant, owner: [u8; 6]) -> usize {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().filter(|(at, mac)| *at >= begin && *mac == owner).count()
    }

    /// When this MAC address last answered.
    #[must_use]
    pub fn last(&self, owner: [u8; 6]) -> Option<Instant> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.iter().rev().find(|(_, mac)| *mac == owner).map(|(at, _)| *at)
    }
}

/// Who answers in this frame, to the host with this MAC address: announcements to all are no answers.
fn owner(frame: &[u8], address: IpAddr, mac: [u8; 6]) -> Option<[u8; 6]> {
    let answers = match address {
        IpAddr::V4(v4) => frame.get(20..22)? == [0, 2] && frame.get(28..32)? == v4.octets(),
        IpAddr::V6(v6) => *frame.get(54)? == 136 && frame.get(62..78)? == v6.octets(),
    };
    (answers && frame[..6] == mac).then(|| frame[6..12].try_into().ok()).flatten()
}

impl Drop for Owners {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
