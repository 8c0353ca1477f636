//! Where an attempt came in, and whether it is a SYN or data.

/// Where a frame came in, and what the frame's entry in a ring of deadlines waits for: an interface index, and in its top
/// bit, which the kernel never uses, whether it is data that waits for its acknowledgement instead of a SYN that waits for
/// its answer. One word, because an [`crate::Attempt`] fills its cache line.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival(u32);

/// The kernel counts interfaces from 1 in a signed integer.
const DATA: u32 = 1 << 31;

impl Arrival {
    /// A SYN, or what speaks of one, on this interface.
    #[inline(always)]
    #[must_use]
    pub const fn of_syn(ifindex: u32) -> Self {
        Self(ifindex)
    }

    /// Data of an established connection on this interface.
    #[inline(always)]
    #[must_use]
    pub const fn of_data(ifindex: u32) -> Self {
        Self(ifindex | DATA)
    }

    /// Whether it is data.
    #[inline(always)]
    #[must_use]
    pub const fn is_data(self) -> bool {
        self.0 & DATA != 0
    }

    /// The interface.
    #[inline(always)]
    #[must_use]
    pub const fn ifindex(self) -> u32 {
        self.0 & !DATA
    }
}

#[cfg(test)]
mod tests {
    use super::Arrival;

    #[test]
    fn the_interface_is_the_same_whatever_arrived() {
        for ifindex in [0, 1, 7, u32::MAX >> 1] {
            let (syn, data) = (Arrival::of_syn(ifindex), Arrival::of_data(ifindex));
            assert_eq!((syn.ifindex(), data.ifindex()), (ifindex, ifindex));
            assert!(!syn.is_data() && data.is_data());
        }
    }
}
