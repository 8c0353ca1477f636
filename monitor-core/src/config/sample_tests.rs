//! The sample file never drifts from the settings.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::Config;

const SAMPLE: &str = include_str!("../../../packaging/ringback.toml");

/// Keys without a default: shown with an example in the sample.
const EXAMPLES: [&str; 27] = [
    "trap_listen",
    "signal_listen",
    "signal_secret_file",
    "smtp",
    "smtp_user",
    "smtp_password_file",
    "smtp_ca_file",
    "smtp_helo_name",
    "envelope_from",
    "template_dir",
    "dns_server",
    "unsubscribe_url",
    "unsubscribe_mail",
    "pop3",
    "pop3_user",
    "pop3_password_file",
    "pop3_ca_file",
    "url",
    "metrics_listen",
    "own_listen",
    "own_url",
    "page_dir",
    "name",
    "secret_file",
    "answer_listen",
    "password_file",
    "ca_file",
];

/// The sample with the keys for which `keep` holds uncommented.
fn uncommented(keep: impl Fn(&str) -> bool) -> String {
    let lines = SAMPLE.split("#[[address]]").next().unwrap().lines().map(|line| {
        let key = line.strip_prefix('#').and_then(|rest| rest.split_once(" = "));
        match key {
            Some((key, _)) if !key.contains(' ') && keep(key) => &line[1..],
            _ => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_sample_as_it_is_and_with_its_defaults_uncommented_is_the_default() {
    assert_eq!(toml::from_str::<Config>(SAMPLE).unwrap(), Config::default());
    let text = uncommented(|key| !EXAMPLES.contains(&key));
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config::default());
}

#[test]
fn every_key_is_in_the_sample() {
    let all: Config = toml::from_str(&uncommented(|_| true)).unwrap();
    let in_sample = toml::Table::try_from(&all).unwrap();
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    for (section, keys) in defaults {
        let toml::Value::Table(keys) = keys else { continue };
        for (key, default) in keys {
            let line = format!("#{key} = ");
            // A list of tables has no line of its own.
            let is_tables = key == "snmp_user" || key == "tls";
            assert!(is_tables || SAMPLE.lines().any(|text| text.starts_with(&line)), "{section}.{key} = {default}");
            assert!(in_sample[&section].get(&key).is_some());
        }
    }
    for key in EXAMPLES {
        assert!(SAMPLE.contains(&format!("#{key} = ")), "{key}");
    }
}
