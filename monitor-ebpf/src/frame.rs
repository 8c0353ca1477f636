//! Reading headers: one bounds check per header, fields by reference.
//!
//! Nothing here decides anything; what does not fit into the frame is `None`.

use core::mem;

use monitor_common::Addr;

pub(crate) const ETH_P_IP: u16 = 0x0800;
pub(crate) const ETH_P_ARP: u16 = 0x0806;
pub(crate) const ETH_P_8021Q: u16 = 0x8100;
pub(crate) const ETH_P_IPV6: u16 = 0x86dd;
pub(crate) const ETH_P_8021AD: u16 = 0x88a8;

pub(crate) const IPPROTO_ICMP: u8 = 1;
pub(crate) const IPPROTO_TCP: u8 = 6;
pub(crate) const IPPROTO_ICMPV6: u8 = 58;

const IPPROTO_HOPOPTS: u8 = 0;
const IPPROTO_ROUTING: u8 = 43;
const IPPROTO_FRAGMENT: u8 = 44;
const IPPROTO_AH: u8 = 51;
const IPPROTO_DSTOPTS: u8 = 60;

/// Extension headers that are walked; a longer chain is passed unread (RFC 8200 knows five kinds).
const MAX_EXTENSIONS: usize = 6;

/// The bytes of one frame.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    start: usize,
    end: usize,
}

impl Frame {
    #[inline(always)]
    pub(crate) const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The header at `offset` bytes from the start of the frame.
    #[inline(always)]
    pub(crate) fn at<T>(&self, offset: usize) -> Option<&T> {
        // SAFETY: inside the frame; `T` is made of bytes, so any content and any address will do.
        self.place(offset).map(|place| unsafe { &*place })
    }

    /// The same header, to be changed: only for frames that go nowhere.
    #[inline(always)]
    pub(crate) fn at_mut<T>(&mut self, offset: usize) -> Option<&mut T> {
        // SAFETY: as above, and nothing else refers to the frame.
        self.place(offset).map(|place| unsafe { &mut *place })
    }

    /// Where `T` lies, if the frame is long enough.
    #[inline(always)]
    fn place<T>(&self, offset: usize) -> Option<*mut T> {
        const { assert!(align_of::<T>() == 1) };
        let at = self.start + offset;
        if at + size_of::<T>() > self.end { None } else { Some(at as *mut T) }
    }
}

impl Frame {
    /// Bytes that can be read directly.
    #[inline(always)]
    pub(crate) const fn length(&self) -> usize {
        self.end - self.start
    }

    /// A copy of the value at `offset` bytes from the start of the frame, whatever its alignment.
    #[inline(always)]
    pub(crate) fn copy<T: Copy>(&self, offset: usize) -> Option<T> {
        let at = self.start + offset;
        if at + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: inside the frame, as just checked; only used for types that any bytes are a value of.
        Some(unsafe { (at as *const T).read_unaligned() })
    }
}

/// A 16-bit field in network byte order, at any address.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub(crate) struct Be16(u16);

impl Be16 {
    #[inline(always)]
    pub(crate) const fn get(self) -> u16 {
        u16::from_be(self.0)
    }
}

/// A 32-bit field in network byte order, at any address.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub(crate) struct Be32(u32);

impl Be32 {
    #[inline(always)]
    pub(crate) const fn get(self) -> u32 {
        u32::from_be(self.0)
    }

    /// The next number.
    #[inline(always)]
    pub(crate) const fn plus_one(self) -> Self {
        Self(self.get().wrapping_add(1).to_be())
    }

    /// As it stands in memory.
    #[inline(always)]
    pub(crate) const fn native(self) -> u32 {
        self.0
    }
}

/// An IPv6 address at any address.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub(crate) struct Addr6([u64; 2]);

impl From<Addr6> for Addr {
    #[inline(always)]
    fn from(addr: Addr6) -> Self {
        // SAFETY: both are 16 bytes without meaning.
        unsafe { mem::transmute(addr.0) }
    }
}

#[repr(C, packed)]
struct Ethernet {
    _addresses: [u8; 12],
    ethertype: Be16,
}

#[repr(C, packed)]
struct VlanTag {
    _tci: Be16,
    ethertype: Be16,
}

#[repr(C, packed)]
pub(crate) struct Ipv4 {
    version_ihl: u8,
    _tos: u8,
    pub(crate) total_len: Be16,
    _id: Be16,
    fragment: Be16,
    _ttl: u8,
    pub(crate) protocol: u8,
    _checksum: Be16,
    pub(crate) src: Be32,
    pub(crate) dst: Be32,
}

#[repr(C, packed)]
pub(crate) struct Ipv6 {
    version_class: u8,
    _class_flow: [u8; 3],
    pub(crate) payload_len: Be16,
    pub(crate) next_header: u8,
    pub(crate) hop_limit: u8,
    pub(crate) src: Addr6,
    pub(crate) dst: Addr6,
}

#[repr(C, packed)]
struct Extension {
    next_header: u8,
    length: u8,
}

