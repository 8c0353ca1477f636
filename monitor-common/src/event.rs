//! What the kernel tells the daemon.

use crate::Addr;

/// What happened.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// An attempt failed; `evidence` says why. [`Evidence::KnownFailed`] only says that it is made.
    Failed = 1,
    /// An attempt of `client` was answered: at a failed service, or one that was reported before.
    Answered = 2,
    /// A service answered for the first time (design rule 3).
    Learned = 3,
    /// A host with host-level evidence spoke; it is in `server`.
    HostSeen = 4,
}

/// What shows it.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// No answer within the time-out (F-3).
    Unanswered = 1,
    /// RST (F-6).
    Refused = 2,
    /// ICMP type 3 code 1, 7, 12; ICMPv6 type 1 code 2, 3 (F-2).
    HostUnreachable = 3,
    /// ICMP type 3 code 0, 5, 6, 11; ICMPv6 type 1 code 0, 6 (F-2).
    NetUnreachable = 4,
    /// ICMP type 3 code 2, 3; ICMPv6 type 1 code 4 (F-2).
    PortUnreachable = 5,
    /// ICMP type 3 code 9, 10, 13, 14, 15; ICMPv6 type 1 code 1, 5 (F-2).
    Prohibited = 6,
    /// A SYN to a service that is marked failed (F-4), or the repetition of one that was reported: a hint. The attempt's
    /// fate is reported apart.
    KnownFailed = 7,
    /// SYN/ACK (F-12).
    SynAck = 8,
    /// The client's own ACK of the handshake (design rule 3).
    ClientAck = 9,
    /// ARP (F-11).
    Arp = 10,
    /// Neighbour advertisement (F-11).
    NeighbourAdvertisement = 11,
    /// Data of an established connection that was not acknowledged within the time-out (F-5).
    Stalled = 12,
    /// The client's RST in answer to a SYN/ACK: it had given up before (RFC 9293 section 3.10.7.1).
    GaveUp = 13,
}

/// One report.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// What shows it.
    pub evidence: Evidence,
    /// The client; zero for [`EventKind::HostSeen`].
    pub client: Addr,
    /// The server, or the host that spoke.
    pub server: Addr,
    /// When the attempt's SYN was first seen; for hosts, the same as `at_ns`.
    pub seen_ns: u64,
    /// When the attempt's SYN was last seen.
    pub latest_ns: u64,
    /// When this happened; of what was reported late because there was no room, some milliseconds
    /// late if it is an answer, else early.
    pub at_ns: u64,
    /// The latest SYN that the service answered; 0: none.
    pub answered_syn_ns: u64,
    /// The service's silence in which the SYN was first seen: [`crate::SilentSpan::from_ns`], and …
    pub silent_from_ns: u64,
    /// … [`crate::SilentSpan::to_ns`].
    pub silent_to_ns: u64,
    /// Source port of the attempt.
    pub client_port: u16,
    /// Port of the service; 0 for [`EventKind::HostSeen`].
    pub server_port: u16,
    /// 1: this is the attempt's fate; 0: a hint, or more evidence on an attempt whose fate was reported before. For an
    /// answer: 1 if the attempt was reported as failed before.
    pub attempts: u32,
    /// Why the service may have an outage: [`crate::ServiceFlags`].
    pub standing: u32,
    /// Where the frame came in or went out.
    pub ifindex: u32,
    /// How often the service had answered: [`crate::ServiceState::answers`].
    pub answers: u32,
    /// Sequence number of the attempt's SYN; 0 for [`EventKind::HostSeen`].
    pub seq: u32,
}

const _: () = assert!(size_of::<Event>() == 112);

#[cfg(feature = "user")]
mod user {
    use super::{Event, EventKind, Evidence};
    use crate::Addr;

    impl EventKind {
        const ALL: [Self; 4] = [Self::Failed, Self::Answered, Self::Learned, Self::HostSeen];
    }

    impl Evidence {
        const ALL: [Self; 13] = [
            Self::Unanswered,
            Self::Refused,
            Self::HostUnreachable,
            Self::NetUnreachable,
            Self::PortUnreachable,
            Self::Prohibited,
            Self::KnownFailed,
            Self::SynAck,
            Self::ClientAck,
            Self::Arp,
            Self::NeighbourAdvertisement,
            Self::Stalled,
            Self::GaveUp,
        ];
    }

    /// Reads the fields of `#[repr(C)]` bytes one after the other.
    struct Fields<'a>(&'a [u8]);

    impl Fields<'_> {
        fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
            let (field, rest) = self.0.split_first_chunk::<N>()?;
            self.0 = rest;
            Some(*field)
        }

        fn u16(&mut self) -> Option<u16> {
            self.take().map(u16::from_ne_bytes)
        }

        fn u32(&mut self) -> Option<u32> {
            self.take().map(u32::from_ne_bytes)
        }

        fn u64(&mut self) -> Option<u64> {
            self.take().map(u64::from_ne_bytes)
        }
    }

    impl Event {
        /// Reads one record of the ring buffer; `None` for one of another layout.
        #[must_use]
        pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
            let mut fields = Fields(bytes.get(..size_of::<Self>())?);
            let (kind, evidence) = (fields.u32()?, fields.u32()?);
            Some(Self {
                kind: EventKind::ALL.into_iter().find(|known| *known as u32 == kind)?,
                evidence: Evidence::ALL.into_iter().find(|known| *known as u32 == evidence)?,
                client: Addr { bytes: fields.take()? },
                server: Addr { bytes: fields.take()? },
                seen_ns: fields.u64()?,
                latest_ns: fields.u64()?,
                at_ns: fields.u64()?,
                answered_syn_ns: fields.u64()?,
                silent_from_ns: fields.u64()?,
                silent_to_ns: fields.u64()?,
                client_port: fields.u16()?,
                server_port: fields.u16()?,
                attempts: fields.u32()?,
                standing: fields.u32()?,
                ifindex: fields.u32()?,
                answers: fields.u32()?,
                seq: fields.u32()?,
            })
        }
    }
}
