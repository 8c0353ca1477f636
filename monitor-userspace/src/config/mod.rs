//! The configuration file: its keys, defaults, checks and error texts.

pub mod duration;
pub mod duration_or_off;
mod parse;
mod settings;

pub use settings::*;
