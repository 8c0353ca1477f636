//! This host's own TCP connections (`NETLINK_SOCK_DIAG`): which are established to a port, and ending one.
//!
//! In: a guarded port. Out: connections as [`Flow`]s. Ending one by FIN needs the socket itself: it is borrowed from the
//! process that owns it (`pidfd_getfd`); one that no process has accepted yet can only be reset.

use std::{
    fs, io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use monitor_common::{Addr, Flow};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;

const TCP_ESTABLISHED: u32 = 1;
const TCP_CLOSE_WAIT: u32 = 8;

/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct inet_diag_msg`.
const MESSAGE: usize = 72;

/// One connection of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Seen from its client.
    pub flow: Flow,
    family: u8,
    /// `struct inet_diag_sockid` as the kernel gave it.
    id: [u8; 48],
    inode: u32,
}

/// The connections to this port whose client has not yet ended them.
pub fn established(port: u16) -> io::Result<Vec<Connection>> {
    let socket = open()?;
    let mut connections = Vec::new();
    for family in [libc::AF_INET as u8, libc::AF_INET6 as u8] {
        let mut id = [0; 48];
        id[..2].copy_from_slice(&port.to_be_bytes());
        let states = 1 << TCP_ESTABLISHED | 1 << TCP_CLOSE_WAIT;
        ask(&socket, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, family, states, &id)?;
        read(&socket, |message| {
            connections.extend(connection(message).filter(|connection| connection.flow.server_port == port));
        })?;
    }
    Ok(connections)
}

impl Connection {
    /// Ends it with RST, whoever owns it.
    pub fn reset(&self) -> io::Result<()> {
        let socket = open()?;
        ask(&socket, SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK, self.family, u32::MAX, &self.id)?;
        read(&socket, |_| {})
    }

    /// Ends it with FIN if a process has it, else with RST.
    pub fn finish(&self) -> io::Result<()> {
        match self.borrow() {
            Some(socket) => {
                // SAFETY: a plain system call on a descriptor that is open.
                let result = unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) };
                if result == 0 { Ok(()) } else { self.reset() }
            }
            None => self.reset(),
        }
    }

    /// The socket, from a process that has it.
    fn borrow(&self) -> Option<OwnedFd> {
        let wanted = format!("socket:[{}]", self.inode);
        for process in fs::read_dir("/proc").ok()?.flatten() {
            let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<libc::pid_t>().ok()) else {
                continue;
            };
            let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
            for descriptor in descriptors.flatten() {
                if fs::read_link(descriptor.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str())
                    && let Some(number) = descriptor.file_name().to_str().and_then(|name| name.parse().ok())
                    && let Some(socket) = take(pid, number)
                {
                    return Some(socket);
                }
            }
        }
        None
    }
}

/// A copy of another process's descriptor.
fn take(pid: libc::pid_t, descriptor: libc::c_int) -> Option<OwnedFd> {
    // SAFETY: plain system calls; each returns a new descriptor that is ours alone, or -1.
    unsafe {
        let process = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        if process < 0 {
            return None;
        }
        let process = OwnedFd::from_raw_fd(process as libc::c_int);
        let copy = libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), descriptor, 0);
        (copy >= 0).then(|| OwnedFd::from_raw_fd(copy as libc::c_int))
    }
}

fn open() -> io::Result<OwnedFd> {
    Ok(socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag)?)
}

/// Sends a `struct inet_diag_req_v2`.
fn ask(socket: &OwnedFd, kind: u16, flags: u16, family: u8, states: u32, id: &[u8; 48]) -> io::Result<()> {
    let mut message = Vec::with_capacity(HEADER + 56);
    message.extend(72_u32.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([family, libc::IPPROTO_TCP as u8, 0, 0]);
    message.extend(states.to_ne_bytes());
    message.extend(id);
    send(socket.as_raw_fd(), &message, MsgFlags::empty())?;
    Ok(())
}

/// Reads messages until the kernel says that there are no more.
fn read(socket: &OwnedFd, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut rest = &buffer[..length];
        while rest.len() >= HEADER {
            let word = |at: usize| u32::from_ne_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
            let length = (word(0) as usize).clamp(HEADER, rest.len());
            match u16::from_ne_bytes([rest[4], rest[5]]) {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => {
                    let code = if length >= HEADER + 4 { word(HEADER).cast_signed() } else { 0 };
                    return if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-code)) };
                }
                _ => each(&rest[HEADER..length]),
            }
            rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        }
    }
}

/// A `struct inet_diag_msg`.
fn connection(message: &[u8]) -> Option<Connection> {
    let message: &[u8; MESSAGE] = message.get(..MESSAGE)?.try_into().ok()?;
    let id: [u8; 48] = message[4..52].try_into().ok()?;
    let addr = |at: usize| -> Option<Addr> {
        if i32::from(message[0]) == libc::AF_INET {
            let v4: [u8; 4] = id[at..at + 4].try_into().ok()?;
            Some(Addr::from_v4(u32::from_ne_bytes(v4)))
        } else {
            Some(Addr { bytes: id[at..at + 16].try_into().ok()? })
        }
    };
    Some(Connection {
        flow: Flow {
            server: addr(4)?,
            client: addr(20)?,
            server_port: u16::from_be_bytes([id[0], id[1]]),
            client_port: u16::from_be_bytes([id[2], id[3]]),
            _pad: 0,
        },
        family: message[0],
        id,
        inode: u32::from_ne_bytes(message[68..72].try_into().ok()?),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{
        io::Read as _,
        net::{IpAddr, TcpListener, TcpStream},
    };

    use super::established;

    #[test]
    fn a_connection_is_found_and_ended() {
        for bind in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let listener = TcpListener::bind(bind).unwrap();
            let port = listener.local_addr().unwrap().port();
            let host = if bind.starts_with("[::1") { "::1" } else { "127.0.0.1" };
            let mut client = TcpStream::connect((host, port)).unwrap();
            let _server = listener.accept().unwrap();
            let found = established(port).unwrap();
            assert_eq!(found.len(), 1, "{bind}");
            assert_eq!(IpAddr::from(found[0].flow.client), client.local_addr().unwrap().ip());
            assert_eq!(found[0].flow.client_port, client.local_addr().unwrap().port());
            found[0].finish().unwrap();
            assert_eq!(client.read(&mut [0; 1]).unwrap(), 0, "FIN");
            let mut client = TcpStream::connect((host, port)).unwrap();
            let local = client.local_addr().unwrap().port();
            let found = established(port).unwrap();
            found.iter().find(|connection| connection.flow.client_port == local).unwrap().reset().unwrap();
            assert_eq!(client.read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        }
    }
}
