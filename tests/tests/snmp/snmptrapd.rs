//! The real snmptrapd beside the daemon: wherever it finds a trap, so do we, and we acknowledge whatever it does.

use std::{
    env, fs,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use lab::{Daemon, Host, Lab, Process, wait_until};

use crate::{
    datagrams::{
        INFORM, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, Sender, TRAP, TRAP_OID, TRAPS, UPTIME, content,
        element, elements, hexadecimal, long_element, notice, v2c, varbind,
    },
    odd::{public, trap_port},
    support::{LIMIT, count_of},
};

/// Datagrams of one run.
const DATAGRAMS: usize = 400;

/// Beside the daemon's own.
const PORT: u16 = 1162;

const COMMUNITY: &[u8] = b"public";

static STARTS: AtomicUsize = AtomicUsize::new(0);

/// The request-id of markers.
const MARKER: u8 = 99;

/// xorshift64*: numbers that a seed repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or_default() % end
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap_or_default()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| self.byte()).collect()
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// How many bytes say a length: now and then more than it needs.
    fn form(&mut self) -> usize {
        if self.one_in(6) { self.below(9) } else { 0 }
    }

    /// An integer of this value with bytes that it does not need, or of any.
    fn integer(&mut self, value: u8) -> Vec<u8> {
        let zeros = if self.one_in(3) { self.below(8) } else { 0 };
        let content = [vec![0; zeros], vec![value]].concat();
        let content = if self.one_in(12) { self.bytes(9) } else { content };
        long_element(INTEGER, &[&content], self.form())
    }

    fn name(&mut self) -> Vec<u8> {
        let end = if self.one_in(5) { self.bytes(6) } else { (0..self.below(8)).map(|_| self.byte() & 0x7f).collect() };
        [&[0x2b, 6, 1], end.as_slice()].concat()
    }

    fn varbind(&mut self) -> Vec<u8> {
        const TYPES: [u8; 16] =
            [0x02, 0x03, 0x04, 0x05, 0x06, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x80, 0x81, 0x82];
        let tag = if self.one_in(12) { self.byte() } else { self.pick(&TYPES) };
        let long = if self.one_in(10) { 300 } else { 9 };
        let (name, value) = (self.name(), self.bytes(long));
        let form = self.form();
        let name = long_element(OBJECT_IDENTIFIER, &[&name], self.form());
        long_element(SEQUENCE, &[&name, &long_element(tag, &[&value], self.form())], form)
    }

    fn trap_oid(&mut self) -> Vec<u8> {
        let last = self.pick(&[1, 2, 3, 4, 5]);
        let oid = if self.one_in(15) { self.bytes(9) } else { [TRAPS, &[last]].concat() };
        let tag = if self.one_in(20) { self.pick(&[INTEGER, OCTET_STRING, 0x40, 0x42]) } else { OBJECT_IDENTIFIER };
        varbind(TRAP_OID, tag, &oid)
    }

    fn varbinds(&mut self, v1: bool) -> Vec<u8> {
        let mut all = Vec::new();
        if !self.one_in(8) {
            let ticks = self.bytes(5);
            all.push(varbind(UPTIME, 0x43, &ticks));
        }
        if !(v1 || self.one_in(15)) {
            let place = if self.one_in(4) { self.below(all.len() + 1) } else { all.len() };
            let oid = self.trap_oid();
            all.insert(place, oid);
        }
        for _ in 0..self.below(4) {
            let place = if self.one_in(4) { self.below(all.len() + 1) } else { all.len() };
            let odd = self.varbind();
            all.insert(place, odd);
        }
        all.concat()
    }

    /// A trap or an inform of v1 or v2c: odd, often so odd that nobody takes it.
    fn datagram(&mut self) -> Vec<u8> {
        let tag = self.pick(&[0xa4, TRAP, TRAP, INFORM, INFORM, INFORM]);
        let v1 = tag == 0xa4;
        let version = if self.one_in(8) { self.byte() % 3 } else { u8::from(!v1) };
        let version = self.integer(version);
        let fields = if v1 {
            let enterprise = if self.one_in(5) { Vec::new() } else { self.name() };
            let agent = if self.one_in(4) { self.bytes(5) } else { vec![10, 1, 1, 1] };
            let (ticks, generic) = (self.bytes(5), self.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 0xff]));
            let specific = self.byte();
            [
                element(OBJECT_IDENTIFIER, &[&enterprise]),
                element(0x40, &[&agent]),
                self.integer(generic),
                self.integer(specific),
                element(0x43, &[&ticks]),
            ]
            .concat()
        } else {
            let (status, index) = if self.one_in(5) { (self.byte(), self.byte()) } else { (0, 0) };
            let request = self.byte();
            [self.integer(request), self.integer(status), self.integer(index)].concat()
        };
        let varbinds = self.varbinds(v1);
        let list = long_element(SEQUENCE, &[&varbinds], self.form());
        let behind = if self.one_in(8) { self.bytes(4) } else { Vec::new() };
        let pdu = long_element(tag, &[&fields, &list, &behind], self.form());
        let community = if self.one_in(15) { self.pick(&[0x40, 0x44, 0x45, 0x24]) } else { OCTET_STRING };
        let community = element(community, &[COMMUNITY]);
        let mut datagram = long_element(SEQUENCE, &[&version, &community, &pdu], self.form());
        if self.one_in(10) {
            datagram.extend(self.bytes(6));
        }
        if self.one_in(10) {
            let (place, byte) = (self.below(datagram.len()), self.byte());
            // snmptrapd is configured to take any community; ours must not.
            let said = datagram.windows(COMMUNITY.len()).position(|bytes| bytes == COMMUNITY).unwrap_or_default();
            if !(said..said + COMMUNITY.len()).contains(&place) {
                datagram[place] = byte;
            }
        }
        datagram
    }
}

