//! Traps and informs: of the real net-snmp (F-10), and as devices really send them.

mod communities;
mod datagrams;
mod odd;
mod snmptrapd;
mod support;
mod usm;
