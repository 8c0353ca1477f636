//! SNMPv3 with the user-based security model (RFC 3414; pure: datagrams and time in, verdicts out).
//!
//! Of a trap the sender is the authoritative engine: its keys are made for its id, and its boots and time say whether the
//! trap is new. Of an inform we are: the sender asks for our id, boots and time first (section 4), which it gets as a
//! Report.

mod frame;
mod informs;
mod keys;
mod users;
mod window;

use std::net::IpAddr;

use rasn::types::ObjectIdentifier;
use rasn_smi::v2 as smi2;
use rasn_snmp::{
    v2::{Pdu, Pdus, Report, VarBind, VarBindValue},
    v3::ScopedPdu,
};

use self::{
    frame::{Frame, Header, Scoped},
    informs::{Informs, Known},
    keys::Protection,
    users::Users,
    window::{BOOTS_EXHAUSTED, EngineStamp, TIME_WINDOW, Windows},
};
pub use self::{
    informs::InformKey,
    keys::{Encrypted, EngineKeys, UserKeys},
    users::{User, engine_id},
};
use super::pdu::{self, NotificationPdu, TrapContent};
use crate::{
    domain::UnixMs,
    snmp::{LocalEngine, RemoteEngine},
};

/// usmStats (RFC 3414 section 5); what is behind it is 1 to 6, and `.0`.
const USM_STATS: [u32; 9] = [1, 3, 6, 1, 6, 3, 15, 1, 1];

/// Bytes of an engine id (RFC 3411, SnmpEngineID).
const ENGINE_ID: std::ops::RangeInclusive<usize> = 5..=32;

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsmRefusal {
    /// Not SNMPv3 with USM, or not a notification.
    Malformed,
    /// The sender takes another engine for the authority, or asks who it is.
    UnknownEngine,
    /// No user of that name, or not for this engine.
    UnknownUser,
    /// Less or more security than the user is configured with.
    WrongLevel,
    /// The digest is not that of the user's pass phrase.
    WrongDigest,
    /// It cannot be decrypted.
    Undecryptable,
    /// Too old.
    NotInWindow,
    /// It was received before.
    Replayed,
    /// The engine has reported more recoveries within its time window than are remembered.
    WindowFull,
}

impl UsmRefusal {
    /// Which of usmStats counts it; what has none is not reported to its sender.
    fn statistic(self) -> Option<u8> {
        Some(match self {
            Self::WrongLevel => 1,
            Self::NotInWindow => 2,
            Self::UnknownUser => 3,
            Self::UnknownEngine => 4,
            Self::WrongDigest => 5,
            Self::Undecryptable => 6,
            Self::Malformed | Self::Replayed | Self::WindowFull => return None,
        })
    }
}

/// The time of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// By the wall clock.
    pub unix: UnixMs,
    /// Our own snmpEngineTime: seconds since this process started.
    pub engine: u32,
}

/// What follows from a datagram.
pub enum Verdict {
    /// Nothing, but its sender may have to be told why.
    Refused {
        /// Why it is refused.
        why: UsmRefusal,
        /// The Report that its sender gets.
        report: Option<Vec<u8>>,
    },
    /// An inform that is committed already: its acknowledgement was lost.
    Again {
        /// The answer, once more.
        acknowledgement: Vec<u8>,
    },
    /// It is new.
    Taken(Taken),
}

/// A notification that is new, and authentic as far as its user is configured to be.
pub struct Taken {
    /// What it says.
    pub notice: TrapContent,
    /// Whom its user speaks for.
    pub server: Option<IpAddr>,
    /// Must be in the store with whatever follows from the notification.
    pub seen: Option<RemoteEngine>,
    /// An inform's answer, for when it is committed.
    pub acknowledgement: Option<Vec<u8>>,
    /// To say that it is committed.
    pub inform: Option<InformKey>,
}

/// Our engine, its users, and what it knows of others.
pub struct Usm {
    local: LocalEngine,
    users: Users,
    windows: Windows,
    informs: Informs,
    /// usmStats 1 to 6.
    statistics: [u32; 6],
}

