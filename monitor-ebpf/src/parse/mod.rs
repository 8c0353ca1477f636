//! Reading packets: one file a header, and [`Segment`], which is what all that looks at TCP gets.

mod arp;
mod direction;
mod ethernet;
mod field;
mod frame;
mod icmp;
mod ip;
mod segment;
mod tcp;

pub use arp::{Arp, ArpOperation};
pub use direction::Direction;
pub use ethernet::{EtherType, Ethernet, carried, ethertype};
pub use field::{Addr6, Be16, Be32, Plain};
pub use frame::Frame;
pub use icmp::{Icmp, IcmpType, NeighbourMessage, UnreachableV4, UnreachableV6};
pub use ip::{Ipv4, Ipv6, Payload, Protocol, ip_version};
pub use segment::Segment;
pub use tcp::{QuotedTcp, Tcp, TcpFlags};
