//! The bytes of a frame: one bounds check per header, fields by reference.

use aya_ebpf::programs::{TcContext, XdpContext};

use super::field::Plain;

/// The bytes of one frame. What does not lie inside it is `None`.
#[derive(Clone, Copy)]
pub struct Frame {
    start: usize,
    end: usize,
}

impl From<&XdpContext> for Frame {
    #[inline(always)]
    fn from(ctx: &XdpContext) -> Self {
        Self { start: ctx.data(), end: ctx.data_end() }
    }
}

impl From<&TcContext> for Frame {
    #[inline(always)]
    fn from(ctx: &TcContext) -> Self {
        Self { start: ctx.data(), end: ctx.data_end() }
    }
}

impl Frame {
    /// The header at `offset` bytes from the start of the frame.
    #[inline(always)]
    #[must_use]
    pub fn at<T: Plain>(&self, offset: usize) -> Option<&T> {
        // SAFETY: inside the frame, and any bytes at any address are a `T`.
        self.place(offset).map(|place| unsafe { &*place })
    }

    /// The same header, to be changed: only for frames that are measured, or sent back as an answer.
    #[inline(always)]
    #[must_use]
    pub fn at_mut<T: Plain>(&mut self, offset: usize) -> Option<&mut T> {
        // SAFETY: as above, and nothing that refers to these bytes is read again.
        self.place(offset).map(|place| unsafe { &mut *place })
    }

    /// Where `T` lies, if the frame is long enough.
    #[inline(always)]
    fn place<T>(&self, offset: usize) -> Option<*mut T> {
        const { assert!(align_of::<T>() == 1) };
        let at = self.start + offset;
        if at + size_of::<T>() > self.end { None } else { Some(at as *mut T) }
    }

    /// A copy of the value at `offset` bytes from the start of the frame, whatever its alignment.
    #[inline(always)]
    #[must_use]
    pub fn copy<T: Copy + Plain>(&self, offset: usize) -> Option<T> {
        let at = self.start + offset;
        if at + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: inside the frame, as just checked, and any bytes are a `T`.
        Some(unsafe { (at as *const T).read_unaligned() })
    }

    /// How many bytes of the frame can be read directly.
    #[inline(always)]
    #[must_use]
    pub const fn length(&self) -> usize {
        self.end - self.start
    }
}
