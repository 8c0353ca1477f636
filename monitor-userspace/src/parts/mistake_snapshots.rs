//! What is said of mistakes in the configuration, word for word.
#![expect(clippy::unwrap_used, reason = "tests")]

use insta::assert_snapshot;

fn mistakes(text: &str) -> String {
    super::parse("ringback.toml", text).map(drop).unwrap_err().to_string()
}

#[test]
fn what_is_not_toml() {
    assert_snapshot!(mistakes("[watch]\nservers = [\"auto\"\n"), @"ringback.toml:2: unclosed array, expected `]`");
}

#[test]
fn an_unknown_key() {
    assert_snapshot!(mistakes("[watch]\nsyn_timout = \"3s\"\n"), @"ringback.toml:2: watch.syn_timout: there is no key `syn_timout` here; did you mean `syn_timeout`?");
    assert_snapshot!(mistakes("[wacth]\n"), @"ringback.toml:1: wacth: there is no key `wacth` here; did you mean `watch`?");
}

#[test]
fn a_value_of_the_wrong_kind() {
    assert_snapshot!(mistakes("[watch]\nsyn_timeout = 3\n"), @"ringback.toml:2: watch.syn_timeout: invalid type: integer `3`, expected a string");
    assert_snapshot!(mistakes("[watch]\n\nsyn_timeout = \"3 apples\"\n"), @"ringback.toml:3: watch.syn_timeout: `3 apples` is not a duration: write 500ms, 3s, 10m or 24h");
    assert_snapshot!(mistakes("[[address]]\nclient = \"10.1.1.x\"\nmail = \"a@example.net\"\n"), @"ringback.toml:2: address[0].client: `10.1.1.x` is not an address or network: write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32");
}

#[test]
fn values_that_make_no_sense_are_named_all_at_once() {
    let text = r#"
[watch]
servers = []
syn_timeout = "0s"
pending = 5
[outage]
min_failures = 0
min_clients = 0
[recovery]
trap_oids = ["1.3.6.1", "coldStart"]
probe = "1h"
probe_timeout = "0s"
signal_listen = "127.0.0.1:8099"
[[recovery.snmp_user]]
name = "ringback"
auth = "sha256"
privacy = "aes128"
engine_id = "80xx"
[notify]
from = "nobody"
connections = 0
retry = "0s"
[store]
url = "mysql://db/ringback"
[[address]]
client = "10.1.1.1"
mail = "sato"
[[address]]
client = "10.1.1.1"
mail = "sato@example.jp"
"#;
    assert_snapshot!(mistakes(text), @r#"
    ringback.toml:3: watch.servers: names nothing to watch: write ["auto"] or a list of addresses
    ringback.toml:4: watch.syn_timeout: is zero, so every attempt would fail: write 3s
    ringback.toml:5: watch.pending: 5 is out of range: write 1024 to 8388608
    ringback.toml:7: outage.min_failures: is 0, but an outage needs a failure: write 1 or more
    ringback.toml:8: outage.min_clients: is 0, but an outage needs a client: write 1 or more
    ringback.toml:10: recovery.trap_oids[1]: `coldStart` is not an OID: write numbers with dots, such as 1.3.6.1.6.3.1.1.5.1
    ringback.toml:11: recovery.probe: is longer than recovery.probe_max: raise probe_max or shorten probe
    ringback.toml:12: recovery.probe_timeout: is zero, so no probe could connect: write 3s
    ringback.toml:13: recovery.signal_listen: needs a secret, as a signal must be authenticated: set recovery.signal_secret_file
    ringback.toml:16: recovery.snmp_user[0].auth: needs a pass phrase: set auth_secret_file
    ringback.toml:17: recovery.snmp_user[0].privacy: needs a pass phrase: set privacy_secret_file
    ringback.toml:18: recovery.snmp_user[0].engine_id: `80xx` is not an engine id: write 5 to 32 bytes in hexadecimal
    ringback.toml:20: notify.from: `nobody` is not a mail address (Invalid input): write Ringback <ringback@example.net>
    ringback.toml:21: notify.connections: is 0, so no mail could be sent: write 1 or more
    ringback.toml:22: notify.retry: is zero, so a mail server would be tried without a pause: write 30s
    ringback.toml:24: store.url: is not a database: write sqlite:/var/lib/ringback/ringback.db, or postgres://user@host/database
    ringback.toml:27: address[0].mail: `sato` is not a mail address (Missing domain or user): write somebody@example.net
    ringback.toml:29: address[1].client: 10.1.1.1 is already the client of entry 1: keep one
    "#);
}

#[test]
fn files_that_are_not_there() {
    let text = r#"
[recovery]
signal_listen = "127.0.0.1:8099"
signal_secret_file = "/absent/signal.secret"
[notify]
smtp = "smtps://mail.example.net"
smtp_user = "ringback"
smtp_password_file = "/absent/smtp.password"
template_dir = "/absent/templates"
[standin]
page_dir = "/absent/page"
[heartbeat]
secret_file = "/absent/heartbeat.secret"
[[peer]]
name = "web2"
paths = []
"#;
    assert_snapshot!(mistakes(text), @r#"
    ringback.toml:4: recovery.signal_secret_file: /absent/signal.secret cannot be read: No such file or directory (os error 2)
    ringback.toml:8: notify.smtp_password_file: /absent/smtp.password cannot be read: No such file or directory (os error 2)
    ringback.toml:9: notify.template_dir: /absent/templates cannot be read: No such file or directory (os error 2)
    ringback.toml:11: standin.page_dir: /absent/page/page.html cannot be read: No such file or directory (os error 2)
    ringback.toml:13: heartbeat.secret_file: /absent/heartbeat.secret cannot be read: No such file or directory (os error 2)
    ringback.toml:14: peer[0].watch: is false and the peer shares no address, so nothing is left to do with it: write watch = true, or leave the peer out
    ringback.toml:16: peer[0].paths: is empty: write at least one, such as "192.0.2.2:7411"
    "#);
}
