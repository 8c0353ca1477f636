//! `cargo xtask VERB`: everything that is done to this repository, from an empty machine to a measured release.
//!
//! Each verb is one file, prints what it runs, and does the same on a laptop as in CI. Verbs that need pieces of the
//! toolchain or programs for the lab fetch them themselves; a second run finds them and says nothing.

mod audit;
mod bench;
mod build_ebpf;
mod clippy_ebpf;
mod command;
mod deny;
mod fault;
mod guest;
mod layers;
mod limits;
mod privilege;
mod rows;
mod run;
mod screenshots;
mod setup;
mod simulate;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, runs, tests and measures Ringback")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Fetch what the build, the lab and the tests need and this machine lacks
    Setup(setup::Args),
    /// Build the eBPF object alone and print where it is
    BuildEbpf,
    /// Run clippy on the eBPF crate, which `cargo clippy` leaves out
    ClippyEbpf,
    /// Play the story in a lab of network namespaces; with arguments after `--`: run the daemon on real interfaces
    Run(run::Args),
    /// Run all tests, or those of the kernel side on other kernels; arguments after `--` go to `cargo test`
    Test(test::Args),
    /// Let many clients fail for some minutes while the daemon is killed again and again, and check who was told of what
    Audit(audit::Args),
    /// Measure; arguments after `--` go to the benchmark
    Bench(bench::Args),
    /// Check rooms, arrows between them, dependencies and names against xtask/layers.toml
    Layers(layers::Args),
    /// Check the lengths of functions and files; xtask/limits.toml lists the exceptions
    Limits,
    /// Check licences and duplicates of the dependencies against deny.toml
    Deny(deny::Args),
    /// Check the clauses of docs/rows.md against the tests that prove them, and print both
    Rows,
    /// Play random histories of clients, network, servers and daemon, and check whom it told of what
    Simulate(simulate::Args),
    /// Take the pictures of the stand-in page in docs/ again
    Screenshots,
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Setup(args) => setup::run(&args),
        Verb::BuildEbpf => build_ebpf::run(),
        Verb::ClippyEbpf => clippy_ebpf::run(),
        Verb::Run(args) => run::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Audit(args) => audit::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Layers(args) => layers::run(&args),
        Verb::Limits => limits::run(),
        Verb::Deny(args) => deny::run(&args),
        Verb::Rows => rows::run(),
        Verb::Simulate(args) => simulate::run(&args),
        Verb::Screenshots => screenshots::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
