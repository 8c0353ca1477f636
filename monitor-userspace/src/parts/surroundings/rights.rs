//! Rights that this process lacks, and what the configuration needs them for.

use caps::{CapSet, Capability};
use monitor_core::config::{Config, GuardEnd, Mistake, Mistakes, PeerPath};

use crate::kernel;

/// What grants a missing one.
const REMEDY: &str = "run as root, or grant it (CapabilityBoundingSet= and AmbientCapabilities= of the unit; ringback.service.d has what each role needs)";

pub(super) fn look(config: &Config, mistakes: &mut Mistakes) {
    for (capability, purpose) in for_watching() {
        look_for(capability, purpose, mistakes);
    }
    look_for_roles(config, mistakes);
}

/// What a role needs beyond watching. Without it the role would fail when it is first needed: then nobody would notice.
pub(super) fn look_for_roles(config: &Config, mistakes: &mut Mistakes) {
    for (capability, purpose) in for_roles(config) {
        look_for(capability, purpose, mistakes);
    }
    // Capabilities do not tell whether the unit allows such sockets at all.
    if let Some(purpose) = for_packets(config)
        && !kernel::knows_packet_sockets()
    {
        let remedy =
            "add AF_PACKET to RestrictAddressFamilies= of the unit (ringback.service.d has what each role needs)";
        mistakes.add(Mistake::new("", format!("packet sockets are not allowed, which are needed {purpose}"), remedy));
    }
}

fn look_for(capability: Capability, purpose: &str, mistakes: &mut Mistakes) {
    if !is_granted(capability) {
        mistakes.add(Mistake::new("", format!("{capability} is missing, which is needed {purpose}"), REMEDY));
    }
}

fn is_granted(capability: Capability) -> bool {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or_default();
    // Before they were split off (Linux 5.8), these were CAP_SYS_ADMIN, which still includes them.
    let is_split_off = matches!(capability, Capability::CAP_BPF | Capability::CAP_PERFMON);
    has(capability) || is_split_off && has(Capability::CAP_SYS_ADMIN)
}

const fn for_watching() -> [(Capability, &'static str); 3] {
    [
        (Capability::CAP_BPF, "to load eBPF programs"),
        (Capability::CAP_NET_ADMIN, "to attach eBPF programs to interfaces"),
        (Capability::CAP_PERFMON, "to load eBPF programs"),
    ]
}

/// What the configuration sends whole frames for.
fn for_packets(config: &Config) -> Option<&'static str> {
    let mut paths = config.peer.iter().flat_map(|peer| &peer.paths);
    if !config.guard.is_empty() {
        Some("for the refusals of guards")
    } else if config.standby.is_some() {
        Some("to announce shared addresses")
    } else {
        paths.any(|path| matches!(path, PeerPath::Link(_))).then_some("for heartbeats in Ethernet frames")
    }
}

fn for_roles(config: &Config) -> Vec<(Capability, &'static str)> {
    let mut needed: Vec<_> =
        for_packets(config).map(|purpose| (Capability::CAP_NET_RAW, purpose)).into_iter().collect();
    if config.guard.iter().any(|guard| guard.end == GuardEnd::Fin) {
        needed.push((Capability::CAP_SYS_PTRACE, "for guards with end = \"fin\""));
    }
    needed
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use caps::Capability;
    use monitor_core::config::parse;

    use super::for_roles;

    #[test]
    fn what_is_needed_depends_on_what_is_configured() {
        let names = |text: &str| -> Vec<_> {
            for_roles(&parse("f", text).unwrap()).into_iter().map(|(capability, _)| capability).collect()
        };
        assert_eq!(names(""), []);
        let guard = "[[guard]]\nport = 80\nend = 'fin'\n[[guard.check]]\ntcp = '127.0.0.1:80'\n";
        assert_eq!(names(guard), [Capability::CAP_NET_RAW, Capability::CAP_SYS_PTRACE]);
        let peer = "heartbeat.secret_file = '/x'\n[[peer]]\nname = 'b'\nwatch = true\npaths = ['link:eth1']\n";
        assert_eq!(names(peer), [Capability::CAP_NET_RAW]);
    }
}
