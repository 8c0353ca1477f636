use std::{net::IpAddr, ops::Range};

use proptest::prelude::*;

use super::{
    super::ber::{OCTET_STRING, SEQUENCE, write},
    Encrypted, EngineKeys, LocalEngine, Now, Taken, UnixMs, User, UserKeys, Usm, UsmRefusal, Verdict,
    frame::{self, Frame, Header, Scoped},
    keys::Protection,
};

const OURS: &[u8] = &[0x80, 0, 0, 0, 1];
const THEIRS: &[u8] = &[0x80, 0, 0, 0, 2, 9];
const NOW: Now = Now { unix: UnixMs(1_700_000_000_000), engine: 100 };

/// A snmpTrapOID.0 varbind of coldStart.
const TRAP_OID: &[u8] =
    &[0x30, 0x17, 0x06, 0x0a, 0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0, 0x06, 0x09, 0x2b, 6, 1, 6, 3, 1, 1, 5, 1];

/// Neither is cryptography, but each bit of a message and of the engine id counts.
struct Toy {
    private: bool,
    engine: Vec<u8>,
}

impl UserKeys for Toy {
    fn encrypts(&self) -> bool {
        self.private
    }

    fn localized(&self, engine: &[u8]) -> Option<Box<dyn EngineKeys>> {
        Some(Box::new(Self { private: self.private, engine: engine.to_vec() }))
    }
}

impl Toy {
    fn digest(&self, datagram: &[u8], place: &Range<usize>) -> [u8; 4] {
        let bytes = datagram.iter().enumerate().map(|(at, byte)| if place.contains(&at) { 0 } else { *byte });
        let sum = self.engine.iter().copied().chain(bytes);
        sum.fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))).to_be_bytes()
    }
}

impl EngineKeys for Toy {
    fn digest_length(&self) -> usize {
        4
    }

    fn sign(&self, datagram: &mut [u8], digest: Range<usize>) -> Option<()> {
        let signature = self.digest(datagram, &digest);
        datagram.get_mut(digest)?.copy_from_slice(&signature);
        Some(())
    }

    fn verify(&self, datagram: &[u8], digest: Range<usize>) -> bool {
        datagram.get(digest.clone()) == Some(&self.digest(datagram, &digest))
    }

    fn encrypt(&self, clear: &[u8], _: u32, _: u32) -> Option<Encrypted> {
        Some(Encrypted { bytes: clear.iter().map(|byte| byte ^ 0x5a).collect(), salt: vec![1; 8] })
    }

    fn decrypt(&self, encrypted: &[u8], _: u32, _: u32, _: &[u8]) -> Option<Vec<u8>> {
        Some(encrypted.iter().map(|byte| byte ^ 0x5a).collect())
    }
}

/// Users without keys, with a digest, and with encryption.
const LEVELS: [&str; 3] = ["nobody", "signer", "keeper"];

fn usm() -> Usm {
    let keys = |private| Some(Box::new(Toy { private, engine: Vec::new() }) as Box<dyn UserKeys>);
    let users = [None, keys(false), keys(true)].into_iter().zip(LEVELS);
    let user = |(keys, name): (_, &str)| User { name: name.to_owned(), engine: None, keys, server: None };
    let local = LocalEngine { id: OURS.to_vec(), boots: 3 };
    Usm::new(users.map(user).collect(), local, Vec::new()).unwrap()
}

fn scoped(pdu: u8, varbinds: &[u8]) -> Vec<u8> {
    let fields = [&[2, 5, 0, 0x8a, 0x11, 0x22, 0x33, 2, 1, 0, 2, 1, 0][..], &write(SEQUENCE, &[varbinds])];
    let (engine, context) = (write(OCTET_STRING, &[THEIRS]), write(OCTET_STRING, &[b"context"]));
    write(SEQUENCE, &[&engine, &context, &write(pdu, &fields)])
}

