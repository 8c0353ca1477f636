//! A duration, or `off`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes `off` or `3s`.
pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        None => serializer.serialize_str("off"),
        Some(duration) => super::duration::serialize(duration, serializer),
    }
}

/// Reads `off` or `3s`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "off" { Ok(None) } else { super::duration::parse(&text).map(Some).map_err(D::Error::custom) }
}
