//! Datagrams at the trap port, read as SNMP v1 and v2c.
#![no_main]

use monitor_core::snmp::message;

libfuzzer_sys::fuzz_target!(|datagram: &[u8]| snmp_community(datagram));

/// A datagram of v1 or v2c: nothing panics, and what acknowledges an inform is no notification itself, or two receivers
/// would acknowledge each other for ever.
fn snmp_community(datagram: &[u8]) {
    let Some(notification) = message::decode(datagram) else { return };
    assert!(!notification.notice.oid.is_empty(), "a notification of nothing");
    if let Some(acknowledgement) = notification.acknowledgement {
        assert_eq!(message::decode(&acknowledgement), None, "an acknowledgement that notifies");
    }
}
