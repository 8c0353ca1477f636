//! The daemon's configuration file, as a test writes it.

use std::{collections::BTreeMap, fmt::Write, net::IpAddr};

/// Settings by `section.key`, and address book lines. [`crate::Daemon`] adds the ones that keep labs apart.
#[derive(Clone, Debug, Default)]
pub struct DaemonConfig {
    settings: BTreeMap<String, BTreeMap<String, String>>,
    tables: String,
}

impl DaemonConfig {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `SECTION.KEY` to a TOML value: `set("watch.syn_timeout", "'1s'")`, `set("watch.client_ack", "true")`.
    ///
    /// # Panics
    ///
    /// Without a dot in the key: the test is wrong.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        let Some((section, key)) = key.split_once('.') else { panic!("`{key}` is not SECTION.KEY") };
        self.settings.entry(section.to_owned()).or_default().insert(key.to_owned(), value.to_owned());
        self
    }

    /// The same for a value that is a text.
    #[must_use]
    pub fn text(self, key: &str, value: &str) -> Self {
        self.set(key, &format!("'{value}'"))
    }

    /// Sets the key unless the test has.
    #[must_use]
    pub(crate) fn or(self, key: &str, value: &str) -> Self {
        let there = key.split_once('.').is_some_and(|(section, key)| {
            self.settings.get(section).is_some_and(|settings| settings.contains_key(key))
        });
        if there { self } else { self.set(key, value) }
    }

    /// Puts a client into the address book.
    #[must_use]
    pub fn address(self, client: IpAddr, mail: &str) -> Self {
        self.table(&format!("[[address]]\nclient = '{client}'\nmail = '{mail}'"))
    }

    /// Adds a whole table, such as `[[recovery.snmp_user]]` and its lines.
    #[must_use]
    pub fn table(mut self, text: &str) -> Self {
        self.tables.push_str(text);
        self.tables.push('\n');
        self
    }

    /// The file's text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (section, settings) in &self.settings {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "[{section}]");
            for (key, value) in settings {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        text + &self.tables
    }
}

#[cfg(test)]
mod tests {
    use super::DaemonConfig;

    #[test]
    fn a_test_s_own_setting_wins_over_the_lab_s() {
        let config = DaemonConfig::new().set("notify.reverse_dns", "true").or("notify.reverse_dns", "false");
        assert_eq!(config.or("watch.pending", "64").render(), "[notify]\nreverse_dns = true\n[watch]\npending = 64\n");
    }
}