#[repr(C, packed)]
struct FragmentHeader {
    _next_header: u8,
    _reserved: u8,
    offset_flags: Be16,
    _id: Be32,
}

#[repr(C, packed)]
pub(crate) struct Tcp {
    pub(crate) source: Be16,
    pub(crate) dest: Be16,
    pub(crate) seq: Be32,
    pub(crate) ack: Be32,
    pub(crate) data_offset: u8,
    pub(crate) flags: u8,
    _window: Be16,
    _checksum: Be16,
    _urgent: Be16,
}

/// The part of a TCP header that an ICMP message must quote (RFC 792).
#[repr(C, packed)]
pub(crate) struct QuotedTcp {
    pub(crate) source: Be16,
    pub(crate) dest: Be16,
    pub(crate) seq: Be32,
}

#[repr(C, packed)]
pub(crate) struct Icmp {
    pub(crate) kind: u8,
    pub(crate) code: u8,
    _checksum: Be16,
    _rest: Be32,
}

#[repr(C, packed)]
pub(crate) struct Arp {
    pub(crate) hardware: Be16,
    pub(crate) protocol: Be16,
    pub(crate) lengths: Be16,
    _operation: Be16,
    _sender_mac: [u8; 6],
    pub(crate) sender: Be32,
}

#[repr(C, packed)]
pub(crate) struct NeighbourAdvertisement {
    _icmp: Icmp,
    pub(crate) target: Addr6,
}

/// The EtherType behind up to two VLAN tags, and where its payload begins.
#[inline(always)]
pub(crate) fn ethertype(frame: &Frame) -> Option<(u16, usize)> {
    let mut ethertype = frame.at::<Ethernet>(0)?.ethertype.get();
    let mut offset = size_of::<Ethernet>();
    // Written out: both turns have a fixed offset, which keeps the common, untagged case short.
    if ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD {
        ethertype = frame.at::<VlanTag>(offset)?.ethertype.get();
        offset += size_of::<VlanTag>();
        if ethertype == ETH_P_8021Q || ethertype == ETH_P_8021AD {
            ethertype = frame.at::<VlanTag>(offset)?.ethertype.get();
            offset += size_of::<VlanTag>();
        }
    }
    Some((ethertype, offset))
}

/// What follows an IP header.
pub(crate) enum Payload {
    /// The upper-layer protocol and where it begins.
    At(u8, usize),
    /// A later fragment, or a protocol behind headers that are not walked: no port to be seen.
    Hidden,
    /// The header contradicts itself or ends too early.
    Malformed,
}

impl Ipv4 {
    /// Where the payload of this header at `offset` begins.
    #[inline(always)]
    pub(crate) fn payload(&self, offset: usize) -> Payload {
        const FRAGMENT_OFFSET: u16 = 0x1fff;
        let length = usize::from(self.version_ihl & 0x0f) * 4;
        if self.version_ihl >> 4 != 4 || length < size_of::<Self>() {
            return Payload::Malformed;
        }
        if self.fragment.get() & FRAGMENT_OFFSET != 0 {
            return Payload::Hidden;
        }
        Payload::At(self.protocol, offset + length)
    }
}

impl Ipv6 {
    /// Where the payload of this header at `offset` begins, behind its extension headers.
    #[inline(always)]
    pub(crate) fn payload(&self, frame: &Frame, offset: usize) -> Payload {
        if self.version_class >> 4 != 6 {
            return Payload::Malformed;
        }
        let at = offset + size_of::<Self>();
        match self.next_header {
            protocol @ (IPPROTO_TCP | IPPROTO_ICMPV6) => Payload::At(protocol, at),
            first => behind_extensions(frame, first, at),
        }
    }
}

/// Walks extension headers. A function of its own: few frames have any, and the loop would be copied into every path.
#[inline(never)]
fn behind_extensions(frame: &Frame, first: u8, start: usize) -> Payload {
    const FRAGMENT_OFFSET: u16 = 0xfff8;
    let mut next = first;
    let mut at = start;
    // One turn more: it finds what is behind the last header.
    for _ in 0..=MAX_EXTENSIONS {
        let length = match next {
            IPPROTO_TCP | IPPROTO_ICMPV6 => return Payload::At(next, at),
            IPPROTO_HOPOPTS | IPPROTO_ROUTING | IPPROTO_DSTOPTS | IPPROTO_AH | IPPROTO_FRAGMENT => {
                let Some(header) = frame.at::<Extension>(at) else { return Payload::Malformed };
                let length = match next {
                    IPPROTO_FRAGMENT => {
                        let Some(fragment) = frame.at::<FragmentHeader>(at) else { return Payload::Malformed };
                        if fragment.offset_flags.get() & FRAGMENT_OFFSET != 0 {
                            return Payload::Hidden;
                        }
                        size_of::<FragmentHeader>()
                    }
                    IPPROTO_AH => (usize::from(header.length) + 2) * 4,
                    _ => (usize::from(header.length) + 1) * 8,
                };
                next = header.next_header;
                length
            }
            _ => return Payload::Hidden,
        };
        at += length;
    }
    Payload::Hidden
}
