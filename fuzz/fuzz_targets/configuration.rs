//! Configuration files.
#![no_main]

use monitor_core::config;

libfuzzer_sys::fuzz_target!(|text: &str| configuration(text));

/// A configuration file: it is taken, or every mistake is in a line of the file. What is taken means the same when it is
/// written down and read again.
fn configuration(text: &str) {
    match config::parse("fuzzed", text) {
        Ok(config) => {
            // Some numbers that TOML can write, it cannot read (above 2^63).
            let Ok(written) = toml::to_string(&config) else { return };
            let again = config::parse("written", &written);
            assert_eq!(again.as_ref(), Ok(&config), "{written}");
        }
        Err(error) => {
            assert!(!error.mistakes.is_empty(), "an error without a mistake");
            let lines = text.split('\n').count();
            for mistake in &error.mistakes {
                let line = mistake.place.as_ref().and_then(|place| place.line);
                assert!(line.is_none_or(|line| (1..=lines).contains(&line)), "{mistake:?} of {lines} lines");
                assert!(!mistake.reason.is_empty(), "{mistake:?}");
            }
        }
    }
}
