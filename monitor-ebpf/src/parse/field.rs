//! Header fields: integers and addresses in network byte order, at any address.

use core::mem;

use monitor_common::{Addr, GuardRequest, MarkRequest};

/// A type of which any bytes are a value.
///
/// # Safety
/// The type holds nothing but integers, and types that are [`Plain`] themselves.
pub unsafe trait Plain {}

// SAFETY: any byte is a value.
unsafe impl Plain for u8 {}
// SAFETY: of plain elements.
unsafe impl<T: Plain, const LENGTH: usize> Plain for [T; LENGTH] {}
// SAFETY: an integer.
unsafe impl Plain for Be16 {}
// SAFETY: an integer.
unsafe impl Plain for Be32 {}
// SAFETY: integers.
unsafe impl Plain for Addr6 {}
// SAFETY: integers; the padding is spelled out.
unsafe impl Plain for MarkRequest {}
// SAFETY: as above.
unsafe impl Plain for GuardRequest {}

/// A 16-bit field.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub struct Be16(u16);

impl Be16 {
    /// The field that holds `value`.
    #[inline(always)]
    #[must_use]
    pub const fn new(value: u16) -> Self {
        Self(value.to_be())
    }

    /// Its value.
    #[inline(always)]
    #[must_use]
    pub const fn get(self) -> u16 {
        u16::from_be(self.0)
    }
}

/// A 32-bit field.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub struct Be32(u32);

impl Be32 {
    /// The field that holds `value`.
    #[inline(always)]
    #[must_use]
    pub const fn new(value: u32) -> Self {
        Self(value.to_be())
    }

    /// Its value.
    #[inline(always)]
    #[must_use]
    pub const fn get(self) -> u32 {
        u32::from_be(self.0)
    }

    /// The field that holds the next number.
    #[inline(always)]
    #[must_use]
    pub const fn plus_one(self) -> Self {
        Self::new(self.get().wrapping_add(1))
    }

    /// The field as it stands in memory.
    #[inline(always)]
    #[must_use]
    pub const fn native(self) -> u32 {
        self.0
    }
}

/// An IPv6 address.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub struct Addr6([u64; 2]);

impl From<Addr6> for Addr {
    #[inline(always)]
    fn from(addr: Addr6) -> Self {
        // SAFETY: both are 16 bytes without meaning.
        unsafe { mem::transmute(addr.0) }
    }
}
