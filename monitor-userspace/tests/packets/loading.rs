//! What the verifier is asked for: each combination of the parts that are removed when they are not wanted.

use ringback::{config::Watch, kernel::Kernel};

use crate::watch;

/// Each part makes the programs' stack larger, and what fits alone may not fit beside another (F-5, D-1, design rule 3).
#[tokio::test]
async fn the_programs_load_with_every_combination_of_their_parts() {
    for choice in 0..8_u8 {
        let [established, client_ack, guarding] = [1, 2, 4].map(|part| choice & part != 0);
        let watch = Watch { established, client_ack, ..watch() };
        let loaded =
            if guarding { Kernel::detached_with_guards(&watch).map(drop) } else { Kernel::detached(&watch).map(drop) };
        let parts = format!("established {established}, client_ack {client_ack}, guards {guarding}");
        loaded.unwrap_or_else(|error| panic!("with {parts}: {error}"));
    }
}