impl Usm {
    /// `local` must be of a start that the store has counted; `None` without users.
    #[must_use]
    pub fn new(users: Vec<User>, local: LocalEngine, engines: Vec<RemoteEngine>) -> Option<Self> {
        let users = Users::new(users);
        (!users.is_empty()).then(|| Self {
            local,
            users,
            windows: Windows::new(engines),
            informs: Informs::default(),
            statistics: [0; 6],
        })
    }

    /// Takes a datagram; `recovers` says whether the OID of a notification means recovery.
    pub fn take(&mut self, datagram: &[u8], now: Now, recovers: impl Fn(&[u32]) -> bool) -> Verdict {
        let Some(mut frame) = Frame::read(datagram) else {
            return Verdict::Refused { why: UsmRefusal::Malformed, report: None };
        };
        frame.reportable = frame.reportable && !self.is_trap(&frame, datagram);
        self.open(&frame, datagram, now, recovers).unwrap_or_else(|why| {
            let report = self.report(&frame, why, now);
            Verdict::Refused { why, report }
        })
    }

    /// What follows from the inform is in the store.
    pub fn committed(&mut self, inform: InformKey) {
        self.informs.committed(inform);
    }

    /// Whether it can be seen to be a trap, of which nobody wants to know why it is refused: there are agents that ask for
    /// a Report to their traps (RFC 3412 section 6.4).
    fn is_trap(&self, frame: &Frame<'_>, datagram: &[u8]) -> bool {
        if let Some(scoped) = frame.clear() {
            return pdu::is_trap(scoped.pdu);
        }
        let user = self.users.of_engine(frame.user, frame.engine);
        let keys = user.filter(|user| user.level() == (true, true)).and_then(|user| user.localized(frame.engine));
        let keys = keys.filter(|keys| keys.verify(datagram, frame.digest.clone()));
        let clear = keys.and_then(|keys| decrypted(frame, Some(&*keys)).ok().flatten());
        clear.is_some_and(|bytes| Scoped::read(&bytes).is_some_and(|scoped| pdu::is_trap(scoped.pdu)))
    }

    /// RFC 3414 section 3.2, in its order.
    fn open(
        &mut self,
        frame: &Frame<'_>,
        datagram: &[u8],
        now: Now,
        recovers: impl Fn(&[u32]) -> bool,
    ) -> Result<Verdict, UsmRefusal> {
        let ours = frame.engine == self.local.id;
        if !ours && frame.reportable {
            return Err(UsmRefusal::UnknownEngine);
        }
        if !ENGINE_ID.contains(&frame.engine.len()) {
            return Err(UsmRefusal::Malformed);
        }
        let user = if ours { self.users.named(frame.user) } else { self.users.of_engine(frame.user, frame.engine) };
        let user = user.ok_or(UsmRefusal::UnknownUser)?;
        if user.level() != (frame.authenticated, frame.encrypted) {
            return Err(UsmRefusal::WrongLevel);
        }
        let keys = user.localized(frame.engine);
        if frame.authenticated && keys.is_none() {
            return Err(UsmRefusal::WrongDigest);
        }
        let server = user.server;
        let stamp = EngineStamp { boots: frame.boots, time: frame.time, message: frame.message };
        if let Some(keys) = &keys {
            if !keys.verify(datagram, frame.digest.clone()) {
                return Err(UsmRefusal::WrongDigest);
            }
            if ours {
                self.in_own_window(stamp, now)?;
            } else {
                self.windows.admit(frame.engine, stamp, now.unix)?;
            }
        }
        let decrypted = decrypted(frame, keys.as_deref())?;
        let scoped = match &decrypted {
            Some(bytes) => Scoped::read(bytes).ok_or(UsmRefusal::Undecryptable)?,
            None => frame.clear().ok_or(UsmRefusal::Malformed)?,
        };
        let NotificationPdu { content: notice, response } =
            pdu::notification(scoped.pdu).ok_or(UsmRefusal::Malformed)?;
        let remembered = keys.is_some() && recovers(&notice.oid);
        match response {
            None if !ours => {
                let seen = remembered.then(|| self.windows.remember(frame.engine, stamp)).transpose()?;
                Ok(Verdict::Taken(Taken { notice, server, seen, acknowledgement: None, inform: None }))
            }
            Some(response) if ours => {
                let digest = datagram.get(frame.digest.clone()).unwrap_or_default();
                let key = remembered.then(|| InformKey::new(frame.time, digest));
                let known = key.map_or(Ok(Known::New), |key| self.informs.take(key, now.engine))?;
                if known == Known::Taken {
                    return Err(UsmRefusal::Replayed);
                }
                let (header, answer) = (self.header(frame, now), scoped.with(&response));
                let acknowledgement =
                    frame::write(&header, &answer, as_received(frame, keys.as_deref())).ok_or(UsmRefusal::Malformed)?;
                if known == Known::Committed {
                    return Ok(Verdict::Again { acknowledgement });
                }
                let acknowledgement = Some(acknowledgement);
                Ok(Verdict::Taken(Taken { notice, server, seen: None, acknowledgement, inform: key }))
            }
            _ => Err(UsmRefusal::Malformed),
        }
    }

