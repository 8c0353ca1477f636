//! Datagrams as devices really send them: what need not be read spoils nothing.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use lab::{Daemon, DaemonConfig, Host, Lab};

use crate::{
    datagrams::{INFORM, SEQUENCE, Sender, TRAP, bytes, element, hexadecimal, notice, v2c, varbind},
    support::{count_of, counted, ended_by_trap, fail, gateway_of},
    usm::{KEEPER, NOBODY, SIGNER, User, config_of, own_engine},
};

/// NAME: HEXADECIMAL; the same that the decoder's own tests read.
const DATAGRAMS: &str = include_str!("../../../monitor-core/src/snmp/odd_datagrams.txt");

/// Datagrams of the table that come from the field.
const FROM_THE_FIELD: usize = 16;

/// Makes a message of SNMPv3 of a PDU; see there.
const V3_MESSAGE: &str = include_str!("v3_message.py");

pub(crate) fn public() -> DaemonConfig {
    DaemonConfig::new()
        .text("watch.syn_timeout", "500ms")
        .text("recovery.trap_listen", "0.0.0.0:162")
        .set("recovery.communities", "['public']")
}

pub(crate) fn trap_port(server: &Host) -> Result<SocketAddr> {
    Ok(SocketAddr::new(gateway_of(server)?.parse()?, 162))
}

/// Every datagram with its name.
fn table() -> Result<Vec<(&'static str, Vec<u8>)>> {
    let lines = DATAGRAMS.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, digits) = line.rsplit_once(": ").with_context(|| line.to_owned())?;
            Ok((name, bytes(digits)?))
        })
        .collect()
}

// proves: R-5 F-10a
#[test]
fn every_odd_datagram_that_net_snmp_takes_is_a_recovery() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let daemon = Daemon::start(lab.gateway(), public())?;
    let to = trap_port(server)?;
    let mut informs = 0;
    for (index, (name, datagram)) in table()?.into_iter().enumerate() {
        let from_the_field = index < FROM_THE_FIELD;
        if from_the_field {
            fail(&daemon, &lab)?;
        }
        let sender = Sender::new(server, to)?;
        sender.send(&datagram)?;
        let recoveries = u64::try_from(index)? + 1;
        counted(&daemon, "recoveries", recoveries).with_context(|| format!("{name}: {}", hexadecimal(&datagram)))?;
        if name.starts_with("inform") {
            informs += 1;
            sender.answer().with_context(|| name.to_owned())?;
        }
        if from_the_field {
            ended_by_trap(&daemon, index + 1).with_context(|| name.to_owned())?;
        }
    }
    counted(&daemon, "acknowledged", informs)?;
    let log = daemon.log();
    let traps: Vec<_> = log.lines().filter(|line| line.contains("recovery trap")).collect();
    let host = format!("host={}", server.v4());
    assert!(traps.iter().all(|line| line.contains(&host)), "{traps:#?}");
    Ok(())
}

// proves: R-5
#[test]
fn who_names_nobody_speaks_for_itself_even_as_a_proxy() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let proxies = format!("['{}/32']", server.v4());
    let daemon = Daemon::start(lab.gateway(), public().set("recovery.trap_proxies", &proxies))?;
    let named = |tag, content: &[u8]| {
        let address = varbind(&[0x2b, 6, 1, 6, 3, 18, 1, 3, 0], tag, content);
        v2c(TRAP, 1, &[notice(1), vec![address]].concat())
    };
    let v1 = |agent: &[u8]| {
        let enterprise: &[u8] = &[6, 8, 0x2b, 6, 1, 4, 1, 9, 1, 1];
        let pdu = element(0xa4, &[enterprise, agent, &[2, 1, 0, 2, 1, 0, 0x43, 1, 100, SEQUENCE, 0]]);
        element(SEQUENCE, &[&[2, 1, 0, 4, 6], b"public", &pdu])
    };
    let sent = [
        named(0x40, &[0, 0, 0, 0]),
        named(0x40, &[]),
        named(0x40, &[1; 16]),
        named(0x05, &[]),
        v1(&[0x40, 4, 0, 0, 0, 0]),
        v1(&[0x40, 0]),
        v1(&[0x40, 3, 1, 2, 3]),
    ];
    for (index, datagram) in sent.iter().enumerate() {
        fail(&daemon, &lab)?;
        Sender::new(server, trap_port(server)?)?.send(datagram)?;
        ended_by_trap(&daemon, index + 1).with_context(|| hexadecimal(datagram))?;
    }
    Ok(())
}

