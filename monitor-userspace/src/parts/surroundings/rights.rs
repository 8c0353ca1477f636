//! Capabilities that this process lacks, and what the configuration needs them for.

use caps::{CapSet, Capability};
use monitor_core::config::{Config, GuardEnd, Mistake, Mistakes, PeerPath};

/// What grants a missing one.
const REMEDY: &str = "run as root, or grant it (AmbientCapabilities= of the unit)";

pub(super) fn look(config: &Config, mistakes: &mut Mistakes) {
    for (capability, purpose) in needed(config) {
        if !is_granted(capability) {
            mistakes.add(Mistake::new("", format!("{capability} is missing, which is needed {purpose}"), REMEDY));
        }
    }
}

fn is_granted(capability: Capability) -> bool {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or_default();
    // Before they were split off (Linux 5.8), these were CAP_SYS_ADMIN, which still includes them.
    let is_split_off = matches!(capability, Capability::CAP_BPF | Capability::CAP_PERFMON);
    has(capability) || is_split_off && has(Capability::CAP_SYS_ADMIN)
}

/// What the configuration needs.
fn needed(config: &Config) -> Vec<(Capability, &'static str)> {
    let mut needed = vec![
        (Capability::CAP_BPF, "to load eBPF programs"),
        (Capability::CAP_NET_ADMIN, "to attach eBPF programs to interfaces"),
        (Capability::CAP_PERFMON, "to load eBPF programs"),
    ];
    let frames = config.peer.iter().flat_map(|peer| &peer.paths).any(|path| matches!(path, PeerPath::Link(_)));
    if !config.guard.is_empty() {
        needed.push((Capability::CAP_NET_RAW, "for the refusals of guards"));
    } else if config.standby.is_some() {
        needed.push((Capability::CAP_NET_RAW, "to announce shared addresses"));
    } else if frames {
        needed.push((Capability::CAP_NET_RAW, "for heartbeats in Ethernet frames"));
    }
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

    use super::needed;

    #[test]
    fn what_is_needed_depends_on_what_is_configured() {
        let names = |text: &str| -> Vec<_> {
            needed(&parse("f", text).unwrap()).into_iter().map(|(capability, _)| capability).collect()
        };
        let plain = [Capability::CAP_BPF, Capability::CAP_NET_ADMIN, Capability::CAP_PERFMON];
        assert_eq!(names(""), plain);
        let guard = "[[guard]]\nport = 80\nend = 'fin'\n[[guard.check]]\ntcp = '127.0.0.1:80'\n";
        assert_eq!(names(guard)[3..], [Capability::CAP_NET_RAW, Capability::CAP_SYS_PTRACE]);
        let peer = "heartbeat.secret_file = '/x'\n[[peer]]\nname = 'b'\nwatch = true\npaths = ['link:eth1']\n";
        assert_eq!(names(peer)[3..], [Capability::CAP_NET_RAW]);
    }
}
