//! Several groups of addresses, and which host is the better one for each (H-3, H-6).

use std::net::Ipv4Addr;

use anyhow::Result;
use lab::{
    Cluster, Daemon, Ways,
    cluster::{mode, settled},
    wait_until,
};

use super::{BEAT, LIMIT, alone, becomes, v4};

// proves: H-6
#[test]
fn two_groups_are_each_on_the_host_of_their_own_priority() -> Result<()> {
    let _alone = alone();
    let mail = Ipv4Addr::new(10, 9, 0, 51);
    let cluster = Cluster::new(2)?.share(&[v4().into(), mail.into()])?;
    let config = |number: u8| {
        let config = cluster.config(number, Ways::Front, "")?;
        let config = config.text("standby.interface", "eth0").text("standby.beat", BEAT);
        let group = |name: &str, address: Ipv4Addr, priority: u8| {
            format!("[[standby.group]]\nname = '{name}'\naddresses = ['{address}']\npriority = {priority}")
        };
        anyhow::Ok(config.table(&group("web", v4(), number)).table(&group("mail", mail, 3 - number)))
    };
    let first = Daemon::start(cluster.host(1), config(1)?)?;
    let mut second = Daemon::start(cluster.host(2), config(2)?)?;
    // The one that started first has both until they are given away.
    becomes(&first, "active")?;
    wait_until("the second host is heard", LIMIT, || mode(&second, "mail").is_ok_and(|mode| mode == "standby"))?;
    assert!(first.ringback(&["standby", "hand-over", "mail"])?.status.success());
    wait_until("each host has one", LIMIT, || {
        mode(&second, "mail").is_ok_and(|mode| mode == "active")
            && mode(&first, "web").is_ok_and(|mode| mode == "active")
    })?;
    assert_eq!(cluster.answering(v4())?, [cluster.host(1).mac("eth0")?]);
    assert_eq!(cluster.answering(mail)?, [cluster.host(2).mac("eth0")?]);
    second.kill9()?;
    wait_until("the first has both", LIMIT, || mode(&first, "mail").is_ok_and(|mode| mode == "active"))?;
    assert_eq!(cluster.answering(mail)?, [cluster.host(1).mac("eth0")?]);
    Ok(())
}

// proves: H-3a
#[test]
fn without_a_priority_the_smaller_mac_address_is_the_better() -> Result<()> {
    let _alone = alone();
    let cluster = Cluster::new(2)?.share(&Cluster::shared())?;
    let start = |number: u8| {
        // The names say the opposite.
        cluster.host(number).ip(&[format!("link set eth0 address 02:00:00:00:00:{}", 90 - number)])?;
        let config = cluster.config(number, Ways::Front, "")?;
        let config = config.text("standby.interface", "eth0").text("standby.beat", BEAT);
        let group = format!("[[standby.group]]\nname = 'web'\naddresses = ['{}']", v4());
        Daemon::start(cluster.host(number), config.table(&group))
    };
    let first = start(1)?;
    becomes(&first, "active")?;
    cluster.cut("server2")?;
    let second = start(2)?;
    becomes(&second, "active")?;
    cluster.heal("server2")?;
    settled(&[first, second], 2)
}
