//! What one frame says of an attempt.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::clock::Ns;

const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// What was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// SYN.
    Syn,
    /// SYN/ACK.
    Answer,
    /// RST of the service.
    Refusal,
    /// ICMP destination unreachable.
    Error,
    /// RST of the client for a SYN/ACK that nobody waits for.
    ClientReset,
}

/// One frame of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    /// When it passed.
    pub(crate) at: Ns,
    /// Whose attempt.
    pub(crate) client: SocketAddr,
    /// At what.
    pub(crate) service: SocketAddr,
    /// Sequence number of the attempt's SYN.
    pub(crate) isn: u32,
    /// What was said.
    pub(crate) said: Said,
}

/// `None`: the frame is of no interest. Frames that leave the gateway were seen when they came; only its own errors
/// were not.
pub(super) fn read(frame: &[u8], leaves: bool, at: Ns) -> Option<Sight> {
    let (from, to, protocol, rest) = ip(frame.get(12..14)?, frame.get(14..)?)?;
    if from.is_loopback() {
        return None;
    }
    match protocol {
        TCP if !leaves => segment(from, to, rest, at),
        ICMP if rest.first() == Some(&3) => quoted(&[0x08, 0x00], rest.get(8..)?, at),
        ICMPV6 if rest.first() == Some(&1) => quoted(&[0x86, 0xdd], rest.get(8..)?, at),
        _ => None,
    }
}

/// The service is the side with the lower port: the lab's clients use ports above 32767.
fn segment(from: IpAddr, to: IpAddr, segment: &[u8], at: Ns) -> Option<Sight> {
    let (from, to) = (SocketAddr::new(from, word(segment, 0)?), SocketAddr::new(to, word(segment, 2)?));
    let (sequence, acknowledges) = (long(segment, 4)?, long(segment, 8)?);
    let by_client = from.port() > to.port();
    let (client, service) = if by_client { (from, to) } else { (to, from) };
    let (said, isn) = match (segment.get(13)? & (SYN | RST | ACK), by_client) {
        (SYN, true) => (Said::Syn, sequence),
        (flags, false) if flags == SYN | ACK => (Said::Answer, acknowledges.wrapping_sub(1)),
        (flags, false) if flags == RST | ACK => (Said::Refusal, acknowledges.wrapping_sub(1)),
        (RST, true) => (Said::ClientReset, sequence.wrapping_sub(1)),
        _ => return None,
    };
    Some(Sight { at, client, service, isn, said })
}

/// The SYN that an error quotes.
fn quoted(family: &[u8], packet: &[u8], at: Ns) -> Option<Sight> {
    let (client, service, protocol, segment) = ip(family, packet)?;
    if protocol != TCP {
        return None;
    }
    let (client, service) = (SocketAddr::new(client, word(segment, 0)?), SocketAddr::new(service, word(segment, 2)?));
    Some(Sight { at, client, service, isn: long(segment, 4)?, said: Said::Error })
}

/// Source, destination, protocol and payload of a packet.
fn ip<'a>(family: &[u8], packet: &'a [u8]) -> Option<(IpAddr, IpAddr, u8, &'a [u8])> {
    match family {
        [0x08, 0x00] => {
            let header = usize::from(packet.first()? & 0x0f) * 4;
            let address = |at: usize| -> Option<IpAddr> {
                let bytes: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
                Some(Ipv4Addr::from(bytes).into())
            };
            Some((address(12)?, address(16)?, *packet.get(9)?, packet.get(header..)?))
        }
        [0x86, 0xdd] => {
            let address = |at: usize| -> Option<IpAddr> {
                let bytes: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
                Some(Ipv6Addr::from(bytes).into())
            };
            Some((address(8)?, address(24)?, *packet.get(6)?, packet.get(40..)?))
        }
        _ => None,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use lab::forged::{ACK, RST, SYN, Segment};

    use super::{Said, read};

    #[test]
    fn each_frame_speaks_of_its_attempt() {
        for [client, service, router] in
            [["10.1.1.2:40000", "10.2.1.2:8001", "10.1.1.1"], ["[fd00:1::2]:40000", "[fd00:2::2]:8001", "fd00:1::1"]]
        {
            let (Ok(client), Ok(service)) = (client.parse::<SocketAddr>(), service.parse::<SocketAddr>()) else {
                panic!("no addresses");
            };
            let Ok(router) = router.parse::<IpAddr>() else { panic!("no address") };
            let syn = Segment::syn(client, service, 4711);
            let given_up = Segment { from: client, to: service, seq: 4712, ack: 0, flags: RST };
            for (frame, said) in [
                (syn.frame([0; 6]), Some(Said::Syn)),
                (syn.answer(SYN | ACK).frame([0; 6]), Some(Said::Answer)),
                (syn.answer(RST | ACK).frame([0; 6]), Some(Said::Refusal)),
                (given_up.frame([0; 6]), Some(Said::ClientReset)),
                (syn.unreachable([0; 6], router, 60), Some(Said::Error)),
                (syn.answer(ACK).frame([0; 6]), None),
            ] {
                let sight = read(&frame, false, 5);
                assert_eq!(sight.map(|sight| sight.said), said);
                assert!(sight.is_none_or(|s| (s.client, s.service, s.isn, s.at) == (client, service, 4711, 5)));
            }
            assert_eq!(read(&syn.frame([0; 6]), true, 5), None, "it was seen when it came");
        }
    }
}
