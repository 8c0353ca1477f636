//! The consuming end of a BPF ring buffer. What is read stays in the buffer until it is let go, so that what a killed daemon
//! had read and not committed is there for the next one.
//!
//! The layout is the kernel's (`kernel/bpf/ringbuf.c`): a page with the consumer's position, a page with the producer's, and
//! the data twice in a row, so that no record is split. A record is a header of 8 bytes and its bytes; the lower half of
//! the header is their length and two bits.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence},
};

use aya::maps::MapData;

/// The record is being written.
const BUSY: u32 = 1 << 31;

/// The record is to be passed over.
const DISCARDED: u32 = 1 << 30;

const HEADER: usize = 8;

/// See the module.
pub(super) struct Ring {
    map: MapData,
    consumer: Mapping,
    producer: Mapping,
    page: usize,
    /// Size of the data - 1; the size is a power of two.
    mask: usize,
    /// Up to where it is read: bytes since the buffer was made, as the kernel counts them.
    read: usize,
}

impl Ring {
    /// Takes the reading end of this map, where the last reader let go.
    pub(super) fn new(map: MapData) -> io::Result<Self> {
        let size = map.info().map_err(io::Error::other)?.max_entries() as usize;
        // SAFETY: no pointers.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).map_err(io::Error::other)?;
        let fd = map.fd().as_fd();
        let consumer = Mapping::new(fd, 0, page, libc::PROT_READ | libc::PROT_WRITE)?;
        let producer = Mapping::new(fd, page, page + 2 * size, libc::PROT_READ)?;
        let mut ring = Self { map, consumer, producer, page, mask: size - 1, read: 0 };
        ring.read = ring.consumer_position().load(Ordering::Acquire);
        Ok(ring)
    }

    /// Up to where it is read.
    pub(super) const fn position(&self) -> u64 {
        self.read as u64
    }

    /// Passes over what was read before this position, if it is still there.
    pub(super) fn skip_to(&mut self, position: u64) {
        let written = self.producer_position().load(Ordering::Acquire);
        if let Ok(position) = usize::try_from(position)
            && (self.read..=written).contains(&position)
        {
            self.read = position;
        }
    }

    /// Lets go of everything that was read.
    pub(super) fn release(&mut self) {
        self.consumer_position().store(self.read, Ordering::Release);
        // The kernel wakes a reader that has let go of all there was: what it writes from now on must be seen by the next
        // look, or wake us.
        fence(Ordering::SeqCst);
    }

    /// The next record.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        loop {
            if self.read == self.producer_position().load(Ordering::Acquire) {
                return None;
            }
            let at = self.producer.at(self.page + (self.read & self.mask));
            // SAFETY: a record begins here, aligned to 8 bytes: the producer's position is behind it.
            let header = unsafe { at.cast::<AtomicU32>().as_ref() }.load(Ordering::Acquire);
            if header & BUSY != 0 {
                return None;
            }
            let length = (header & !(BUSY | DISCARDED)) as usize;
            self.read += (HEADER + length).next_multiple_of(8);
            if header & DISCARDED == 0 {
                // SAFETY: the record is complete, and not written again before the consumer's position has passed it;
                // the second copy of the data follows the first, so it lies in the mapping whole.
                return Some(unsafe { std::slice::from_raw_parts(at.as_ptr().add(HEADER), length) });
            }
        }
    }

    const fn consumer_position(&self) -> &AtomicUsize {
        // SAFETY: the first word of the page, which lives as long as `self` and is only accessed atomically.
        unsafe { self.consumer.start.cast::<AtomicUsize>().as_ref() }
    }

    const fn producer_position(&self) -> &AtomicUsize {
        // SAFETY: as above.
        unsafe { self.producer.start.cast::<AtomicUsize>().as_ref() }
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.map.fd().as_fd().as_raw_fd()
    }
}

// SAFETY: the mappings are of shared memory, which is accessed atomically or through `&mut self`.
unsafe impl Send for Ring {}
// SAFETY: as above.
unsafe impl Sync for Ring {}

/// A part of a map in memory.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, offset: usize, length: usize, access: libc::c_int) -> io::Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), length, access, libc::MAP_SHARED, fd.as_raw_fd(), offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("a mapping at address 0"))?;
        Ok(Self { start, length })
    }

    fn at(&self, offset: usize) -> NonNull<u8> {
        assert!(offset < self.length, "beyond the mapping");
        // SAFETY: inside the mapping.
        unsafe { self.start.add(offset) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made; nobody refers to it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
