//! v1 and v2c: traps and informs of the real net-snmp end the outages of their sender (F-10).

use std::fs;

use anyhow::{Context as _, Result};
use lab::{Daemon, DatabaseLock, Lab, wait_until};

use crate::support::{Agent, COLD_START, LIMIT, config, counted, ended_by_trap, fail, gateway_of, snmp, stop};

// proves: F-10a
#[test]
fn traps_and_informs_of_each_version_end_the_outages_of_their_sender() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let daemon = Daemon::start(lab.gateway(), config())?;
    let to = gateway_of(server)?;
    let sent: [(&str, &[&str]); 3] = [
        ("snmptrap", &["-v", "1", "-c", "s3cret", &to, "", "", "0", "0", ""]),
        ("snmptrap", &["-v", "2c", "-c", "s3cret", &to, "", COLD_START]),
        ("snmpinform", &["-v", "2c", "-c", "s3cret", "-t", "2", "-r", "1", &to, "", COLD_START]),
    ];
    for (index, (program, args)) in sent.into_iter().enumerate() {
        fail(&daemon, &lab)?;
        assert!(snmp(server, program, args)?, "{program} {args:?}");
        ended_by_trap(&daemon, index + 1)?;
    }
    counted(&daemon, "acknowledged", 1)?;
    Ok(())
}

// proves: F-10a
#[test]
fn a_wrong_community_another_meaning_and_another_sender_end_nothing() -> Result<()> {
    let lab = Lab::builder().servers(2).build()?;
    let (server, other) = (lab.server(1), lab.server(2));
    let daemon = Daemon::start(lab.gateway(), config())?;
    let to = gateway_of(server)?;
    fail(&daemon, &lab)?;
    assert!(snmp(server, "snmptrap", &["-v", "2c", "-c", "public", &to, "", COLD_START])?);
    counted(&daemon, "bad_community", 1)?;
    // authenticationFailure, and net-snmp's own word that it goes down.
    for oid in ["1.3.6.1.6.3.1.1.5.5", "1.3.6.1.4.1.8072.4.0.2"] {
        assert!(snmp(server, "snmptrap", &["-v", "2c", "-c", "s3cret", &to, "", oid])?);
    }
    counted(&daemon, "not_recovery", 2)?;
    // Another server that claims to speak for this one is not a configured proxy.
    let claim = server.v4().to_string();
    let args = ["-v", "2c", "-c", "s3cret", &gateway_of(other)?, "", COLD_START, "1.3.6.1.6.3.18.1.3.0", "a", &claim];
    assert!(snmp(other, "snmptrap", &args)?);
    counted(&daemon, "recoveries", 1)?;
    let mut noise = lab.gateway().command("nc");
    noise.args(["-u", "-w", "1", "127.0.0.1", "162"]).stdin(fs::File::open(daemon.config_file())?);
    noise.output()?;
    counted(&daemon, "malformed", 1)?;
    assert_eq!(daemon.status()?["waiting_clients"], 1);
    Ok(())
}

// proves: F-10a
#[test]
fn an_agent_that_stops_is_no_recovery_and_one_that_starts_is() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let daemon = Daemon::start(lab.gateway(), config())?;
    let to = gateway_of(server)?;
    let agent = Agent::configured(server, &format!("rocommunity s3cret\ntrap2sink {to} s3cret\n"))?;
    let running = agent.start(server)?;
    counted(&daemon, "recoveries", 1)?;
    fail(&daemon, &lab)?;
    stop(running)?;
    counted(&daemon, "not_recovery", 1)?;
    assert_eq!(daemon.status()?["waiting_clients"], 1);
    let running = agent.start(server)?;
    counted(&daemon, "recoveries", 2).with_context(|| running.output())?;
    ended_by_trap(&daemon, 1)
}

// proves: F-10a
#[test]
fn an_inform_is_acknowledged_only_by_a_daemon_that_has_committed_it() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let mut daemon = Daemon::start(lab.gateway(), config())?;
    let to = gateway_of(server)?;
    fail(&daemon, &lab)?;
    let inform = ["-v", "2c", "-c", "s3cret", "-t", "1", "-r", "0", &to, "", COLD_START];
    let lock = DatabaseLock::take(&daemon)?;
    assert!(!snmp(server, "snmpinform", &inform)?, "acknowledged before the commit");
    lock.release()?;
    wait_until("the inform is acknowledged", LIMIT, || snmp(server, "snmpinform", &inform).unwrap_or(false))?;
    ended_by_trap(&daemon, 1)?;
    daemon.sigterm()?;
    Ok(())
}
