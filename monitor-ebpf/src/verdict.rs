//! What becomes of a frame.

/// What becomes of a frame. A number where it passes through a global function.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    Pass = 0,
    /// It goes on, but says nothing of the service's health.
    Hide = 1,
    /// It is dropped, and the daemon gets the frame.
    Hold = 2,
    /// It is dropped.
    Drop = 3,
    /// It is a SYN to a failed service that arrived, and goes on unless it is refused in the server's name.
    ToFailed = 4,
}

impl Verdict {
    /// The verdict of a guard with this number.
    #[inline(always)]
    pub(crate) const fn of_guard(number: u32) -> Self {
        const HIDE: u32 = Verdict::Hide as u32;
        const HOLD: u32 = Verdict::Hold as u32;
        const DROP: u32 = Verdict::Drop as u32;
        match number {
            HIDE => Self::Hide,
            HOLD => Self::Hold,
            DROP => Self::Drop,
            _ => Self::Pass,
        }
    }
}
