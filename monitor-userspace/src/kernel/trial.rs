//! One frame through a program with no interface at all (`BPF_PROG_TEST_RUN`): for packet tests and measurements.

use std::time::Duration;

use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions, Xdp};
use monitor_common::{map, program};

use super::{Gate, Kernel, error::KernelError, object};

/// Which program a frame is given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialProgram {
    /// XDP on ingress.
    Ingress,
    /// TC on ingress.
    IngressTc,
    /// TC on egress.
    Egress,
    /// XDP on ingress of an interface without a link-layer header.
    IngressIp,
    /// TC on ingress of such an interface.
    IngressIpTc,
    /// TC on egress of such an interface.
    EgressIp,
    /// The program that only passes.
    Pass,
    /// A new SYN; the frame's source address counts the flows.
    NewSyn,
    /// A new SYN and its SYN/ACK.
    Pair,
    /// TC on ingress: the stand-in page's.
    StandIn,
    /// One look of the timer at the deadlines.
    Look,
}

impl TrialProgram {
    const fn name(self) -> &'static str {
        match self {
            Self::Ingress => program::INGRESS,
            Self::IngressTc => program::INGRESS_TC,
            Self::Egress => program::EGRESS,
            Self::IngressIp => program::INGRESS_IP,
            Self::IngressIpTc => program::INGRESS_IP_TC,
            Self::EgressIp => program::EGRESS_IP,
            Self::Pass => program::PASS,
            Self::NewSyn => program::NEW_SYN,
            Self::Pair => program::PAIR,
            Self::StandIn => program::STAND_IN,
            Self::Look => program::LOOK,
        }
    }
}

/// What a program did with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The program's verdict: `XDP_PASS` is 2, TC's "next program" is -1 as `u32`.
    pub verdict: u32,
    /// Mean time of one run.
    pub duration: Duration,
}

/// Which program of the gate a frame is given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateProgram {
    /// TC ingress.
    Arrives,
    /// TC egress.
    Leaves,
}

impl Gate {
    /// Gives `frame` to a program of the gate once. Returns its verdict: `TC_ACT_SHOT` is 2, "next program" is -1 as `u32`.
    pub fn trial(&self, program: GateProgram, frame: &[u8]) -> Result<u32, KernelError> {
        let name = match program {
            GateProgram::Arrives => program::GATE_IN,
            GateProgram::Leaves => program::GATE_OUT,
        };
        let program = self.ebpf.program(name).ok_or(KernelError::ProgramMissing(name))?;
        let program: &SchedClassifier = program.try_into().map_err(|source| KernelError::program(name, source))?;
        let options = TestRunOptions { data_in: Some(frame), ..TestRunOptions::default() };
        let result = program.test_run(options).map_err(|source| KernelError::program(name, source))?;
        Ok(result.return_value)
    }
}

impl Kernel {
    /// What the tables of attempts take, in bytes: it is fixed when they are made.
    pub fn memory(&self) -> Result<u64, KernelError> {
        [map::PENDING, map::DEADLINES].into_iter().try_fold(0, |sum, name| {
            let aya::maps::Map::Array(data) = self.ebpf.map(name).ok_or(KernelError::MapMissing(name))? else {
                return Err(KernelError::MapMissing(name));
            };
            let info = data.info().map_err(|source| KernelError::map(name, source))?;
            Ok(sum + u64::from(info.max_entries()) * u64::from(info.value_size()))
        })
    }

    /// Loads what is loaded only when it is needed.
    pub(super) fn load_tried(&mut self, tried: &[TrialProgram]) -> Result<(), KernelError> {
        tried.iter().try_for_each(|tried| match tried {
            TrialProgram::Ingress | TrialProgram::IngressIp => object::xdp(&mut self.ebpf, tried.name()).map(drop),
            _ => object::classifier(&mut self.ebpf, tried.name()).map(drop),
        })
    }

    /// Gives `frame` (at least 14 bytes) to a program `repeat` times.
    pub fn trial(&self, tried: TrialProgram, frame: &[u8], repeat: u32) -> Result<Trial, KernelError> {
        let name = tried.name();
        let options = TestRunOptions { data_in: Some(frame), repeat, ..TestRunOptions::default() };
        let program = self.ebpf.program(name).ok_or(KernelError::ProgramMissing(name))?;
        let result = match tried {
            TrialProgram::Ingress
            | TrialProgram::IngressIp
            | TrialProgram::Pass
            | TrialProgram::NewSyn
            | TrialProgram::Pair => {
                let xdp: &Xdp = program.try_into().map_err(|source| KernelError::program(name, source))?;
                xdp.test_run(options)
            }
            TrialProgram::IngressTc
            | TrialProgram::IngressIpTc
            | TrialProgram::Egress
            | TrialProgram::EgressIp
            | TrialProgram::StandIn
            | TrialProgram::Look => {
                let classifier: &SchedClassifier =
                    program.try_into().map_err(|source| KernelError::program(name, source))?;
                classifier.test_run(options)
            }
        }
        .map_err(|source| KernelError::program(name, source))?;
        Ok(Trial { verdict: result.return_value, duration: result.duration })
    }
}
