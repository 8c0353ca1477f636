//! What the programs keep from one frame to the next: maps, and how they are counted in and changed by several CPUs at once.

pub(crate) mod atomic;
mod counters;
pub(crate) mod maps;

pub(crate) use self::counters::count;
