//! Addresses of both families in one form.

/// An IPv6 address, or an IPv4 address as `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2), in network byte order.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Addr {
    /// Network byte order.
    pub bytes: [u8; 16],
}

const _: () = assert!(size_of::<Addr>() == 16);

impl Addr {
    /// Length of the prefix that is one address.
    pub const BITS: u32 = 128;

    /// The IPv4 address with these four bytes, read as a native integer from the packet.
    #[inline(always)]
    #[must_use]
    pub const fn from_v4(native: u32) -> Self {
        // In halves: from single bytes the compiler makes single stores, and calls to fill the zeros.
        let mapped = u32::from_ne_bytes([0, 0, 0xff, 0xff]);
        let low_first = cfg!(target_endian = "little");
        let (low, high) = if low_first { (mapped, native) } else { (native, mapped) };
        Self::from_halves([0, (high as u64) << 32 | low as u64])
    }

    /// The address whose [`Addr::halves`] these are.
    #[inline(always)]
    #[must_use]
    pub const fn from_halves([low, high]: [u64; 2]) -> Self {
        // SAFETY: both are 16 bytes, and any bytes are an address.
        unsafe { core::mem::transmute::<[u64; 2], Self>([low, high]) }
    }

    /// The two halves as native integers, in memory order: to hash them, or to pass them in registers.
    #[inline(always)]
    #[must_use]
    pub const fn halves(&self) -> [u64; 2] {
        // SAFETY: both are 16 bytes, and any bytes are two integers.
        unsafe { core::mem::transmute::<Self, [u64; 2]>(*self) }
    }
}

#[cfg(feature = "user")]
mod user {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::Addr;

    impl From<IpAddr> for Addr {
        fn from(addr: IpAddr) -> Self {
            let v6: Ipv6Addr = match addr {
                IpAddr::V4(v4) => Ipv4Addr::to_ipv6_mapped(&v4),
                IpAddr::V6(v6) => v6,
            };
            Self { bytes: v6.octets() }
        }
    }

    impl From<Addr> for IpAddr {
        fn from(addr: Addr) -> Self {
            Self::V6(Ipv6Addr::from(addr.bytes)).to_canonical()
        }
    }

    // SAFETY: `repr(C)`, plain bytes, no padding (size asserted above).
    #[cfg(feature = "aya")]
    unsafe impl aya::Pod for Addr {}
}
