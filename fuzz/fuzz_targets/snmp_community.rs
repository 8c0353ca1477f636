//! Datagrams at the trap port, read as SNMP v1 and v2c.
#![no_main]

libfuzzer_sys::fuzz_target!(|datagram: &[u8]| ringback::fuzzing::snmp_community(datagram));