/// A message of this user, whose authority is that engine.
fn sent(user: &str, engine: &[u8], scoped: &[u8], reportable: bool) -> Vec<u8> {
    let keys = Toy { private: user == "keeper", engine: engine.to_vec() };
    let protection = match user {
        "nobody" => Protection::None,
        "keeper" => Protection::Encrypted(&keys),
        _ => Protection::Signed(&keys),
    };
    let header = Header { message: 77, engine, boots: 3, time: 100, user: user.as_bytes() };
    let mut datagram = frame::write(&header, scoped, protection).unwrap();
    if reportable {
        // msgFlags stands before the security model.
        let flags = datagram.windows(5).position(|bytes| bytes[..2] == [4, 1] && bytes[3..] == [2, 1]).unwrap() + 2;
        datagram[flags] |= 4;
        if user != "nobody" {
            let digest = Frame::read(&datagram).unwrap().digest;
            keys.sign(&mut datagram, digest).unwrap();
        }
    }
    datagram
}

fn take(usm: &mut Usm, datagram: &[u8]) -> Result<Taken, (UsmRefusal, bool)> {
    match usm.take(datagram, NOW, |_| true) {
        Verdict::Taken(taken) => Ok(taken),
        Verdict::Refused { why, report } => Err((why, report.is_some())),
        Verdict::Again { .. } => panic!("nothing is committed"),
    }
}

/// What only an agent that does not follow the standard sends.
fn odd_varbinds() -> Vec<u8> {
    let values: [(u8, &[u8]); 5] = [(0x42, &[0xff; 4]), (0x46, &[0xff; 8]), (6, &[]), (0x47, &[5]), (0x7f, &[1, 2, 3])];
    let odd = values.map(|(tag, content)| write(SEQUENCE, &[&[6, 2, 0x2b, 6], &write(tag, &[content])]));
    let address = write(SEQUENCE, &[&[6, 9, 0x2b, 6, 1, 6, 3, 18, 1, 3, 0], &[0x40, 4, 0, 0, 0, 0]]);
    [TRAP_OID, &address, &odd.concat()].concat()
}

#[test]
fn an_odd_trap_is_taken_at_every_level() {
    for user in LEVELS {
        let taken = take(&mut usm(), &sent(user, THEIRS, &scoped(0xa7, &odd_varbinds()), false));
        let Ok(taken) = taken else { panic!("{user}: {:?}", taken.err()) };
        assert_eq!(taken.notice.oid, [1, 3, 6, 1, 6, 3, 1, 1, 5, 1], "{user}");
        assert_eq!((taken.notice.agent, taken.server), (None::<IpAddr>, None), "{user}");
        assert!(taken.acknowledgement.is_none() && taken.seen.is_some() == (user != "nobody"), "{user}");
    }
}

#[test]
fn an_odd_inform_is_acknowledged_byte_for_byte_at_every_level() {
    for user in LEVELS {
        let inform = scoped(0xa6, &odd_varbinds());
        let taken = take(&mut usm(), &sent(user, OURS, &inform, true));
        let Ok(taken) = taken else { panic!("{user}: {:?}", taken.err()) };
        let answer = taken.acknowledgement.unwrap();
        let frame = Frame::read(&answer).unwrap();
        assert_eq!((frame.message, frame.encrypted), (77, user == "keeper"), "{user}");
        let clear = frame.ciphertext().map(|bytes| bytes.iter().map(|byte| byte ^ 0x5a).collect::<Vec<_>>());
        let said = clear.as_deref().map_or_else(|| frame.clear(), Scoped::read).unwrap();
        // A response differs from its inform in its tag alone.
        let mut expected = Scoped::read(&inform).unwrap().pdu.whole.to_vec();
        expected[0] = 0xa2;
        assert_eq!(said.with(said.pdu.whole), Scoped::read(&inform).unwrap().with(&expected), "{user}");
    }
}

