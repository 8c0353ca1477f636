//! An XDP program that passes everything: a veth interface takes what its peer's XDP program sends back only with one.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
};

use nix::{libc, net::if_::if_nametoindex};

/// Commands, types and flags of `linux/bpf.h` and `linux/if_link.h`.
const PROGRAM_LOAD: i32 = 5;
const LINK_CREATE: i32 = 28;
const TYPE_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
const IN_DRIVER: u32 = 4;

/// `r0 = XDP_PASS; exit`
const PASS: [u64; 2] = [0x0000_0002_0000_00b7, 0x0000_0000_0000_0095];

#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    /// Log, version, flags and name: none.
    rest: [u64; 5],
}

#[repr(C)]
struct Link {
    program: u32,
    interface: u32,
    kind: u32,
    flags: u32,
}

/// Attached until it is dropped.
#[derive(Debug)]
pub struct XdpPass {
    _link: OwnedFd,
}

impl XdpPass {
    /// Attaches to an interface of this thread's namespace.
    pub(crate) fn attach(interface: &str) -> io::Result<Self> {
        let load = Load {
            kind: TYPE_XDP,
            instructions: PASS.len() as u32,
            code: PASS.as_ptr() as u64,
            license: c"MIT".as_ptr() as u64,
            ..Load::default()
        };
        let program = bpf(PROGRAM_LOAD, &load)?;
        let interface = if_nametoindex(interface)?;
        let program_fd = program.as_raw_fd().cast_unsigned();
        let link = Link { program: program_fd, interface, kind: ATTACH_XDP, flags: IN_DRIVER };
        Ok(Self { _link: bpf(LINK_CREATE, &link)? })
    }
}

fn bpf<T>(command: i32, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the attributes live until the call returns, and so does what they point to.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor that was just made and is nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
