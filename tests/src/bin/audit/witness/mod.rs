//! The witness: every SYN, SYN/ACK, RST and ICMP error that passes the gateway, with the kernel's time.

mod frame;

use std::{
    collections::HashMap,
    io::IoSliceMut,
    net::SocketAddr,
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result, anyhow};
use lab::Host;
use nix::{
    cmsg_space, libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        socket::{
            AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg,
            setsockopt, socket, sockopt,
        },
        time::TimeSpec,
    },
};

pub(crate) use self::frame::{Said, Sight};
use crate::clock::{MS, Ns, SECOND, ns, wall_ahead};

/// Minutes of frames: the witness must not miss any.
const RECEIVE_BUFFER: usize = 128 << 20;

/// The first bytes of a frame, which hold all headers.
const HEADERS: usize = 192;

/// A client's SYN may be seen this much before its connect(2) was noted.
const EARLY: Ns = 5 * MS;

/// A running capture; ended by [`Witness::end`].
pub(crate) struct Witness {
    done: Arc<AtomicBool>,
    thread: JoinHandle<Result<(Vec<Sight>, u32)>>,
}

/// One attempt on the wire: its SYNs have one sequence number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handshake {
    /// When its SYN passed, and when the client's kernel repeated it.
    pub(crate) syns: Vec<Ns>,
    /// When a SYN/ACK passed.
    pub(crate) answers: Vec<Ns>,
    /// When a RST of the service passed.
    pub(crate) refusals: Vec<Ns>,
    /// When an ICMP error about it passed.
    pub(crate) errors: Vec<Ns>,
    /// When the client's kernel answered the SYN/ACK with a RST: nobody waited any more.
    pub(crate) resets: Vec<Ns>,
}

/// What the witness has seen, by attempt.
pub(crate) struct Testimony {
    /// By client, service and sequence number of the SYN.
    handshakes: HashMap<(SocketAddr, SocketAddr), Vec<(u32, Handshake)>>,
    /// How many frames of interest there were.
    pub(crate) sights: usize,
    /// Frames that the kernel had no room for.
    pub(crate) missed: u32,
}

impl Witness {
    /// Begins to watch all interfaces of the gateway.
    pub(crate) fn start(gateway: &Host) -> Result<Self> {
        let socket = gateway.enter(open)??;
        let done = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&done);
        Ok(Self { done, thread: thread::spawn(move || watch(&socket, &ended)) })
    }

    /// Ends it.
    pub(crate) fn end(self) -> Result<Testimony> {
        self.done.store(true, Ordering::Relaxed);
        let (sights, missed) = self.thread.join().map_err(|_| anyhow!("the witness panicked"))??;
        Ok(Testimony::new(&sights, missed))
    }
}

impl Testimony {
    pub(crate) fn new(sights: &[Sight], missed: u32) -> Self {
        let mut handshakes = HashMap::<_, Vec<(u32, Handshake)>>::new();
        for sight in sights {
            let of_flow = handshakes.entry((sight.client, sight.service)).or_default();
            if sight.said == Said::Syn && !of_flow.iter().any(|(isn, _)| *isn == sight.isn) {
                of_flow.push((sight.isn, Handshake::default()));
            }
            // The latest first: a number may return after a long time.
            let Some((_, handshake)) = of_flow.iter_mut().rev().find(|(isn, _)| *isn == sight.isn) else { continue };
            match sight.said {
                Said::Syn => handshake.syns.push(sight.at),
                Said::Answer => handshake.answers.push(sight.at),
                Said::Refusal => handshake.refusals.push(sight.at),
                Said::Error => handshake.errors.push(sight.at),
                Said::ClientReset => handshake.resets.push(sight.at),
            }
        }
        Self { handshakes, sights: sights.len(), missed }
    }

    /// The attempt of this client port that began in this time.
    pub(crate) fn handshake(&self, client: SocketAddr, service: SocketAddr, begin: Ns, end: Ns) -> Option<&Handshake> {
        let of_flow = self.handshakes.get(&(client, service))?;
        of_flow.iter().map(|(_, handshake)| handshake).find(|handshake| {
            handshake.syns.first().is_some_and(|first| (begin.saturating_sub(EARLY)..=end + EARLY).contains(first))
        })
    }

    /// When a service answered: the first SYN/ACK of each attempt, with the time of the SYN before it. In order.
    pub(crate) fn answers(&self) -> HashMap<SocketAddr, Vec<(Ns, Ns)>> {
        let mut answers = HashMap::<SocketAddr, Vec<(Ns, Ns)>>::new();
        for ((_, service), handshakes) in &self.handshakes {
            let of_service = answers.entry(*service).or_default();
            of_service.extend(handshakes.iter().filter_map(|(_, handshake)| {
                let at = *handshake.answers.first()?;
                Some((at, handshake.syns.iter().copied().filter(|syn| *syn <= at).max()?))
            }));
        }
        answers.values_mut().for_each(|answers| answers.sort_unstable());
        answers
    }
}

fn open() -> Result<OwnedFd> {
    // Bound to no interface: it hears all.
    let socket = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::EthAll,
    )
    .context("the witness has no packet socket")?;
    setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    Ok(socket)
}

fn watch(socket: &OwnedFd, done: &AtomicBool) -> Result<(Vec<Sight>, u32)> {
    let mut sights = Vec::new();
    let mut missed = 0;
    loop {
        // Looked at first: what came before the end is still read.
        let ends = done.load(Ordering::Relaxed);
        let mut fds = [PollFd::new(std::os::fd::AsFd::as_fd(socket), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::from(20_u8));
        let ahead = wall_ahead();
        while let Some(sight) = receive(socket, ahead)? {
            sights.extend(sight);
        }
        missed += lost(socket)?;
        if ends {
            return Ok((sights, missed));
        }
    }
}

/// The next frame; `None`: there is none now. `Some(None)`: it is of no interest.
fn receive(socket: &OwnedFd, ahead: Ns) -> Result<Option<Option<Sight>>> {
    let mut buffer = [0; HEADERS];
    let mut control = cmsg_space!(TimeSpec);
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let message = match recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty()) {
        Ok(message) => message,
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => return Ok(None),
        Err(nix::errno::Errno::ENETDOWN) => return Ok(Some(None)),
        Err(error) => return Err(error).context("the witness hears nothing"),
    };
    let wall = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(ns(time.into())),
        _ => None,
    });
    let leaves = message.address.is_some_and(|address| address.pkttype() == libc::PACKET_OUTGOING);
    let at = wall.context("a frame without a time")?.saturating_sub(ahead);
    let length = message.bytes.min(HEADERS);
    Ok(Some(frame::read(&buffer[..length], leaves, at)))
}

/// How many frames found no room since the last call.
fn lost(socket: &OwnedFd) -> Result<u32> {
    let mut counts = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut length = size_of_val(&counts) as libc::socklen_t;
    // SAFETY: both pointers are to live values, and the length is that of the structure that this option fills.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut counts).cast(),
            &raw mut length,
        )
    };
    match done {
        0 => Ok(counts.tp_drops),
        _ => Err(std::io::Error::last_os_error()).context("the witness cannot tell what it missed"),
    }
}

/// Seconds since the start, for people.
pub(crate) fn seconds(at: Ns, start: Ns) -> f64 {
    (at as f64 - start as f64) / SECOND as f64
}
