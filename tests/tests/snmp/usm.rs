//! SNMPv3: users of every security level, engine discovery, the time window, and replays over restarts (F-10).

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    os::unix::fs::PermissionsExt as _,
};

use anyhow::{Context as _, Result, ensure};
use lab::{Daemon, DaemonConfig, DatabaseLock, Host, Lab, wait_until};

use crate::support::{Agent, COLD_START, LIMIT, config, counted, ended_by_trap, fail, gateway_of, snmp, stop};

const ENGINE: &str = "0x80000000010203040506";
pub(crate) const AUTH: &str = "authentic words";
pub(crate) const PRIVACY: &str = "private words";

/// A user as net-snmp and the configuration name its protocols; empty: none.
pub(crate) struct User {
    pub(crate) name: &'static str,
    pub(crate) auth: (&'static str, &'static str),
    pub(crate) privacy: (&'static str, &'static str),
}

pub(crate) const NOBODY: User = User { name: "nobody", auth: ("", ""), privacy: ("", "") };
pub(crate) const SIGNER: User = User { name: "signer", auth: ("SHA", "sha1"), privacy: ("", "") };
pub(crate) const KEEPER: User = User { name: "keeper", auth: ("SHA-256", "sha256"), privacy: ("AES", "aes128") };

const USERS: [User; 8] = [
    NOBODY,
    SIGNER,
    User { name: "signer224", auth: ("SHA-224", "sha224"), privacy: ("", "") },
    User { name: "signer384", auth: ("SHA-384", "sha384"), privacy: ("", "") },
    KEEPER,
    User { name: "keeper1", auth: ("SHA", "sha1"), privacy: ("AES", "aes128") },
    User { name: "keeper192", auth: ("SHA-256", "sha256"), privacy: ("AES-192", "aes192") },
    User { name: "keeper256", auth: ("SHA-512", "sha512"), privacy: ("AES-256", "aes256") },
];

impl User {
    /// Its table in the configuration, with secrets in this folder.
    fn table(&self, lab: &Lab) -> Result<String> {
        let mut table = format!("[[recovery.snmp_user]]\nname = '{}'\n", self.name);
        for (kind, (_, protocol), secret) in [("auth", self.auth, AUTH), ("privacy", self.privacy, PRIVACY)] {
            if !protocol.is_empty() {
                let file = lab.gateway().folder().join(kind);
                fs::write(&file, secret)?;
                fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
                table += &format!("{kind} = '{protocol}'\n{kind}_secret_file = '{}'\n", file.display());
            }
        }
        Ok(table)
    }

    /// net-snmp's options for it.
    fn options(&self) -> Vec<&'static str> {
        let level = match (self.auth.0, self.privacy.0) {
            ("", _) => "noAuthNoPriv",
            (_, "") => "authNoPriv",
            _ => "authPriv",
        };
        let mut options = vec!["-v", "3", "-u", self.name, "-l", level];
        if !self.auth.0.is_empty() {
            options.extend(["-a", self.auth.0, "-A", AUTH]);
        }
        if !self.privacy.0.is_empty() {
            options.extend(["-x", self.privacy.0, "-X", PRIVACY]);
        }
        options
    }

    /// A trap of this engine at its `boots,time`.
    fn trap(&self, from: &Host, engine_time: &str, to: &str, oid: &str) -> Result<()> {
        let mut args = self.options();
        args.extend(["-e", ENGINE, "-Z", engine_time, to, "", oid]);
        ensure!(snmp(from, "snmptrap", &args)?, "snmptrap {args:?}");
        Ok(())
    }

    /// Whether an inform is acknowledged within so many seconds.
    pub(crate) fn inform(&self, from: &Host, to: &str, seconds: &str) -> Result<bool> {
        let mut args = self.options();
        args.extend(["-t", seconds, "-r", "0", to, "", COLD_START]);
        snmp(from, "snmpinform", &args)
    }
}

pub(crate) fn config_of(lab: &Lab, users: &[User]) -> Result<DaemonConfig> {
    users.iter().try_fold(config(), |config, user| Ok(config.table(&user.table(lab)?)))
}

