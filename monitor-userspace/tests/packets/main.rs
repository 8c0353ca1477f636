//! Every kind of frame through the real programs in the real kernel, without an interface (`BPF_PROG_TEST_RUN`).
#![expect(clippy::unwrap_used, reason = "tests")]

mod answers;
mod bed;
mod frame;
mod fuzz;
mod gate;
mod guards;
mod loading;
mod malformed;
mod marks;
mod model;
mod odd;
mod reference;
mod syns;
mod unreachables;
mod wire;

use ringback::kernel::TrialProgram;

pub(crate) use crate::bed::{Bed, service, watch};

/// By which program what arrives is watched.
pub(crate) const INGRESS: TrialProgram = TrialProgram::Ingress;
pub(crate) const INGRESS_IP: TrialProgram = TrialProgram::IngressIp;

/// `XDP_PASS`
pub(crate) const GOES_ON: u32 = 2;
