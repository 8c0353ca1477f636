//! The packet tests of `packets` with what arrives at TC ingress in place of XDP: the verdicts are the same.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../packets/answers.rs"]
mod answers;
#[path = "../packets/bed.rs"]
mod bed;
#[path = "../packets/frame.rs"]
mod frame;
#[path = "../packets/fuzz.rs"]
mod fuzz;
#[path = "../packets/malformed.rs"]
mod malformed;
#[path = "../packets/marks.rs"]
mod marks;
#[path = "../packets/model.rs"]
mod model;
#[path = "../packets/odd.rs"]
mod odd;
#[path = "../packets/reference.rs"]
mod reference;
#[path = "../packets/syns.rs"]
mod syns;
#[path = "../packets/unreachables.rs"]
mod unreachables;
#[path = "../packets/wire.rs"]
mod wire;

use ringback::kernel::TrialProgram;

pub(crate) use crate::bed::{Bed, service, watch};

/// By which program what arrives is watched.
pub(crate) const INGRESS: TrialProgram = TrialProgram::IngressTc;
pub(crate) const INGRESS_IP: TrialProgram = TrialProgram::IngressIpTc;

/// `TC_ACT_UNSPEC`
pub(crate) const GOES_ON: u32 = u32::MAX;
