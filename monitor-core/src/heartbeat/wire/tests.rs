#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::{write::put_section, *};

fn message() -> impl Strategy<Value = Message> {
    let mode = prop_oneof![Just(Mode::Undecided), Just(Mode::Active), Just(Mode::Standby)];
    let rank = (any::<u64>(), "[a-z0-9-]{1,32}").prop_map(|(priority, name)| Rank { priority, name });
    let beat = (mode, any::<u64>(), any::<bool>(), prop::option::of(rank))
        .prop_map(|(mode, priority, candidate, hears_active)| Beat { mode, priority, candidate, hears_active });
    let signal = prop_oneof![Just(Signal::Start), any::<u64>().prop_map(Signal::Running), Just(Signal::End)];
    let status = (signal, any::<bool>()).prop_map(|(signal, holds_you_up)| Status { signal, holds_you_up });
    let name = "[a-z0-9-]{1,32}";
    (name, name, any::<[u64; 3]>(), any::<bool>(), prop::collection::vec((name, beat), 0..8), prop::option::of(status))
        .prop_map(|(from, to, [boot, counter, echo], hears_you, groups, status)| Message {
            from,
            to,
            boot,
            counter,
            echo,
            hears_you,
            groups,
            status,
        })
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened(message in message()) {
        let secret = Secret::new(b"one");
        prop_assert_eq!(open(&seal(&message, &secret), &secret), Ok(message));
    }

    #[test]
    fn one_changed_bit_or_another_secret_is_noticed(message in message(), place: prop::sample::Index, bit in 0_u8..8) {
        let secret = Secret::new(b"one");
        let mut bytes = seal(&message, &secret);
        prop_assert_eq!(open(&bytes, &Secret::new(b"two")), Err(WireError::Forged));
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        prop_assert!(open(&bytes, &secret).is_err());
    }

    #[test]
    fn authentic_nonsense_is_no_panic(body: Vec<u8>) {
        let secret = Secret::new(b"one");
        let mut bytes = [&MAGIC[..], &[VERSION], &body].concat();
        let tag = hmac::sign(&secret.0, &bytes);
        bytes.extend(tag.as_ref());
        let _ = open(&bytes, &secret);
    }
}

#[test]
fn a_section_that_is_not_known_is_skipped() {
    let secret = Secret::new(b"one");
    let plain = Message {
        from: "a".to_owned(),
        to: "b".to_owned(),
        boot: 1,
        counter: 2,
        echo: 3,
        hears_you: true,
        groups: Vec::new(),
        status: None,
    };
    let mut bytes = seal(&plain, &secret);
    bytes.truncate(bytes.len() - TAG);
    put_section(&mut bytes, 99, b"of a later version");
    let tag = hmac::sign(&secret.0, &bytes);
    bytes.extend(tag.as_ref());
    assert_eq!(open(&bytes, &secret).unwrap(), plain);
}
