//! From the file to the settings and the parts that they lead to, or to every mistake in them.

use std::{io, path::Path};

use monitor_core::config::{self, Config, ConfigError, Mistake, Reading, Source};

use super::{Parts, surroundings};
use crate::text_file;

/// Whether the file must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The operator named it.
    Required,
    /// It is the usual place: without a file, the defaults are in force.
    Optional,
}

/// A configuration without mistakes.
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// What they lead to.
    pub parts: Parts,
}

/// Reads the file at `path` and the files that it names.
///
/// # Errors
/// Every mistake in them.
pub fn load(path: &Path, presence: Presence) -> Result<Loaded, ConfigError> {
    judged(&source(path, presence)?)
}

/// Reads a configuration's text and the files that it names; `file` names it in mistakes.
///
/// # Errors
/// Every mistake in them.
pub fn parse(file: &str, text: &str) -> Result<Loaded, ConfigError> {
    judged(&Source::new(file, text))
}

/// [`load`], and a look at whether a daemon could start with it here and now.
///
/// # Errors
/// Every mistake, also of what is around the daemon.
pub async fn check(path: &Path, presence: Presence) -> Result<Loaded, ConfigError> {
    let source = source(path, presence)?;
    let (mut reading, parts) = read(&source)?;
    let found = surroundings::look(reading.config()).await;
    reading.add(found);
    finish(reading, parts, &source)
}

/// [`load`] for a process that is to do what the configuration says: it must have the rights for it.
///
/// # Errors
/// Every mistake, and every right that is missing.
pub fn load_to_run(path: &Path, presence: Presence) -> Result<Loaded, ConfigError> {
    let source = source(path, presence)?;
    let (mut reading, parts) = read(&source)?;
    let found = surroundings::missing_rights(reading.config());
    reading.add(found);
    finish(reading, parts, &source)
}

fn judged(source: &Source) -> Result<Loaded, ConfigError> {
    let (reading, parts) = read(source)?;
    finish(reading, parts, source)
}

