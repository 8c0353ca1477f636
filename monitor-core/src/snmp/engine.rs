//! SNMP engines as they are kept over restarts.

use crate::domain::UnixMs;

/// Our own SNMP engine (RFC 3411), kept over restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalEngine {
    /// 5 to 32 bytes.
    pub id: Vec<u8>,
    /// snmpEngineBoots of this start.
    pub boots: u32,
}

/// What is known of a sending SNMP engine (RFC 3414 section 2.3), and the replay window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteEngine {
    /// Its id.
    pub id: Vec<u8>,
    /// Latest snmpEngineBoots that authenticated.
    pub boots: u32,
    /// Latest snmpEngineTime that authenticated.
    pub time: u32,
    /// When that message arrived here.
    pub received: UnixMs,
    /// Message ids accepted within the current time window, as (time, message id).
    pub seen: Vec<(u32, i32)>,
}
