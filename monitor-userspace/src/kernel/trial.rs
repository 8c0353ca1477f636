//! One frame through a program with no interface at all (`BPF_PROG_TEST_RUN`): for packet tests and measurements.

use std::time::Duration;

use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions, Xdp};
use monitor_common::program;

use super::{Kernel, error::KernelError};

/// Which program a frame is given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// XDP on ingress.
    Ingress,
    /// TC on egress.
    Egress,
    /// The program that only passes.
    Pass,
}

/// What a program did with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The program's verdict: `XDP_PASS` is 2, TC's "next program" is -1 as `u32`.
    pub verdict: u32,
    /// Mean time of one run.
    pub duration: Duration,
}

impl Kernel {
    /// Gives `frame` (at least 14 bytes) to a program `repeat` times.
    pub fn trial(&self, side: Side, frame: &[u8], repeat: u32) -> Result<Trial, KernelError> {
        let name = match side {
            Side::Ingress => program::INGRESS,
            Side::Egress => program::EGRESS,
            Side::Pass => program::PASS,
        };
        let options = TestRunOptions { data_in: Some(frame), repeat, ..TestRunOptions::default() };
        let program = self.ebpf.program(name).ok_or(KernelError::ProgramMissing(name))?;
        let result = match side {
            Side::Ingress | Side::Pass => {
                let xdp: &Xdp = program.try_into().map_err(|source| KernelError::program(name, source))?;
                xdp.test_run(options)
            }
            Side::Egress => {
                let classifier: &SchedClassifier =
                    program.try_into().map_err(|source| KernelError::program(name, source))?;
                classifier.test_run(options)
            }
        }
        .map_err(|source| KernelError::program(name, source))?;
        Ok(Trial { verdict: result.return_value, duration: result.duration })
    }
}
