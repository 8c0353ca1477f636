//! The first and only service of the small machine that `cargo xtask test --kernel` boots.
//!
//! In: `/guest/modules` with kernel modules in the order in which they go in, and `/guest/plan`, a line `NAME SECONDS
//! PROGRAM ARGUMENT…` for each program to run. Out: one line for each on the console, `guest: all passed` if that is
//! so, and a machine that is switched off.

use std::{
    ffi::CString,
    fs::{self, File},
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    kmod::{ModuleInitFlags, finit_module},
    mount::{MsFlags, mount},
    sys::reboot::{RebootMode, reboot},
    unistd::sync,
};

/// Where programs, and the tests among them, find what they start, and that no driver may be missing.
const ENVIRONMENT: [(&str, &str); 3] =
    [("PATH", "/bin"), ("RINGBACK_BIN", "/guest/ringback"), ("RINGBACK_ALL_MODULES", "1")];

fn main() -> Result<()> {
    ensure!(std::process::id() == 1, "this is for the machine that `cargo xtask test --kernel` boots");
    match run() {
        Ok(()) => println!("guest: all passed"),
        Err(error) => println!("guest: failed: {error:#}"),
    }
    sync();
    // The emulator ends instead: it is told not to boot again.
    let never = reboot(RebootMode::RB_AUTOBOOT).context("cannot switch the machine off")?;
    match never {}
}

fn run() -> Result<()> {
    // A BPF file system is not among them: the daemon mounts its own.
    for (kind, place) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("devpts", "/dev/pts"),
        ("tmpfs", "/tmp"),
        ("tmpfs", "/run"),
    ] {
        fs::create_dir_all(place).with_context(|| format!("cannot make {place}"))?;
        mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>)
            .with_context(|| format!("cannot mount {place}"))?;
    }
    // The firmware's line has no end.
    println!("\nguest: Linux {}", fs::read_to_string("/proc/sys/kernel/osrelease")?.trim());
    load_modules()?;
    let plan = fs::read_to_string("/guest/plan").context("no plan")?;
    let mut failed = Vec::new();
    for line in plan.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let [name, seconds, program, arguments @ ..] = words.as_slice() else { bail!("the plan has a line `{line}`") };
        let limit = Duration::from_secs(seconds.parse().with_context(|| format!("{seconds} are no seconds"))?);
        println!("guest: {name}: starts");
        let started = Instant::now();
        let result = finish(Command::new(program).args(arguments).envs(ENVIRONMENT), limit);
        let took = started.elapsed().as_secs_f32();
        match result {
            Ok(()) => println!("guest: {name}: passed in {took:.1} s"),
            Err(error) => {
                println!("guest: {name}: failed after {took:.1} s: {error:#}");
                failed.push(*name);
            }
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join(", "));
    Ok(())
}

fn load_modules() -> Result<()> {
    let folder = fs::read_dir("/guest/modules").context("no modules")?;
    let mut modules: Vec<PathBuf> = folder.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    modules.sort();
    let no_parameters = CString::default();
    for module in modules {
        let file = File::open(&module)?;
        finit_module(&file, &no_parameters, ModuleInitFlags::empty())
            .with_context(|| format!("the kernel does not take {}", module.display()))?;
    }
    Ok(())
}

/// Runs the program, and ends it when it takes longer than `limit`.
fn finish(command: &mut Command, limit: Duration) -> Result<()> {
    let mut child = command.spawn().context("cannot start it")?;
    let end = Instant::now() + limit;
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => bail!("{status}"),
            None if Instant::now() >= end => {
                child.kill()?;
                child.wait()?;
                bail!("not done within {} s", limit.as_secs());
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
