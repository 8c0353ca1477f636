//! The hash that places an attempt in the table: SipHash-1-3 of its four-tuple.
//!
//! Anyone can send SYNs from addresses of their choice. With a hash of multiplications and shifts alone, two flows whose
//! addresses differ in the right bits collide whatever the seed is: one would then be taken for the other, and a few would
//! fill a bucket. SipHash (Aumasson and Bernstein, 2012) was made for this case.

use crate::Addr;

/// Bytes that are hashed: two addresses, two ports.
const LENGTH: u64 = 36;

/// Hash of the flow of `client` and `server` under this key.
#[inline(always)]
#[must_use]
pub const fn flow_hash(key: u64, client: Addr, server: Addr, client_port: u16, server_port: u16) -> u64 {
    let [client0, client1] = client.halves();
    let [server0, server1] = server.halves();
    let ports = LENGTH << 56 | (client_port as u64) << 16 | server_port as u64;
    // One key word is drawn; as the other it would be a constant anyway.
    let mut state = Sip::new(key, 0);
    state.absorb(client0);
    state.absorb(client1);
    state.absorb(server0);
    state.absorb(server1);
    state.absorb(ports);
    state.finish()
}

struct Sip {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl Sip {
    #[inline(always)]
    const fn new(k0: u64, k1: u64) -> Self {
        Self {
            v0: k0 ^ 0x736f_6d65_7073_6575,
            v1: k1 ^ 0x646f_7261_6e64_6f6d,
            v2: k0 ^ 0x6c79_6765_6e65_7261,
            v3: k1 ^ 0x7465_6462_7974_6573,
        }
    }

    #[inline(always)]
    const fn absorb(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.v0 ^= word;
    }

    #[inline(always)]
    const fn finish(mut self) -> u64 {
        self.v2 ^= 0xff;
        self.round();
        self.round();
        self.round();
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }

    #[inline(always)]
    const fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32).wrapping_add(self.v3);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v2 = self.v2.rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::hash::{DefaultHasher, Hasher};

    use super::flow_hash;
    use crate::Addr;

    const CLIENT: Addr = Addr { bytes: [0xfd, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5] };
    const SERVER: Addr = Addr { bytes: [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7] };

    #[test]
    fn it_is_siphash_1_3() {
        // The standard library's hasher is SipHash-1-3 with both key words 0.
        let mut theirs = DefaultHasher::new();
        theirs.write(&CLIENT.bytes);
        theirs.write(&SERVER.bytes);
        theirs.write(&(4000_u32 << 16 | 80).to_ne_bytes());
        assert_eq!(flow_hash(0, CLIENT, SERVER, 4000, 80), theirs.finish());
    }

    #[test]
    fn flows_that_differ_in_the_bits_that_multiplication_does_not_spread_do_not_collide() {
        for seed in 1..1000 {
            for bit in [0x80, 0x40, 0x04] {
                let mut other = CLIENT;
                for place in [7, 11, 15] {
                    other.bytes[place] ^= bit;
                }
                let (one, other) =
                    (flow_hash(seed, CLIENT, SERVER, 4000, 80), flow_hash(seed, other, SERVER, 4000, 80));
                assert_ne!(one >> 34, other >> 34, "seed {seed}, bit {bit:#x}");
            }
        }
    }
}
