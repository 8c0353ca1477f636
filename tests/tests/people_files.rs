//! Files as people make them: address lists out of spreadsheets, secrets out of editors.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Output,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lab::{Attempt, Daemon, DaemonConfig, HttpServer, Lab, curl, learn};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(20);

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn import(daemon: &Daemon<'_>, file: &Path, bytes: &[u8]) -> Result<Output> {
    fs::write(file, bytes)?;
    daemon.ringback(&["address", "import", &file.display().to_string()])
}

// proves: U-7
#[test]
fn an_address_list_is_read_however_a_spreadsheet_has_saved_it() -> Result<()> {
    let lab = Lab::builder().build()?;
    let daemon = Daemon::start(lab.gateway(), DaemonConfig::new())?;
    let file = lab.folder().join("people.csv");
    for text in [
        "\u{feff}10.1.1.1,sato@example.jp,ja\r\n10.1.1.2,noc@example.jp,\r\n",
        "\u{feff}Client;Mail;Language\r\n10.1.1.1;sato@example.jp;ja\r\n10.1.1.2;noc@example.jp;\r\n",
        "sep=;\r\n\"10.1.1.1\";\"sato@example.jp\";ja\r\n10.1.1.2;noc@example.jp;;;\r\n",
        "Client\tMail\tLanguage\r10.1.1.1\tsato@example.jp\tja\r10.1.1.2\tnoc@example.jp\t\r",
    ] {
        for client in ["10.1.1.1", "10.1.1.2"] {
            daemon.ringback(&["address", "remove", client])?;
        }
        let output = import(&daemon, &file, text.as_bytes())?;
        assert!(output.status.success(), "{text:?}: {output:?}");
        let book = daemon.json(&["address", "list"])?;
        let entries: Vec<_> =
            book.as_array().into_iter().flatten().map(|line| [&line["mail"], &line["language"]]).collect();
        let expected = [["sato@example.jp".into(), "ja".into()], ["noc@example.jp".into(), Value::Null]];
        assert_eq!(entries, expected.each_ref().map(|line| line.each_ref()), "{text:?}");
    }
    let excel = utf16("\u{feff}10.1.1.3\tnobody@example.jp\r\n");
    for (bytes, said) in [
        (&excel[..], "cannot be read: it is UTF-16: save it as UTF-8 (in a spreadsheet: \"CSV UTF-8\")"),
        (&excel[2..], "it is UTF-16"),
        (b"10.1.1.3,a@example.jp\n10.1.1.4,m\xfcller@example.jp\n", "it is not UTF-8 (line 2)"),
        (b"PK\x03\x04\x14\0\x06\0", "it is a spreadsheet or an archive"),
    ] {
        let output = import(&daemon, &file, bytes)?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{text}");
        assert!(text.contains(said), "{text}");
    }
    assert_eq!(daemon.json(&["address", "list"])?.as_array().map(Vec::len), Some(2));
    Ok(())
}

// proves: U-7
#[test]
fn a_secret_out_of_an_editor_is_the_secret_or_check_says_why_it_is_none() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, gateway, service) = (lab.client(1), lab.gateway(), lab.server(1).service_v4(80));
    let secret = lab.folder().join("secret");
    let write = |bytes: &[u8]| {
        fs::write(&secret, bytes)?;
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).context("chmod")
    };
    let file = secret.display().to_string();
    // With a mark in front and Windows' line end it is what one sees of it.
    write("\u{feff}0123456789abcdef0123\r\n".as_bytes())?;
    let nginx = HttpServer::start(lab.server(1), 80)?;
    let config = DaemonConfig::new()
        .text("watch.syn_timeout", "500ms")
        .text("recovery.signal_listen", "127.0.0.1:8099")
        .text("recovery.signal_secret_file", &file)
        .address(client.v4(), "sato@example.jp");
    let daemon = Daemon::start(gateway, config)?;
    learn(&daemon, client, service)?;
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
    let body = format!(r#"{{"service":"{service}"}}"#);
    let bearer = "Authorization: Bearer 0123456789abcdef0123";
    let seen = curl(gateway, &["--header", bearer, "--data", &body, "http://127.0.0.1:8099/v1/recovered"])?;
    assert_eq!(seen.status, 202, "{seen:?}");
    // What is no text is refused wherever a secret is named.
    write(&utf16("\u{feff}0123456789abcdef0123456789abcdef\r\n"))?;
    let config = format!(
        "[notify]\nsmtp = 'smtp://127.0.0.1:25'\nsmtp_user = 'me'\nsmtp_password_file = '{file}'\n\
         [mailbox]\npop3 = 'pop3://127.0.0.1'\npop3_user = 'me'\npop3_password_file = '{file}'\n\
         [store]\nurl = 'postgres://127.0.0.1/ringback'\npassword_file = '{file}'\n\
         [recovery]\nsignal_listen = '127.0.0.1:8098'\nsignal_secret_file = '{file}'\n\
         [heartbeat]\nname = 'here'\nsecret_file = '{file}'\n[[peer]]\nname = 'there'\npaths = ['10.0.0.9:7411']\n\
         [[relay]]\nserver = '10.0.0.1'\nmail = 'r@lab.test'\ngateway = 'g'\nkeys = [{{ id = 'a', file = '{file}' }}]\n\
         [[webhook]]\nname = 'pager'\nurl = 'https://127.0.0.1/'\nsecret_file = '{file}'\n"
    );
    let toml = lab.folder().join("check.toml");
    fs::write(&toml, config)?;
    let output = daemon.ringback_with(&toml, &["check"])?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    for key in [
        "notify.smtp_password_file",
        "mailbox.pop3_password_file",
        "store.password_file",
        "recovery.signal_secret_file",
        "heartbeat.secret_file",
        "relay[0].keys",
        "webhook[0].secret_file",
    ] {
        let line = text.lines().find(|line| line.contains(key)).with_context(|| format!("{key}: {text}"))?;
        assert!(line.contains("it is UTF-16: save it as UTF-8"), "{line}");
    }
    Ok(())
}