    /// Section 3.2, step 7a: we are the authority.
    fn in_own_window(&self, stamp: EngineStamp, now: Now) -> Result<(), UsmRefusal> {
        let right = stamp.boots == self.local.boots
            && stamp.boots != BOOTS_EXHAUSTED
            && stamp.time.abs_diff(now.engine) <= TIME_WINDOW;
        if right { Ok(()) } else { Err(UsmRefusal::NotInWindow) }
    }

    /// Tells the sender why its message is refused, if it wants to know (RFC 3412 section 7.1.3).
    fn report(&mut self, frame: &Frame<'_>, why: UsmRefusal, now: Now) -> Option<Vec<u8>> {
        let which = why.statistic()?;
        let count = self.statistics.get_mut(usize::from(which) - 1)?;
        *count = count.wrapping_add(1);
        if !frame.reportable {
            return None;
        }
        let mut name = USM_STATS.to_vec();
        name.extend([u32::from(which), 0]);
        let value =
            smi2::ObjectSyntax::ApplicationWide(smi2::ApplicationSyntax::Counter(rasn_smi::v1::Counter(*count)));
        let pdu = Pdu {
            // What the Report refers to; 0 when that is encrypted (RFC 3412 section 7.1.3).
            request_id: frame.clear().and_then(|scoped| pdu::request_id(scoped.pdu)).unwrap_or(0),
            error_status: 0,
            error_index: 0,
            variable_bindings: vec![VarBind {
                name: ObjectIdentifier::new_unchecked(name.into()),
                value: VarBindValue::Value(value),
            }],
        };
        let scoped = ScopedPdu {
            engine_id: self.local.id.clone().into(),
            name: Vec::new().into(),
            data: Pdus::Report(Report(pdu)),
        };
        // Our time must be believed by who sets its clock by it (section 3.2, step 7a); the rest need not be.
        let keys = if why == UsmRefusal::NotInWindow {
            Some(self.users.named(frame.user)?.localized(&self.local.id)?)
        } else {
            None
        };
        let protection = keys.as_deref().map_or(Protection::None, Protection::Signed);
        frame::write(&self.header(frame, now), &rasn::ber::encode(&scoped).ok()?, protection)
    }

    fn header<'a>(&'a self, frame: &Frame<'a>, now: Now) -> Header<'a> {
        Header {
            message: frame.message,
            engine: &self.local.id,
            boots: self.local.boots,
            time: now.engine,
            user: frame.user,
        }
    }
}

/// The protection of an answer: that of what is answered.
fn as_received<'a>(frame: &Frame<'_>, keys: Option<&'a dyn EngineKeys>) -> Protection<'a> {
    match keys {
        None => Protection::None,
        Some(keys) if frame.encrypted => Protection::Encrypted(keys),
        Some(keys) => Protection::Signed(keys),
    }
}

/// The bytes of the scoped PDU, if it is encrypted.
fn decrypted(frame: &Frame<'_>, keys: Option<&dyn EngineKeys>) -> Result<Option<Vec<u8>>, UsmRefusal> {
    let Some(keys) = keys.filter(|_| frame.encrypted) else { return Ok(None) };
    let encrypted = frame.ciphertext().ok_or(UsmRefusal::Malformed)?;
    let clear = keys.decrypt(encrypted, frame.boots, frame.time, frame.salt);
    clear.map(Some).ok_or(UsmRefusal::Undecryptable)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
#[path = "usm_tests.rs"]
mod tests;
