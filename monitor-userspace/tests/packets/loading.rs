//! What the verifier is asked for at the most.

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
