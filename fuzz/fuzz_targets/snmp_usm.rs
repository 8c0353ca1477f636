//! Datagrams at the trap port, read as SNMPv3.
#![no_main]

use monitor_core::{
    domain::UnixMs,
    snmp::{
        LocalEngine,
        usm::{Now, User, Usm, Verdict},
    },
};

libfuzzer_sys::fuzz_target!(|datagram: &[u8]| snmp_usm(datagram));

/// A datagram of v3, to an engine with one user without secrets: authentic is whatever names him, so that what follows is
/// reached. No answer is one that would be answered.
fn snmp_usm(datagram: &[u8]) {
    let Some(mut usm) = engine() else { panic!("a user without secrets needs nothing") };
    let now = Now { unix: UnixMs::default(), engine: 100 };
    let answer = match usm.take(datagram, now, |_| true) {
        Verdict::Refused { report, .. } => report,
        Verdict::Again { .. } => panic!("nothing was committed"),
        Verdict::Taken(taken) => {
            assert!(taken.seen.is_none() && taken.inform.is_none(), "a window for who is not authentic");
            taken.acknowledgement
        }
    };
    if let Some(answer) = answer {
        let again = usm.take(&answer, now, |_| true);
        assert!(matches!(again, Verdict::Refused { report: None, .. }), "an answer that is answered");
    }
}

fn engine() -> Option<Usm> {
    let user = User { name: "ringback".to_owned(), engine: None, keys: None, server: None };
    Usm::new(vec![user], LocalEngine { id: vec![0x80, 0, 0, 0, 1], boots: 3 }, Vec::new())
}
