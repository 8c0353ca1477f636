//! What becomes of attempts. One file each handles a SYN ([`syn`]), its answer ([`answer`]), a refusal ([`refusal`]), ICMP
//! ([`unreachable`]), what these say of an attempt ([`evidence`]), a host that speaks ([`neighbour`]), data of established connections ([`established`]) and the passing
//! of time ([`deadline`]).
//!
//! In: segments and messages. Out: changes of the tables, and events on the ring buffer ([`report`]). Nothing here
//! decides whether a frame goes on.

pub(crate) mod answer;
mod bucket;
pub(crate) mod deadline;
pub(crate) mod established;
pub(crate) mod evidence;
pub(crate) mod mark;
pub(crate) mod neighbour;
pub(crate) mod refusal;
mod report;
mod ring;
pub(crate) mod syn;
mod unmatched;
pub(crate) mod unreachable;
