//! The tests of the kernel side on other kernels: each boots in a small machine of its own.
//!
//! The machine's file system holds the packet tests, the story of `cargo xtask run`, and the tests of restart, removal,
//! of filters in place of links and of the interfaces of real gateways, each as it runs here. A kernel that is too old must
//! be refused in clear words instead.

mod archive;
mod contents;
mod machine;
mod modules;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};

use self::{contents::Job, machine::Machine};
use crate::{
    command,
    setup::{self, kernel_image},
    workspace,
};

/// For all of it on one kernel: emulated, it takes ten to fifteen minutes here.
const LIMIT: Duration = Duration::from_secs(2400);

/// The oldest series that is supported; what is older has to be refused.
const FLOOR: (u32, u32) = (6, 1);

/// One test holds the database locked by a Python script; the machine has no Python, and no kernel matters to it.
const NO_PYTHON: &str = "--test-threads=1 --skip a_stop_while_the_store_takes_no_changes";

/// Runs the tests on the newest kernel of each series; all are tried, also when one fails.
pub(crate) fn test_on(series: &[String]) -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        bail!("tests on other kernels need a machine with x86_64: the programs in it are this machine's own");
    }
    let emulator = setup::peers::fetch_emulator()?;
    let peers = setup::peers::fetch_for_guests()?;
    let kernels = series.iter().map(|series| kernel_image::fetch(series)).collect::<Result<Vec<_>>>()?;
    let packages = ["--package", "monitor-userspace", "--package", "ringback-tests"];
    let programs = ["--bin", "ringback", "--bin", "story", "--bin", "guest"];
    command::run_shown(command::cargo()?.arg("build").args(packages).args(programs))?;
    let built = workspace::target().join("debug");
    let supported = [
        Job { name: "packets", seconds: 600, program: test_program("packets")?, arguments: "" },
        Job { name: "story", seconds: 120, program: built.join("story"), arguments: "" },
        Job { name: "restart", seconds: 300, program: test_program("restart")?, arguments: NO_PYTHON },
        Job { name: "filters", seconds: 180, program: test_program("filters")?, arguments: "--test-threads=1" },
        Job { name: "gateways", seconds: 900, program: test_program("gateways")?, arguments: "--test-threads=2" },
    ];
    let too_old = [Job { name: "floor", seconds: 60, program: test_program("floor")?, arguments: "--ignored" }];
    let mut machine = Machine::new(&emulator)?;
    let mut failed = Vec::new();
    for kernel in &kernels {
        eprintln!("booting Linux {}", kernel.release);
        let jobs: &[Job] = if kernel.version() < FLOOR { &too_old } else { &supported };
        let archive = contents::archive(kernel, &built.join("guest"), &built.join("ringback"), jobs, &peers)?;
        match machine.boot(kernel, &archive, LIMIT) {
            Ok(()) => println!("Linux {}: passed", kernel.release),
            Err(error) => {
                eprintln!("{error:#}");
                failed.push(kernel.release.as_str());
            }
        }
    }
    if !failed.is_empty() {
        bail!("failed on {}", failed.join(", "));
    }
    Ok(())
}

/// Builds a test and tells where it is.
fn test_program(name: &str) -> Result<PathBuf> {
    let mut cargo = command::cargo()?;
    cargo.args([
        "test",
        "--workspace",
        "--exclude",
        "monitor-ebpf",
        "--no-run",
        "--message-format=json",
        "--test",
        name,
    ]);
    cargo.stderr(std::process::Stdio::inherit());
    let messages = command::output(&mut cargo)?;
    let executable = messages.lines().find_map(|message| {
        let message: serde_json::Value = serde_json::from_str(message).ok()?;
        let ours = message["target"]["name"] == name && message["profile"]["test"] == true;
        message["executable"].as_str().filter(|_| ours).map(PathBuf::from)
    });
    executable.with_context(|| format!("cargo did not say where the test `{name}` is"))
}
