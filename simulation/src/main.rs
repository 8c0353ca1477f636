//! `simulate`: plays histories until the time is over, and prints the shortest one that goes wrong.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use clap::Parser;
use simulation::{Disk, Options, Plan, Report, Slip, play, play_aloud, shrink};

/// Seeds that once found something, each with the options that it needs.
const SEEDS: &str = include_str!("../seeds.txt");

#[derive(Parser)]
#[command(about = "Plays random histories of clients, servers, network and daemon, and checks whom it told of what")]
struct Cli {
    /// Play this history alone, and print it
    #[arg(long)]
    seed: Option<u64>,
    /// Attempts of one history at most
    #[arg(long, default_value_t = 400)]
    attempts: u32,
    /// Gateways that share the traffic
    #[arg(long, default_value_t = 1)]
    gateways: u16,
    /// How long to play new histories, in seconds
    #[arg(long, default_value_t = 180)]
    seconds: u64,
    /// Go on after so many histories that went wrong
    #[arg(long, default_value_t = 0)]
    go_on: u64,
    /// Histories at the same time
    #[arg(long, default_value_t = 2)]
    threads: u32,
    /// Where databases are; else in memory
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Play each history twice: both must go the same way
    #[arg(long)]
    twice: bool,
    /// Do not look for a shorter history
    #[arg(long)]
    whole: bool,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("simulate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<bool> {
    if let Some(seed) = cli.seed {
        let disk = Disk::new(cli.folder.as_deref())?;
        let plan = Plan::of(seed, &options(cli));
        let report = play(&plan, &disk)?;
        print(&report);
        match report.mistakes.first() {
            Some(first) => show(cli, &plan, first.slip, &disk)?,
            None if cli.whole => play_aloud(&plan, &disk)?.1.iter().for_each(|line| println!("{line}")),
            None => {}
        }
        return Ok(report.mistakes.is_empty());
    }
    many(cli)
}

const fn options(cli: &Cli) -> Options {
    Options { attempts: cli.attempts, gateways: cli.gateways }
}

/// All known seeds, then new ones.
fn many(cli: &Cli) -> Result<bool> {
    let began = Instant::now();
    let first = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    let known: Vec<(u64, Options)> = known_seeds();
    let next = AtomicU64::new(0);
    let wrong = AtomicU64::new(0);
    let all = Mutex::new((Report::default(), 0_u64));
    let work = || -> Result<()> {
        let disk = Disk::new(cli.folder.as_deref())?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let (seed, options) = match known.get(number as usize) {
                Some(known) => known.clone(),
                None => (first.wrapping_add(number) & 0xff_ffff_ffff, options(cli)),
            };
            let is_known = (number as usize) < known.len();
            let over = !is_known && began.elapsed() > Duration::from_secs(cli.seconds);
            if over || wrong.load(Ordering::Relaxed) > cli.go_on {
                return Ok(());
            }
            let plan = Plan::of(seed, &options);
            let report = play(&plan, &disk)?;
            let same = !cli.twice || play(&plan, &disk)? == report;
            if !same {
                println!("seed {seed} went two ways");
                wrong.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(mistake) = report.mistakes.first() {
                wrong.fetch_add(1, Ordering::Relaxed);
                let _one_at_a_time = all.lock().unwrap_or_else(PoisonError::into_inner);
                println!("seed {seed} (--attempts {} --gateways {}): {mistake}", options.attempts, options.gateways);
                if cli.go_on == 0 {
                    show(cli, &plan, mistake.slip, &disk)?;
                }
            }
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.0.add(&report);
            all.1 += 1;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cli.threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| anyhow::bail!("a thread panicked")))
    })?;
    let (report, histories) = all.into_inner().unwrap_or_else(PoisonError::into_inner);
    print(&report);
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    let attempts = report.counts.get("attempts").copied().unwrap_or(0);
    println!("{histories} histories, {attempts} attempts in {minutes:.1} minutes");
    Ok(report.mistakes.is_empty() && wrong.into_inner() == 0)
}

/// `SEED ATTEMPTS GATEWAYS what it found`, a line each.
fn known_seeds() -> Vec<(u64, Options)> {
    let seed = |line: &str| {
        let mut words = line.split_whitespace();
        let seed = words.next()?.parse().ok()?;
        let (attempts, gateways) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some((seed, Options { attempts, gateways }))
    };
    SEEDS.lines().filter(|line| !line.starts_with('#')).filter_map(seed).collect()
}

fn print(report: &Report) {
    for (what, count) in &report.counts {
        println!("{count:>10} {what}");
    }
    println!("stated limits:");
    for (what, count) in &report.limits {
        println!("{count:>10} {what}");
    }
    for mistake in &report.mistakes {
        println!("{mistake}");
    }
}

/// Prints the shortest history that goes wrong in this way.
fn show(cli: &Cli, plan: &Plan, slip: Slip, disk: &Disk) -> Result<()> {
    let plan = if cli.whole {
        plan.clone()
    } else {
        let shrunk = shrink(plan, slip, disk, 3000);
        println!("a shorter history, after {} tries:", shrunk.tries);
        shrunk.plan
    };
    let (report, lines) = play_aloud(&plan, disk)?;
    println!("{:#?}", plan.scenario);
    for list in [format!("{:?}", plan.faults), format!("{:?}", plan.kills), format!("{:?}", plan.troubles)] {
        println!("{list}");
    }
    println!("{:?} {:?}", plan.clock_steps, plan.words);
    lines.iter().for_each(|line| println!("{line}"));
    report.mistakes.iter().for_each(|mistake| println!("{mistake}"));
    Ok(())
}
