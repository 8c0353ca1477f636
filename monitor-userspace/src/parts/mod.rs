//! From the configuration to the parts that work by it: `check`, start and reload all go this way.

mod check;
mod database;
mod load;
#[cfg(test)]
mod mistake_snapshots;
mod secret;

pub use self::{
    check::check,
    database::database,
    load::{Presence, load, mistake, parse},
};
