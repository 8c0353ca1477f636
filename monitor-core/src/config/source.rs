//! The file's text: from it to settings, and from a mistake's key to its line.

use super::{
    Config, ConfigError, Key, Mistake, Place,
    document::{Document, in_text},
};

/// A text, and the name of its file.
#[derive(Clone, Debug)]
pub struct Source {
    file: String,
    text: String,
}

/// The settings of a text as far as it can be read, and the mistakes so far.
#[derive(Clone, Debug)]
pub struct Reading {
    config: Config,
    mistakes: Vec<Mistake>,
    /// Parts of the text that the settings do without, in the order in which they were left out.
    left_out: Vec<Key>,
}

impl Source {
    /// `file` names it in mistakes.
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        Self { file: file.into(), text: text.into() }
    }

    /// Reads the text without a look at what it says. What cannot be read is a mistake, and is left out.
    ///
    /// # Errors
    /// Everything by which the text is no TOML at all: nothing is read then.
    pub fn read(&self) -> Result<Reading, ConfigError> {
        let mut document = Document::parse(&self.file, &self.text).map_err(|mistakes| self.error(mistakes))?;
        let (mut mistakes, mut left_out) = (Vec::new(), Vec::new());
        let mut config = loop {
            match document.settings() {
                Ok(config) => break config,
                Err(fault) => {
                    let Some(cut) = document.leave_out(&fault) else {
                        return Err(self.error([mistakes, vec![fault.mistake]].concat()));
                    };
                    // What is missing may be what was left out.
                    let follows = left_out.iter().any(|left_out: &Key| left_out.is_within(&cut) && *left_out != cut);
                    if !follows {
                        mistakes.push(fault.mistake);
                    }
                    left_out.push(cut);
                    left_out.extend(fault.meant);
                }
            }
        };
        config.watch.shared = config.is_shared();
        config.watch.needs_xdp = config.needs_xdp();
        Ok(Reading { config, mistakes, left_out })
    }

    /// The mistakes with their lines, in the order of the text.
    #[must_use]
    pub fn error(&self, mut mistakes: Vec<Mistake>) -> ConfigError {
        let document = Document::parse(&self.file, &self.text).ok();
        for mistake in &mut mistakes {
            if mistake.place.is_none() {
                let line = document.as_ref().and_then(|document| document.line_of(&mistake.key));
                mistake.place = Some(Box::new(Place { file: self.file.clone(), line }));
            }
        }
        mistakes.sort_by_key(|mistake| mistake.place.as_ref().and_then(|place| place.line));
        ConfigError { mistakes }
    }
}

impl Reading {
    /// The settings; defaults where the text could not be read.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Adds mistakes that a look at [`Reading::config`] has found. A mistake that may only follow from one that is known
    /// already is left for the next look.
    pub fn add(&mut self, found: Vec<Mistake>) {
        for mistake in found {
            let mistake = mistake.with_keys(|key| in_text(key, &self.left_out));
            let follows = mistake.keys().any(|key| self.left_out.iter().any(|left_out| left_out.touches(key)));
            let is_known = self.mistakes.iter().any(|known| known.key == mistake.key && known.reason == mistake.reason);
            if !follows && !is_known {
                self.mistakes.push(mistake);
            }
        }
    }

    /// The settings, if they have no mistakes.
    ///
    /// # Errors
    /// Every mistake.
    pub fn finish(self, source: &Source) -> Result<Config, ConfigError> {
        if self.mistakes.is_empty() { Ok(self.config) } else { Err(source.error(self.mistakes)) }
    }
}

/// Reads and checks a configuration's text; files that it names are not looked at. `file` names it in mistakes.
///
/// # Errors
/// Every mistake in it.
pub fn parse(file: &str, text: &str) -> Result<Config, ConfigError> {
    let source = Source::new(file, text);
    let mut reading = source.read()?;
    let found = super::check(reading.config());
    reading.add(found);
    reading.finish(&source)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::parse;

    fn lines(text: &str) -> Vec<String> {
        parse("f", text).unwrap_err().to_string().lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_value_that_cannot_be_read_is_named_with_its_line_and_its_key() {
        let text = "[watch]\nsyn_timeot = '3s'\npending = 'many'\nservers = ['10.0.0.0/33', 'auto', 'x']\n\
                    [wacth]\n[[address]]\nclient = '10.0.0.1'\nmail = 'a@example.net'\n[[address]]\nclient = 3\n\
                    mail = 'b@example.net'\nlanguage = 'fr'\n[[address]]\nmail = 'c@example.net'\n[outage]\nmin_clients = 0\n";
        let lines = lines(text);
        let expected = [
            "f:2: watch.syn_timeot: there is no key `syn_timeot` here; did you mean `syn_timeout`?",
            "f:3: watch.pending: invalid type: string",
            "f:4: watch.servers: `10.0.0.0/33` is not something to watch",
            "f:4: watch.servers: `x` is not something to watch",
            "f:5: wacth: there is no key `wacth` here; did you mean `watch`?",
            "f:10: address[1].client: invalid type",
            "f:12: address[1].language: unknown variant `fr`",
            "f:13: address[2]: missing field `client`",
            "f:16: outage.min_clients: is 0",
        ];
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{expected}\n{line}");
        }
    }

    #[test]
    fn what_may_follow_from_another_mistake_is_left_for_the_next_look() {
        // Read, the secret's file would be there.
        let text = "[recovery]\nsignal_listen = '127.0.0.1:1'\nsignal_secret_file = 3\n";
        assert_eq!(lines(text).len(), 1, "{:?}", lines(text));
        // The entry that is left out counts in the index of the next.
        let text =
            "[[address]]\nclient = 'x'\nmail = 'a@example.net'\n[[address]]\nclient = '10.0.0.1'\nmail = 'nobody'\n";
        assert!(
            lines(text)[1].starts_with("f:6: address[1].mail: `nobody` is not a mail address"),
            "{:?}",
            lines(text)
        );
    }

    #[test]
    fn every_place_that_is_no_toml_is_named() {
        let lines = lines("[watch]\nservers = auto\npending = 5\n[outage]\nmin_failures = = 1\n");
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("f:2: ") && lines[1].starts_with("f:5: "), "{lines:?}");
    }
}
