//! A bounded flood of SYNs from one host of the lab, beside the test that watches what becomes of it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};

use crate::{Host, forged::Segment};

/// Frames between two looks at the clock.
const BURST: u64 = 200;

/// Frames that are being sent; at most as many, and as long, as it was started with.
#[derive(Debug)]
pub struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    sender: Option<JoinHandle<()>>,
}

impl Flood {
    /// Sends SYNs out of the host's only interface to the machine with this MAC address: `frames` of them, spread evenly
    /// over `during`. `ends` says from whom to whom, by the number of the frame.
    pub fn start(
        host: &Host,
        gateway: [u8; 6],
        frames: u64,
        during: Duration,
        ends: impl Fn(u64) -> (SocketAddr, SocketAddr) + Send + 'static,
    ) -> Result<Self> {
        let socket = host.frame_socket("eth0")?;
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&sent));
        let sender = thread::spawn(move || {
            let begin = Instant::now();
            for number in 0..frames {
                let (from, to) = ends(number);
                // A frame that finds the receiver's queue full was not sent.
                if socket.send(&Segment::syn(from, to, scramble(number) as u32).frame(gateway)).is_ok() {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                if number % BURST == 0 {
                    if stopped.load(Ordering::Relaxed) || begin.elapsed() > during * 2 {
                        return;
                    }
                    let due = during.mul_f64(number as f64 / frames as f64);
                    thread::sleep(due.saturating_sub(begin.elapsed()));
                }
            }
        });
        Ok(Self { stop, sent, sender: Some(sender) })
    }

    /// Whether it goes on.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.sender.as_ref().is_some_and(|sender| !sender.is_finished())
    }

    /// How many frames went out so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits for its end. Returns how many frames went out.
    pub fn finish(mut self) -> Result<u64> {
        if let Some(sender) = self.sender.take() {
            sender.join().map_err(|_| anyhow!("the flood panicked"))?;
        }
        Ok(self.sent())
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(sender) = self.sender.take()
            && sender.join().is_err()
        {
            eprintln!("lab: the flood panicked");
        }
    }
}

/// A number as good as random that is another for each frame and the same in each run (splitmix64).
#[must_use]
pub const fn scramble(number: u64) -> u64 {
    let mut word = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