/// The datagram of a trap, as it leaves the server.
fn capture(user: &User, server: &Host, engine_time: &str) -> Result<Vec<u8>> {
    let socket = server.enter(|| UdpSocket::bind("127.0.0.1:0"))??;
    socket.set_read_timeout(Some(LIMIT))?;
    user.trap(server, engine_time, &socket.local_addr()?.to_string(), COLD_START)?;
    let mut datagram = vec![0; 2000];
    let length = socket.recv(&mut datagram).context("no trap came")?;
    datagram.truncate(length);
    Ok(datagram)
}

/// The daemon's engine id, which a sender would keep after its first inform.
pub(crate) fn own_engine(lab: &Lab, daemon: &Daemon<'_>) -> Result<String> {
    let script = "import sqlite3,sys; print(sqlite3.connect(sys.argv[1]).execute('select hex(id) from local_engine').fetchone()[0])";
    let mut python = lab.gateway().command("python3");
    let output = python.args(["-c", script]).arg(daemon.state_dir().join("ringback.db")).output()?;
    Ok(format!("0x{}", String::from_utf8_lossy(&output.stdout).trim()))
}

fn send(server: &Host, datagram: &[u8], to: &str) -> Result<()> {
    let to: SocketAddr = format!("{to}:162").parse()?;
    let socket = server.enter(|| UdpSocket::bind("0.0.0.0:0"))??;
    socket.send_to(datagram, to)?;
    Ok(())
}

// proves: F-10a
#[test]
fn traps_and_informs_of_every_security_level_end_the_outages_of_their_sender() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let daemon = Daemon::start(lab.gateway(), config_of(&lab, &USERS)?)?;
    let to = gateway_of(server)?;
    let mut outages = 0;
    for (user, boots) in USERS.iter().zip(1..) {
        fail(&daemon, &lab)?;
        user.trap(server, &format!("{boots},10"), &to, COLD_START)?;
        outages += 1;
        ended_by_trap(&daemon, outages).with_context(|| format!("trap of {}", user.name))?;
        assert!(user.inform(server, &to, "10")?, "inform of {}", user.name);
    }
    for user in [NOBODY, SIGNER, KEEPER] {
        fail(&daemon, &lab)?;
        assert!(user.inform(server, &to, "10")?, "inform of {}", user.name);
        outages += 1;
        ended_by_trap(&daemon, outages).with_context(|| format!("inform of {}", user.name))?;
    }
    counted(&daemon, "acknowledged", 11)?;
    Ok(())
}

// proves: F-10a
#[test]
fn a_trap_that_comes_again_ends_nothing_even_after_a_kill() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let mut daemon = Daemon::start(lab.gateway(), config_of(&lab, &[KEEPER])?)?;
    let to = gateway_of(server)?;
    let trap = capture(&KEEPER, server, "4,1000")?;
    fail(&daemon, &lab)?;
    send(server, &trap, &to)?;
    ended_by_trap(&daemon, 1)?;
    fail(&daemon, &lab)?;
    send(server, &trap, &to)?;
    counted(&daemon, "replayed", 1)?;
    daemon.kill9()?;
    daemon.launch()?;
    send(server, &trap, &to)?;
    counted(&daemon, "replayed", 1)?;
    assert_eq!(daemon.status()?["waiting_clients"], 1);
    // The same engine, later and after a start of its own.
    KEEPER.trap(server, "5,0", &to, COLD_START)?;
    ended_by_trap(&daemon, 2)
}

