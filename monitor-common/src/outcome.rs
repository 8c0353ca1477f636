//! What the programs return that the daemon runs on a request.

/// Whether a program carried out a [`crate::MarkRequest`] or a [`crate::GuardRequest`]; its number is what it returns.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    Done = 0,
    /// There was no room, or nothing to change.
    NotDone = 1,
}

impl Outcome {
    /// What a program means that returned this.
    #[must_use]
    pub const fn of(returned: u32) -> Self {
        if returned == Self::Done as u32 { Self::Done } else { Self::NotDone }
    }
}