/// The real snmptrapd on the gateway.
struct Snmptrapd(Process);

impl Snmptrapd {
    fn start(gateway: &Host) -> Result<Self> {
        let folder = gateway.folder().join("snmptrapd");
        fs::create_dir_all(&folder)?;
        let conf = folder.join("snmptrapd.conf");
        fs::write(&conf, "disableAuthorization yes\nformat1 FOUND %q\\n\nformat2 FOUND %v\\n\n")?;
        let mut command = gateway.command("snmptrapd");
        command.env("MIBS", "").env("SNMP_PERSISTENT_DIR", folder.join("state")).args(["-f", "-Lo", "-n", "-On", "-C"]);
        command.arg("-c").arg(conf).arg(format!("udp:0.0.0.0:{PORT}"));
        let process = gateway.spawn("snmptrapd", &mut command)?;
        // The log goes on where the one before has ended.
        let before = STARTS.fetch_add(1, Ordering::Relaxed);
        wait_until("snmptrapd listens", LIMIT, || process.output().matches("NET-SNMP version").count() > before)?;
        Ok(Self(process))
    }

    /// Traps that it has logged.
    fn found(&self) -> usize {
        self.0.output().matches("FOUND").count()
    }
}

/// Sends the datagram and a marker behind it, an inform that no commit waits for; returns the answer to the datagram, if
/// one came before the marker's.
fn send(server: &Host, to: SocketAddr, datagram: &[u8]) -> Result<(Sender, Option<Vec<u8>>)> {
    let (sender, marker) = (Sender::new(server, to)?, Sender::new(server, to)?);
    sender.send(datagram)?;
    marker.send(&v2c(INFORM, MARKER, &notice(3)))?;
    marker.answer().context("the marker is not acknowledged")?;
    let answer = sender.answer_now()?;
    Ok((sender, answer))
}

/// Traps that the daemon has found, markers among them.
fn found(daemon: &Daemon<'_>) -> Result<u64> {
    let status = daemon.status()?;
    Ok(count_of(&status, "recoveries") + count_of(&status, "not_recovery"))
}

// proves: R-5 F-10a
#[test]
fn wherever_the_real_snmptrapd_finds_a_trap_the_daemon_does_and_acknowledges_what_it_does() -> Result<()> {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map(|now| now.subsec_nanos().into());
    let seed: u64 = env::var("RINGBACK_FUZZ_SEED").ok().map_or_else(|| Ok(now()?), |seed| anyhow::Ok(seed.parse()?))?;
    println!("RINGBACK_FUZZ_SEED={seed}");
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let daemon = Daemon::start(lab.gateway(), public())?;
    let mut snmptrapd = Snmptrapd::start(lab.gateway())?;
    let ours = trap_port(server)?;
    let theirs = SocketAddr::new(ours.ip(), PORT);
    let (mut both, mut neither, mut acknowledged) = (0, 0, 0);
    let (mut theirs_before, mut ours_before) = (snmptrapd.found(), found(&daemon)?);
    for number in 0..DATAGRAMS {
        let datagram = random.datagram();
        let what = || format!("datagram {number} of seed {seed}: {}", hexadecimal(&datagram));
        let their_answer = match send(server, theirs, &datagram) {
            Ok((_, answer)) => answer,
            // A snmpTrapOID.0 that is noSuchObject, for one, ends it.
            Err(_) if !snmptrapd.0.is_running() => {
                drop(snmptrapd);
                snmptrapd = Snmptrapd::start(lab.gateway())?;
                theirs_before = snmptrapd.found();
                continue;
            }
            Err(error) => return Err(error).with_context(what),
        };
        let (sender, our_answer) = send(server, ours, &datagram).with_context(what)?;
        let (theirs_now, ours_now) = (snmptrapd.found(), found(&daemon)?);
        // Each has found the marker.
        let they_found = theirs_now - theirs_before == 2;
        let we_found = ours_now - ours_before == 2;
        ensure!(we_found || !they_found, "only snmptrapd has found {}", what());
        if they_found {
            both += 1;
        } else if !we_found {
            neither += 1;
        }
        if their_answer.is_some() {
            // A recovery is acknowledged after its commit.
            let answer = our_answer.map_or_else(|| sender.answer(), Ok);
            let answer = answer.with_context(|| format!("only snmptrapd has acknowledged {}", what()))?;
            ensure!(echoes(&datagram, &answer), "{} is answered by {}", what(), hexadecimal(&answer));
            acknowledged += 1;
        }
        (theirs_before, ours_before) = (theirs_now, ours_now);
    }
    println!("{DATAGRAMS} datagrams: {both} found by both, {acknowledged} acknowledged, {neither} found by neither");
    assert!(both > DATAGRAMS / 4 && acknowledged > DATAGRAMS / 8 && neither > DATAGRAMS / 20);
    Ok(())
}

/// Whether an answer has version, community, request-id and varbinds of the inform, byte for byte.
fn echoes(inform: &[u8], answer: &[u8]) -> bool {
    let said = |message: &[u8]| {
        let fields = elements(content(message));
        let [version, community, pdu, ..] = fields.as_slice() else { return None };
        let parts = elements(content(pdu));
        let [request, _, _, varbinds, ..] = parts.as_slice() else { return None };
        Some([version, community, request, varbinds].map(|part| part.to_vec()))
    };
    said(inform).is_some_and(|sent| said(answer) == Some(sent))
}
