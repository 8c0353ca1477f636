//! Configuration files.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| ringback::fuzzing::configuration(text));