fn source(path: &Path, presence: Presence) -> Result<Source, ConfigError> {
    let file = path.display().to_string();
    match text_file::read(path) {
        Ok(text) => Ok(Source::new(file, text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && presence == Presence::Optional => {
            Ok(Source::new(file, ""))
        }
        Err(error) => {
            let reason = format!("cannot be read: {error}");
            Err(Source::new(file, "").error(vec![Mistake::new("", reason, "name another file with --config")]))
        }
    }
}

fn read(source: &Source) -> Result<(Reading, Option<Parts>), ConfigError> {
    let mut reading = source.read()?;
    let found = config::check(reading.config());
    reading.add(found);
    let parts = match Parts::load(reading.config()) {
        Ok(parts) => Some(parts),
        Err(mistakes) => {
            reading.add(mistakes);
            None
        }
    };
    Ok((reading, parts))
}

fn finish(reading: Reading, parts: Option<Parts>, source: &Source) -> Result<Loaded, ConfigError> {
    let config = reading.finish(source)?;
    // Without parts there is a mistake; one that only follows from another is not named, but then that other is.
    let parts = parts.ok_or_else(|| source.error(Vec::new()))?;
    Ok(Loaded { config, parts })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use crate::parts::parse;

    fn mistakes(text: &str) -> String {
        parse("f", text).map(drop).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_name_the_key_and_the_way_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "a key that is long enough for SHA-256, surely").unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
        let key = format!("keys = [{{ id = 'k', file = '{}' }}]", file.path().display());
        let relay = |more: &str| {
            format!("[[relay]]\nserver = '192.0.2.7'\nmail = 'relay@example.net'\ngateway = 'gw'\n{key}\n{more}")
        };
        parse("f", &relay("fallback = '30m'\ndeliver = 'direct'")).map(drop).unwrap();
        parse("f", &format!("[[gateway]]\nname = 'gw'\n{key}")).map(drop).unwrap();
        for (text, expected) in [
            ("[mailbox]\npop3 = 'pop3s://h'".to_owned(), "f:1: mailbox.pop3_user: is missing"),
            ("[mailbox]\npop3_user = 'me'".to_owned(), "f:1: mailbox.pop3: is missing"),
            (relay("fallback = '1s'"), "f:6: relay[0].fallback: is too short for any mail: write 30m"),
            (relay("").replace("relay@example.net", "relay"), "f:3: relay[0].mail: `relay` is not a mail address"),
            (relay("").replace("'k'", "'k k'"), "f:5: relay[0].keys: `k k` is not a key's name"),
            (relay("") + &relay(""), "relay[1].server: 192.0.2.7 has a relay already: keep one"),
            ("[[gateway]]\nname = 'gw'\nkeys = []".to_owned(), "f:3: gateway[0].keys: 0 keys: write one"),
            ("[[notice]]\nto = []".to_owned(), "f:2: notice[0].to: names nobody"),
            ("[[notice]]\nto = ['x']".to_owned(), "f:2: notice[0].to: `x` is not a mail address"),
            (
                "[[notice]]\nto = ['webhook:x']".to_owned(),
                "f:2: notice[0].to: there is no [[webhook]] with the name `x`",
            ),
            (
                "[[webhook]]\nname = 'x'\nurl = 'http://h/'\nsecret_file = '/absent'".to_owned(),
                "f:3: webhook[0].url: is not encrypted",
            ),
            (relay("").replace("keys", "keyz"), "there is no key `keyz` here; did you mean `keys`?"),
        ] {
            let text = mistakes(&text);
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }

    #[test]
    fn every_mistake_in_the_text_and_in_the_files_is_named_once_in_the_texts_order() {
        let text = "[recovery]\nsignal_secret_file = '/absent/signal'\n[[recovery.snmp_user]]\nname = 'a'\n\
                    engine_id = 'xx'\nauth = 'sha256'\nauth_secret_file = '/absent/a'\n\
                    [notify]\nsmtp = 'mail'\nfrom = 'nobody'\nsmtp_user = 'me'\nsmtp_password_file = '/absent/p'\n\
                    template_dir = '/absent/t'\nretry = '0s'\n[standin]\npage_dir = '/absent/page'\nown_url = 'gw'\n\
                    [[standin.tls]]\ncertificate = '/absent/c'\nkey = '/absent/k'\n\
                    [[webhook]]\nname = 'a b'\nurl = 'x'\nsecret_file = '/absent/w'\nca_file = '/absent/ca'\n\
                    [[gateway]]\nname = 'gw'\nkeys = [{ id = 'a b', file = '/absent/g' }]\n";
        let keys = [
            "f:2: recovery.signal_secret_file: ",
            "f:5: recovery.snmp_user[0].engine_id: ",
            "f:7: recovery.snmp_user[0].auth_secret_file: ",
            "f:9: notify.smtp: ",
            "f:10: notify.from: ",
            "f:12: notify.smtp_password_file: ",
            "f:13: notify.template_dir: ",
            "f:14: notify.retry: ",
            "f:16: standin.page_dir: ",
            "f:17: standin.own_url: and standin.own_listen",
            "f:17: standin.own_url: `gw` is not an address without a path",
            "f:19: standin.tls[0].certificate: ",
            "f:22: webhook[0].name: ",
            "f:23: webhook[0].url: ",
            "f:24: webhook[0].secret_file: ",
            "f:25: webhook[0].ca_file: ",
            "f:28: gateway[0].keys: `a b` is not a key's name",
            "f:28: gateway[0].keys: /absent/g cannot be read",
        ];
        let text = mistakes(text);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), keys.len(), "{text}");
        for (line, key) in lines.iter().zip(keys) {
            assert!(line.starts_with(key), "{key}\n{text}");
        }
    }
}
