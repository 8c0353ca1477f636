//! VLANs, whose tags the card keeps beside the frame (offload) or leaves in it.

use anyhow::{Context as _, Result};
use lab::Lab;

use super::{Link, lab_with, output, sees_by, services};

fn vlan(lab: &Lab, offload: &str) -> Result<Link> {
    for (host, cable) in [(lab.client(1), "eth0"), (lab.gateway(), "client1")] {
        output(host, "ethtool", &["-K", cable, "txvlan", offload, "rxvlan", offload])?;
        host.ip(&[format!("link add link {cable} name {cable}.7 type vlan id 7")])?;
    }
    Ok(Link::new("eth0.7", "client1.7"))
}

// proves: G-6
#[test]
fn clients_in_a_vlan_are_seen_in_it_and_on_its_cable() -> Result<()> {
    for offload in ["on", "off"] {
        let Some((lab, _link)) = lab_with("VLAN", |lab| vlan(lab, offload))? else { return Ok(()) };
        let (vlan, cable) = (&["client1.7"][..], &["client1"][..]);
        let ways = [(cable, "native"), (cable, "auto"), (cable, "generic"), (vlan, "auto"), (vlan, "generic")];
        let seen = sees_by(&lab, lab.gateway(), &ways, &services(&lab));
        seen.with_context(|| format!("offload {offload}"))?;
    }
    Ok(())
}
