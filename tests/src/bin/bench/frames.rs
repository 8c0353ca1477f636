//! Each kind of frame through the ingress program, again and again, beside the program that only passes. All of it stays in
//! the processor's caches: what is measured is the instructions.

use std::time::Duration;

use anyhow::Result;
use ringback::{
    config::Watch,
    kernel::{Kernel, Side},
};

use crate::{
    report::{median, nanoseconds},
    segments::{arp, frame, segment, unreachable},
};

/// Runs of one frame per round.
const REPEAT: u32 = 1_000_000;

/// Rounds; the median counts.
const ROUNDS: usize = 7;

pub(crate) fn run() -> Result<()> {
    let servers = vec!["auto".parse().map_err(anyhow::Error::msg)?];
    let watch = Watch { servers, syn_timeout: Duration::from_secs(600), ..Watch::default() };
    let (kernel, _events) = Kernel::detached(&watch)?;
    println!("\n{:<38} {:>8} {:>8} {:>7}", "frame, sent again and again", "PASS ns", "ns", "ratio");
    for (name, frame) in frames() {
        let (mut pass, mut watching) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            pass.push(nanoseconds(kernel.trial(Side::Pass, &frame, REPEAT)?.duration));
            watching.push(nanoseconds(kernel.trial(Side::Ingress, &frame, REPEAT)?.duration));
        }
        let (pass, watching) = (median(pass), median(watching));
        println!("{name:<38} {pass:>8.0} {watching:>8.0} {:>7.2}", watching / pass);
    }
    Ok(())
}

/// Kinds of frames that are sent again and again.
fn frames() -> Vec<(String, Vec<u8>)> {
    let mut frames = vec![("ARP".to_owned(), arp())];
    for (family, v6) in [("IPv4", false), ("IPv6", true)] {
        for (tag, tags) in [("", 0), (", VLAN", 1), (", QinQ", 2)] {
            let mut add = |name: &str, frame: Vec<u8>| frames.push((format!("{family} {name}{tag}"), frame));
            add("UDP", frame(v6, tags, 17, &[0; 40]));
            add("TCP data, 64 bytes", frame(v6, tags, 6, &segment(0x18, 4000, 10)));
            add("TCP data, 1500 bytes", frame(v6, tags, 6, &segment(0x18, 4000, 1440)));
            add("SYN, same again", frame(v6, tags, 6, &segment(0x02, 4000, 0)));
            add("SYN/ACK, no match", frame(v6, tags, 6, &segment(0x12, 4001, 0)));
            add("RST, no match", frame(v6, tags, 6, &segment(0x14, 4001, 0)));
            add("ICMP unreachable, no match", unreachable(v6, tags));
        }
    }
    frames
}
