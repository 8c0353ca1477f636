//! `BPF_PROG_TEST_RUN` by descriptor: aya runs a program only through the object that it was loaded with, which belongs to
//! another task.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

const BPF_PROG_TEST_RUN: libc::c_long = 10;

/// The frame goes on into the stack.
const BPF_F_TEST_XDP_LIVE_FRAMES: u32 = 1 << 1;

/// The `test` part of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct TestRun {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    _pad: u32,
}

/// Runs the program once on `frame`. Returns what it returned; 0 for live frames.
pub(super) fn test_run(program: &OwnedFd, frame: &[u8], context: Option<&[u8]>, live: bool) -> io::Result<u32> {
    let mut attr = TestRun {
        prog_fd: program.as_raw_fd().cast_unsigned(),
        data_size_in: u32::try_from(frame.len()).unwrap_or(u32::MAX),
        data_in: frame.as_ptr() as u64,
        repeat: 1,
        ctx_size_in: context.map_or(0, |context| u32::try_from(context.len()).unwrap_or(u32::MAX)),
        ctx_in: context.map_or(0, |context| context.as_ptr() as u64),
        flags: if live { BPF_F_TEST_XDP_LIVE_FRAMES } else { 0 },
        // Live frames are taken from a pool that is made for this call: no larger than needed.
        batch_size: u32::from(live),
        ..TestRun::default()
    };
    // SAFETY: `attr` is as long as said, and what it points to outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_TEST_RUN, &raw mut attr, size_of::<TestRun>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(attr.retval) }
}
