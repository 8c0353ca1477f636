//! Datagrams at the trap port, read as SNMPv3.
#![no_main]

libfuzzer_sys::fuzz_target!(|datagram: &[u8]| ringback::fuzzing::snmp_usm(datagram));
