//! What the verifier is asked for at the most.

use std::time::Duration;

use monitor_core::config::Watch;
use ringback::kernel::{Kernel, TrialProgram};

use crate::watch;

/// Each part makes the programs' stack larger, and what fits alone may not fit beside another (F-5, D-1, design rule 3). The
/// verifier removes the parts that are not wanted, so all of them together are the most.
#[tokio::test]
async fn the_programs_load_with_all_their_parts() {
    let watch = Watch { established: true, client_ack: true, own: true, shared: true, ..watch() };
    let all = [
        TrialProgram::Ingress,
        TrialProgram::IngressTc,
        TrialProgram::Egress,
        TrialProgram::IngressIp,
        TrialProgram::IngressIpTc,
        TrialProgram::EgressIp,
    ];
    Kernel::detached_with_guards(&watch, &all).unwrap();
}

/// A daemon that takes over looks whether the timer still runs, and starts it again (G-4).
#[tokio::test]
async fn a_timer_that_does_not_run_is_seen_and_started_again() {
    let (kernel, _events) = Kernel::measured(&watch()).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert!(!kernel.timer_runs().unwrap(), "nobody has started it");
    kernel.arm().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert!(kernel.timer_runs().unwrap());
}
