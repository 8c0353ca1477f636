//! What the programs log: failures of the rare programs that the daemon runs itself. Nothing that a packet passes logs.

use aya::Ebpf;
use aya_log::EbpfLogger;

use super::error::KernelError;

/// The reading end of the programs' log.
pub(super) struct Log(EbpfLogger<&'static dyn log::Log>);

impl Log {
    /// Passes on to the process's logger.
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        EbpfLogger::init(ebpf).map(Self).map_err(|error| KernelError::Log(error.to_string()))
    }

    pub(super) fn flush(&mut self) {
        self.0.flush();
    }
}
