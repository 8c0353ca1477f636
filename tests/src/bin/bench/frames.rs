//! Each kind of frame through the ingress program, again and again, beside the program that only passes. All of it stays in
//! the processor's caches: what is measured is the instructions.

use std::{env, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use aya::{
    Ebpf,
    programs::{TestRun as _, TestRunOptions, Xdp},
};
use monitor_core::config::Watch;
use ringback::kernel::{Kernel, TrialProgram};

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
    let (kernel, _events) = Kernel::measured(&watch)?;
    let (following, _more) =
        Kernel::detached(&Watch { established: true, ..watch }, &[TrialProgram::Ingress, TrialProgram::Egress])?;
    // One connection, so that its data is followed; and one SYN that nobody answers.
    for v6 in [false, true] {
        following.trial(TrialProgram::Ingress, &frame(v6, 0, 6, &segment(0x02, 4000, 0)), 1)?;
        following.trial(TrialProgram::Ingress, &answer(v6), 1)?;
    }
    let mut parser = reference("refparse")?;
    println!("\nframes, each sent again and again; ns");
    println!(
        "{:<38} {:>6} {:>9} {:>9} {:>8} {:>18} {:>8}",
        "", "PASS", "C parser", "Ringback", "of PASS", "with established", "of PASS"
    );
    for (name, frame) in frames() {
        let mut times = [const { Vec::new() }; 4];
        for _ in 0..ROUNDS {
            times[0].push(nanoseconds(kernel.trial(TrialProgram::Pass, &frame, REPEAT)?.duration));
            times[1].push(parser(&frame)?);
            times[2].push(nanoseconds(kernel.trial(TrialProgram::Ingress, &frame, REPEAT)?.duration));
            times[3].push(nanoseconds(following.trial(TrialProgram::Ingress, &frame, REPEAT)?.duration));
        }
        let [pass, parsed, ours, followed] = times.map(median);
        println!(
            "{name:<38} {pass:>6.0} {parsed:>9.0} {ours:>9.0} {:>8.2} {followed:>18.0} {:>8.2}",
            ours / pass,
            followed / pass
        );
    }
    Ok(())
}

/// A program of the C object, and what it takes for a frame.
fn reference(name: &str) -> Result<impl FnMut(&[u8]) -> Result<f64>> {
    let folder: PathBuf = env::var_os("RINGBACK_REFERENCE").context("run this by `cargo xtask bench`")?.into();
    let mut object = Ebpf::load_file(folder.join("lru.o"))?;
    let program: &mut Xdp = object.program_mut(name).context("no such program")?.try_into()?;
    program.load()?;
    let name = name.to_owned();
    Ok(move |frame: &[u8]| {
        let program: &Xdp = object.program(&name).context("no such program")?.try_into()?;
        let options = TestRunOptions { data_in: Some(frame), repeat: REPEAT, ..TestRunOptions::default() };
        Ok(nanoseconds(program.test_run(options)?.duration))
    })
}

/// The SYN/ACK to [`segment`]'s SYN from port 4000.
fn answer(v6: bool) -> Vec<u8> {
    let mut bytes = frame(v6, 0, 6, &segment(0x12, 80, 0));
    let (addresses, length) = if v6 { (22, 16) } else { (26, 4) };
    let (src, dst) = bytes[addresses..addresses + 2 * length].split_at_mut(length);
    src.swap_with_slice(dst);
    let tcp = addresses + 2 * length;
    bytes[tcp + 2..tcp + 4].copy_from_slice(&4000_u16.to_be_bytes());
    bytes[tcp + 8..tcp + 12].copy_from_slice(&10_u32.to_be_bytes());
    bytes
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