#[test]
fn informs_of_the_same_second_and_message_id_are_different_ones() {
    for user in LEVELS {
        let mut usm = usm();
        // Two devices that have started together: all they differ in is what they say.
        let inform = |who: u8| {
            let uptime = write(SEQUENCE, &[&[6, 8, 0x2b, 6, 1, 2, 1, 1, 3, 0], &[0x43, 1, who]]);
            sent(user, OURS, &scoped(0xa6, &[&uptime, TRAP_OID].concat()), true)
        };
        let keys: Vec<_> = [1, 2].map(|who| take(&mut usm, &inform(who)).ok().unwrap().inform).to_vec();
        if user == "nobody" {
            continue;
        }
        assert_eq!(take(&mut usm, &inform(1)).err(), Some((UsmRefusal::Replayed, false)), "{user}");
        keys.into_iter().for_each(|key| usm.committed(key.unwrap()));
        assert!(matches!(usm.take(&inform(2), NOW, |_| true), Verdict::Again { .. }), "{user}");
    }
}

#[test]
fn a_trap_that_asks_for_a_report_is_a_trap() {
    for user in LEVELS {
        let trap = scoped(0xa7, &odd_varbinds());
        assert!(take(&mut usm(), &sent(user, THEIRS, &trap, true)).is_ok(), "{user}");
        let mut other = sent(user, THEIRS, &trap, true);
        *other.last_mut().unwrap() ^= 1;
        if user != "nobody" {
            // Nobody knows that this is a trap.
            assert!(take(&mut usm(), &other).is_err(), "{user}");
        }
        // Whose authority is not the sender is no trap.
        let refused = take(&mut usm(), &sent(user, OURS, &trap, true)).err();
        assert_eq!(refused, Some((UsmRefusal::Malformed, false)), "{user}");
    }
}

#[test]
fn an_inform_for_another_engine_is_told_ours() {
    for user in LEVELS {
        let inform = sent(user, THEIRS, &scoped(0xa6, &odd_varbinds()), true);
        assert_eq!(take(&mut usm(), &inform).err(), Some((UsmRefusal::UnknownEngine, true)), "{user}");
    }
}

#[test]
fn what_a_report_answers_is_told_whatever_it_is() {
    let mut usm = usm();
    for pdu in [&[][..], &[0xa0, 0], &[0xa0, 3, 2, 1, 9], &[0xff, 0xff]] {
        let data = if pdu == [0xff, 0xff] { pdu.to_vec() } else { write(SEQUENCE, &[&[4, 0, 4, 0], pdu]) };
        let header = Header { message: 5, engine: &[], boots: 0, time: 0, user: b"" };
        let mut discovery = frame::write(&header, &data, Protection::None).unwrap();
        let flags = discovery.windows(3).position(|bytes| bytes == [4, 1, 0]).unwrap() + 2;
        discovery[flags] = 4;
        let expected =
            if data == [0xff, 0xff] { (UsmRefusal::Malformed, false) } else { (UsmRefusal::UnknownEngine, true) };
        assert_eq!(take(&mut usm, &discovery).err(), Some(expected), "{pdu:x?}");
    }
}

proptest! {
    #[test]
    fn a_changed_byte_is_never_authentic(
        place in any::<proptest::sample::Index>(),
        change in 1..=u8::MAX,
        user in 1..LEVELS.len(),
        inform in any::<bool>(),
    ) {
        let (pdu, engine) = if inform { (0xa6, OURS) } else { (0xa7, THEIRS) };
        let mut datagram = sent(LEVELS[user], engine, &scoped(pdu, &odd_varbinds()), inform);
        let place = place.index(datagram.len());
        datagram[place] ^= change;
        let refused = take(&mut usm(), &datagram).err();
        prop_assert!(refused.is_some(), "{} at {place} by {change}", LEVELS[user]);
    }

    #[test]
    fn a_trap_is_found_among_any_varbinds(
        tags in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..6),
        user in 0..LEVELS.len(),
    ) {
        let odd = tags.iter().map(|(tag, content)| write(SEQUENCE, &[&[6, 1, 0x2b], &write(*tag, &[content])]));
        let varbinds = [TRAP_OID.to_vec(), odd.collect::<Vec<_>>().concat()].concat();
        prop_assert!(take(&mut usm(), &sent(LEVELS[user], THEIRS, &scoped(0xa7, &varbinds), false)).is_ok());
    }
}
