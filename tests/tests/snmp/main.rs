//! Traps and informs of the real net-snmp (F-10).

mod communities;
mod support;
mod usm;
