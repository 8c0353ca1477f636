//! Flows that were never seen before, beside a hand-written C program with the kernel's hash maps in the same run. Here the
//! tables do not fit into the processor's caches: what is measured is memory.

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
    segments::tcp,
};

/// Flows per round.
const FLOWS: u32 = 1_000_000;

/// Rounds; the median counts. Each begins with empty tables.
const ROUNDS: usize = 5;

/// Everything is learned, and nothing expires meanwhile.
pub(crate) fn watch(pending: u32) -> Result<Watch> {
    let servers = vec!["auto".parse().map_err(anyhow::Error::msg)?];
    Ok(Watch { servers, pending, syn_timeout: Duration::from_secs(3600), ..Watch::default() })
}

pub(crate) fn run() -> Result<()> {
    let syn = tcp(0, 0x02);
    let references = references()?;
    let mut lines: Vec<(String, Vec<f64>, Vec<f64>)> = Vec::new();
    for round in 0..ROUNDS {
        let mut line = |name: &str, new: f64, pair: f64| {
            let index = lines.iter().position(|(other, ..)| other == name).unwrap_or_else(|| {
                lines.push((name.to_owned(), Vec::new(), Vec::new()));
                lines.len() - 1
            });
            lines[index].1.push(new);
            lines[index].2.push(pair);
        };
        let ours = |side| -> Result<f64> {
            let (kernel, _events) = Kernel::measured(&watch(1 << 20)?)?;
            Ok(nanoseconds(kernel.trial(side, &syn, FLOWS)?.duration))
        };
        line("PASS", ours(TrialProgram::Pass)?, ours(TrialProgram::Pass)?);
        line("Ringback", ours(TrialProgram::NewSyn)?, ours(TrialProgram::Pair)?);
        for (name, file) in &references {
            line(name, reference(file, "refsynnew", &syn)?, reference(file, "refpair", &syn)?);
        }
        eprint!("\rflows: round {} of {ROUNDS}", round + 1);
    }
    eprintln!();
    println!("\n{FLOWS} flows, each seen for the first time, tables of 1 M entries");
    println!("{:<38} {:>12} {:>20}", "", "new SYN, ns", "SYN and SYN/ACK, ns");
    let ours = median(lines.iter().find(|(name, ..)| name == "Ringback").context("no lines")?.2.clone());
    for (name, new, pair) in lines {
        let pair = median(pair);
        let ratio = if name.starts_with('C') { format!("Ringback: {:.2} of it", ours / pair) } else { String::new() };
        println!("{name:<38} {:>12.0} {pair:>20.0}   {ratio}", median(new));
    }
    Ok(())
}

/// The C programs that `cargo xtask bench` has compiled.
fn references() -> Result<Vec<(String, PathBuf)>> {
    let folder: PathBuf = env::var_os("RINGBACK_REFERENCE").context("run this by `cargo xtask bench`")?.into();
    Ok(vec![("C, LRU hash".to_owned(), folder.join("lru.o")), ("C, hash".to_owned(), folder.join("hash.o"))])
}

fn reference(file: &PathBuf, program: &str, frame: &[u8]) -> Result<f64> {
    let mut object = Ebpf::load_file(file).with_context(|| format!("cannot load {}", file.display()))?;
    let program: &mut Xdp = object.program_mut(program).context("no such program")?.try_into()?;
    program.load()?;
    let options = TestRunOptions { data_in: Some(frame), repeat: FLOWS, ..TestRunOptions::default() };
    Ok(nanoseconds(program.test_run(options)?.duration))
}