/// The most memory that a process has had, while it runs.
fn memory(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) << 10
}

#[test]
fn a_million_addresses_are_imported_in_bounded_memory_and_others_are_told_meanwhile() -> Result<()> {
    const PEOPLE: u32 = 1_000_000;
    let lab = Lab::builder().build()?;
    let (client, service) = (lab.client(1), lab.server(1).service_v4(80));
    let config = DaemonConfig::new().text("watch.syn_timeout", "500ms").address(client.v4(), "sato@example.jp");
    let daemon = Daemon::start(lab.gateway(), config)?;
    let nginx = HttpServer::start(lab.server(1), 80)?;
    learn(&daemon, client, service)?;
    let mut text = String::from("\u{feff}Client,Mail\r\n");
    for number in 0..PEOPLE {
        let [_, a, b, c] = number.to_be_bytes();
        write!(text, "100.{a}.{b}.{c},p{number}@example.jp\r\n")?;
    }
    let file = lab.folder().join("people.csv");
    fs::write(&file, &text)?;
    drop(text);
    // One wrong line at the end: nothing is taken.
    let wrong = lab.folder().join("wrong.csv");
    fs::write(&wrong, [fs::read(&file)?, b"100.100.0.x,nobody@example.jp\r\n".to_vec()].concat())?;
    let output = daemon.ringback(&["address", "import", &wrong.display().to_string()])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains(&format!(":{}: `100.100.0.x` is not an address", PEOPLE + 2)) && said.contains("nothing was"),
        "{said}"
    );
    assert_eq!(daemon.json(&["address", "list"])?.as_array().map(Vec::len), Some(1));

    let begin = Instant::now();
    let mut command = lab.gateway().command(lab::program()?);
    command.args(["address", "import", &file.display().to_string(), "--config"]).arg(daemon.config_file());
    let mut import = lab.gateway().spawn("import", &mut command)?;
    // Meanwhile an outage begins and ends, and its client is told.
    drop(nginx);
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Refused);
    daemon.wait_for(&["status"], LIMIT, |status| status["waiting_clients"] == 1)?;
    let _nginx = HttpServer::start(lab.server(1), 80)?;
    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected);
    daemon.wait_for(&["status"], LIMIT, |status| status["outbox"]["delivered"] == 1)?;
    assert!(import.is_running(), "the outage was over before the import: {:?}", begin.elapsed());
    let mut most = 0;
    while import.is_running() {
        most = most.max(memory(import.id()));
        assert!(begin.elapsed() < Duration::from_secs(400), "no end: {}", import.output());
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(import.output().contains("1000000 entries imported in "), "{}", import.output());
    eprintln!("{} memory of the command: {} MiB", import.output().trim(), most >> 20);
    assert!(most < 64 << 20, "the command took {} MiB", most >> 20);
    // Whoever comes later is told by the new entries.
    assert!(daemon.ringback(&["address", "remove", "100.0.0.7"])?.status.success());
    assert!(daemon.ringback(&["address", "remove", "100.15.66.63"])?.status.success());
    let exported = daemon.ringback(&["address", "export"])?;
    let lines = exported.stdout.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines, 1_000_000 + 1 - 2, "{}", String::from_utf8_lossy(&exported.stderr));
    daemon.wait_for(&["status"], LIMIT, |status| status["health"] == "ok")?;
    Ok(())
}
