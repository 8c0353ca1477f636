//! Settings in the forms that other parts take.

use std::time::Duration;

use super::{Config, Remember, TrapConfirm};
use crate::outage::Rules;

/// How long other gateways are asked before silence is an outage: each looks once a second, and then the one that asks does.
const ASK: Duration = Duration::from_secs(3);

impl Config {
    /// The outage machine's rules.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
            refused_is_failure: self.watch.refused_is_failure,
            only_known_clients: self.watch.remember == Remember::Known,
            max_unknown: self.outage.max_unknown,
            min_failures: self.outage.min_failures,
            min_clients: self.outage.min_clients,
            confirm_refusals: self.outage.confirm_refusals,
            suspect_for: self.outage.suspect_for,
            settle: self.recovery.settle,
            max_age: self.notify.max_age,
            skip_connected: self.notify.skip_connected,
            confirm_traps: self.recovery.trap_confirm == TrapConfirm::Probe,
            probe_interval: self.recovery.probe,
            probe_max_interval: self.recovery.probe_max,
            ask: self.watch.shared.then_some(ASK),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{config::Config, outage::Rules};

    #[test]
    fn the_defaults_of_file_and_machine_are_the_same() {
        assert_eq!(Config::default().rules(), Rules::default());
    }
}
