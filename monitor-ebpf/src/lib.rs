//! What a frame says: the part of the programs that only reads packets. It knows no map and decides nothing, so that both
//! objects, the watch and the gate, are built on it.
#![no_std]

pub mod parse;
