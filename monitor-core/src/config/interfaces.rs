//! What `watch.interfaces` may name besides interfaces: patterns and roles.

/// The role of interfaces by which a default route goes.
pub const DEFAULT_ROUTE: &str = "default-route";

/// The role of interfaces that are up and hand packets on.
pub const FORWARDING: &str = "forwarding";

/// Whether an entry names interfaces by a pattern: `*` stands for any number of characters, `?` for one.
#[must_use]
pub fn is_pattern(entry: &str) -> bool {
    entry.contains(['*', '?'])
}