// proves: F-10a
#[test]
fn what_is_not_authentic_ends_nothing_and_is_counted_by_reason() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let only = KEEPER.table(&lab)?.replace("'keeper'", "'only'") + "engine_id = '0x8000000009090909'\n";
    let daemon = Daemon::start(lab.gateway(), config_of(&lab, &[SIGNER, KEEPER])?.table(&only))?;
    let to = gateway_of(server)?;
    KEEPER.trap(server, "4,1000", &to, "1.3.6.1.6.3.1.1.5.3")?;
    counted(&daemon, "not_recovery", 1)?;
    fail(&daemon, &lab)?;
    let stranger = User { name: "stranger", ..KEEPER };
    let elsewhere = User { name: "only", ..KEEPER };
    for (count, user) in [(1, stranger), (2, elsewhere)] {
        user.trap(server, "4,1001", &to, COLD_START)?;
        counted(&daemon, "unknown_user", count)?;
    }
    User { privacy: ("", ""), ..KEEPER }.trap(server, "4,1001", &to, COLD_START)?;
    counted(&daemon, "wrong_level", 1)?;
    User { auth: ("SHA-512", ""), ..KEEPER }.trap(server, "4,1001", &to, COLD_START)?;
    counted(&daemon, "wrong_digest", 1)?;
    User { privacy: ("AES-256", ""), ..KEEPER }.trap(server, "4,1001", &to, COLD_START)?;
    counted(&daemon, "undecryptable", 1)?;
    for (count, time) in [(1, "4,800"), (2, "3,1001"), (3, "2147483647,1")] {
        KEEPER.trap(server, time, &to, COLD_START)?;
        counted(&daemon, "not_in_window", count)?;
    }
    let mut changed = capture(&SIGNER, server, "4,1002")?;
    *changed.last_mut().context("an empty datagram")? ^= 1;
    send(server, &changed, &to)?;
    counted(&daemon, "wrong_digest", 2)?;
    changed.truncate(40);
    send(server, &changed, &to)?;
    counted(&daemon, "malformed", 1)?;
    assert!(!User { name: "stranger", ..KEEPER }.inform(server, &to, "1")?);
    assert_eq!(daemon.status()?["waiting_clients"], 1);
    KEEPER.trap(server, "4,900", &to, COLD_START)?;
    ended_by_trap(&daemon, 1)
}

// proves: F-10a
#[test]
fn an_encrypted_inform_is_acknowledged_after_the_commit_and_a_stale_one_is_told_our_time() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let daemon = Daemon::start(lab.gateway(), config_of(&lab, &[KEEPER])?)?;
    let to = gateway_of(server)?;
    fail(&daemon, &lab)?;
    let lock = DatabaseLock::take(&daemon)?;
    assert!(!KEEPER.inform(server, &to, "1")?, "acknowledged before the commit");
    lock.release()?;
    wait_until("the inform is acknowledged", LIMIT, || KEEPER.inform(server, &to, "1").unwrap_or(false))?;
    ended_by_trap(&daemon, 1)?;
    // A sender whose idea of our clock is wrong is told, and sends again by itself.
    let engine = own_engine(&lab, &daemon)?;
    let mut args = KEEPER.options();
    args.extend(["-e", &engine, "-Z", "1,9999", "-t", "2", "-r", "2", &to, "", COLD_START]);
    assert!(snmp(server, "snmpinform", &args)?, "not acknowledged");
    counted(&daemon, "not_in_window", 1)?;
    Ok(())
}

// proves: F-10a
#[test]
fn a_user_may_speak_for_a_server_from_elsewhere() -> Result<()> {
    let lab = Lab::builder().servers(2).build()?;
    let (server, manager) = (lab.server(1), lab.server(2));
    let table = KEEPER.table(&lab)? + &format!("server = '{}'\n", server.v4());
    let daemon = Daemon::start(lab.gateway(), config().table(&table))?;
    fail(&daemon, &lab)?;
    KEEPER.trap(manager, "1,1", &gateway_of(manager)?, COLD_START)?;
    ended_by_trap(&daemon, 1)
}

// proves: F-10a
#[test]
fn an_agent_with_v3_only_that_stops_is_no_recovery_and_one_that_starts_is() -> Result<()> {
    let lab = Lab::builder().build()?;
    let server = lab.server(1);
    let daemon = Daemon::start(lab.gateway(), config_of(&lab, &[KEEPER])?)?;
    let to = gateway_of(server)?;
    let conf = format!(
        "createUser keeper SHA-256 \"{AUTH}\" AES \"{PRIVACY}\"\nrouser keeper\n\
         trapsess -v 3 -u keeper -l authPriv -a SHA-256 -A \"{AUTH}\" -x AES -X \"{PRIVACY}\" {to}\n"
    );
    let agent = Agent::configured(server, &conf)?;
    let running = agent.start(server)?;
    counted(&daemon, "recoveries", 1).with_context(|| running.output())?;
    fail(&daemon, &lab)?;
    stop(running)?;
    counted(&daemon, "not_recovery", 1)?;
    assert_eq!(daemon.status()?["waiting_clients"], 1);
    let running = agent.start(server)?;
    counted(&daemon, "recoveries", 2).with_context(|| running.output())?;
    ended_by_trap(&daemon, 1)
}
