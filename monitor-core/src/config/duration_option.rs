//! A duration that may be absent.

use std::time::Duration;

use serde::{Deserializer, Serializer};

/// Writes `3s`.
pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match duration {
        None => serializer.serialize_none(),
        Some(duration) => super::duration::serialize(duration, serializer),
    }
}

/// Reads `3s`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    super::duration::deserialize(deserializer).map(Some)
}
