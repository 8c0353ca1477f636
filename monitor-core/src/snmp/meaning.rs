//! What a notification's OID means (pure).

/// nsNotifyShutdown of net-snmp: its agent goes down. Never a recovery, whatever the configuration says.
const NET_SNMP_SHUTDOWN: [u32; 10] = [1, 3, 6, 1, 4, 1, 8072, 4, 0, 2];

/// The OIDs that mean recovery.
#[derive(Clone, Debug)]
pub struct Meanings {
    recoveries: Vec<Vec<u32>>,
}

impl Meanings {
    /// Takes `recovery.trap_oids`, or names the first that is not an OID.
    pub fn new(oids: &[String]) -> Result<Self, String> {
        let recoveries = oids
            .iter()
            .map(|oid| {
                let arcs: Result<Vec<u32>, _> = oid.split('.').map(str::parse).collect();
                arcs.ok().filter(|arcs| arcs.len() >= 2).ok_or_else(|| oid.clone())
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { recoveries })
    }

    /// Whether the notification says that its sender is back.
    pub fn is_recovery(&self, oid: &[u32]) -> bool {
        oid != NET_SNMP_SHUTDOWN && self.recoveries.iter().any(|recovery| recovery == oid)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::Meanings;
    use crate::config::RecoverySettings;

    #[test]
    fn starts_are_recoveries_and_a_shutdown_is_none_even_if_it_is_configured() {
        let mut oids = RecoverySettings::default().trap_oids;
        oids.push("1.3.6.1.4.1.8072.4.0.2".to_owned());
        let meanings = Meanings::new(&oids).unwrap();
        for (last, recovery) in [(1, true), (2, true), (3, false), (4, true), (5, false)] {
            assert_eq!(meanings.is_recovery(&[1, 3, 6, 1, 6, 3, 1, 1, 5, last]), recovery, "{last}");
        }
        assert!(!meanings.is_recovery(&[1, 3, 6, 1, 4, 1, 8072, 4, 0, 2]));
        assert_eq!(Meanings::new(&["1.x".to_owned()]).unwrap_err(), "1.x");
    }
}