// proves: R-5
#[test]
fn what_is_cut_or_has_a_wrong_community_ends_nothing_however_odd_it_is() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let daemon = Daemon::start(lab.gateway(), public())?;
    fail(&daemon, &lab)?;
    let sender = Sender::new(server, trap_port(server)?)?;
    let (mut cut, mut others) = (0, 0);
    for (_, datagram) in table()?.into_iter().take(FROM_THE_FIELD) {
        for length in [1, 2, 20, datagram.len() / 2, datagram.len() - 1] {
            sender.send(&datagram[..length])?;
            cut += 1;
        }
        let mut other = datagram;
        let community = other.windows(6).position(|bytes| bytes == b"public").context("no community")?;
        other[community] = b'q';
        sender.send(&other)?;
        others += 1;
    }
    // A varbind's value, a varbind, and the list of them lead out of what they are in.
    let whole = v2c(INFORM, 1, &[notice(1), vec![varbind(&[0x2b], 4, b"x")]].concat());
    for (from_end, length) in [(2, 2), (2, 0x7f), (7, 7), (7, 0x7f)] {
        let mut overrun = whole.clone();
        let place = overrun.len() - from_end;
        overrun[place] = length;
        sender.send(&overrun)?;
        cut += 1;
    }
    counted(&daemon, "malformed", cut)?;
    counted(&daemon, "bad_community", others)?;
    counted(&daemon, "recoveries", 0)?;
    assert_eq!(sender.answer_now()?, None);
    assert_eq!(daemon.status()?["waiting_clients"], 1);
    Ok(())
}

/// A message of this user with this PDU, of the engine at 3 boots and 1000 s, or at those of an inform.
fn v3_message(host: &Host, user: &User, engine: &str, pdu: &[u8]) -> Result<Vec<u8>> {
    let (boots, time) = if pdu[0] == INFORM { ("1", "1") } else { ("3", "1000") };
    let mut python = host.command("python3");
    python.args(["-c", V3_MESSAGE, user.name, user.auth.1, user.privacy.1]);
    let output =
        python.args([crate::usm::AUTH, crate::usm::PRIVACY, engine, boots, time, &hexadecimal(pdu)]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    bytes(&String::from_utf8(output.stdout)?)
}

// proves: R-5 F-10a
#[test]
fn odd_varbinds_of_v3_spoil_nothing_at_any_security_level() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let users = [NOBODY, SIGNER, KEEPER];
    let daemon = Daemon::start(lab.gateway(), config_of(&lab, &users)?)?;
    let to = trap_port(server)?;
    let ours = own_engine(&lab, &daemon)?;
    let odd: [(u8, &[u8]); 5] = [(0x42, &[0xff; 4]), (0x46, &[0xff; 8]), (6, &[]), (0x47, &[5]), (0x45, &[0; 6])];
    let odd = odd.map(|(tag, content)| varbind(&[0x2b, 6, 1, 4, 1, 9], tag, content));
    let list = element(SEQUENCE, &[&notice(1).concat(), &odd.concat()]);
    let request: &[u8] = &[2, 5, 0, 0x8a, 0x11, 0x22, 0x33];
    let pdu = |tag| element(tag, &[request, &[2, 1, 0, 2, 1, 0], &list]);
    let mut outages = 0;
    for (user, number) in users.iter().zip(1..) {
        for (tag, engine) in [(TRAP, format!("0x80000000010203040{number}")), (INFORM, ours.clone())] {
            fail(&daemon, &lab)?;
            let sender = Sender::new(server, to)?;
            sender.send(&v3_message(server, user, &engine, &pdu(tag))?)?;
            outages += 1;
            ended_by_trap(&daemon, outages).with_context(|| format!("{} {tag:x}", user.name))?;
            if tag == INFORM {
                let answer = sender.answer().with_context(|| user.name.to_owned())?;
                let echoed = answer.windows(list.len()).any(|bytes| bytes == list);
                assert!(echoed || !user.privacy.0.is_empty(), "{}", hexadecimal(&answer));
            }
        }
    }
    counted(&daemon, "acknowledged", 3)?;
    // One bit of the last one.
    let mut forged = v3_message(server, &KEEPER, "0x80000000010203040a", &pdu(TRAP))?;
    *forged.last_mut().context("an empty message")? ^= 1;
    Sender::new(server, to)?.send(&forged)?;
    counted(&daemon, "wrong_digest", 1)?;
    Ok(())
}

// proves: R-5
#[test]
fn one_source_gets_so_many_reports_and_another_one_gets_its_own() -> Result<()> {
    /// `snmpinform -v 3` asks so for our engine.
    const DISCOVERY: &[u8] = include_bytes!("../../../fuzz/seeds/snmp_usm/v3_discovery");
    const ASKED: u64 = 300;
    let lab = Lab::builder().servers(2).build()?;
    let (flooded, other) = (lab.server(1), lab.server(2));
    let daemon = Daemon::start(lab.gateway(), config_of(&lab, &[KEEPER])?)?;
    for _ in 0..ASKED / 10 {
        // Each from another port.
        let sender = Sender::new(flooded, trap_port(flooded)?)?;
        for _ in 0..10 {
            sender.send(DISCOVERY)?;
        }
    }
    let status = counted(&daemon, "discoveries", ASKED)?;
    let limited = count_of(&status, "reports_limited");
    // 40 at once, and one more in 100 ms.
    assert!((ASKED - 100..=ASKED - 40).contains(&limited), "{status:#}");
    let sender = Sender::new(other, trap_port(other)?)?;
    sender.send(DISCOVERY)?;
    sender.answer()?;
    assert!(KEEPER.inform(other, &gateway_of(other)?, "10")?);
    Ok(())
}
