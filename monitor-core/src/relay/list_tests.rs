//! What is signed comes back as it was; nothing else is believed.
#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::relay::{
    attachment,
    receipt::Receipt,
    seal::{LARGEST, Refusal},
};

const NOW: UnixMs = UnixMs(1_795_226_501_000);
const OLD: (&str, &[u8]) = ("old", b"the key of last month, thirty-two and more");
const NEW: (&str, &[u8]) = ("new", b"the key of this month, thirty-two and more");

fn ring(keys: &[(&str, &[u8])]) -> Keyring {
    Keyring::of("gw1", keys)
}

fn listed() -> impl Strategy<Value = Listed> {
    let failure = (0..Failure::ALL.len()).prop_map(|index| Failure::ALL[index]);
    (any::<IpAddr>(), 0..i64::MAX, 0..i64::MAX, any::<u64>(), failure).prop_map(
        |(client, first, latest, attempts, evidence)| Listed {
            client: ClientAddr::new(client),
            first: UnixMs(first),
            latest: UnixMs(latest),
            attempts,
            evidence,
        },
    )
}

fn lists() -> impl Strategy<Value = List> {
    let clients = proptest::collection::vec(listed(), 0..20);
    (any::<IpAddr>(), any::<u16>(), clients, any::<u128>(), 1..100_000_i64, 1..100_000_i64).prop_map(
        |(server, port, mut clients, nonce, ago, left)| {
            clients.sort_by_key(|listed| listed.client.ip());
            clients.dedup_by_key(|listed| listed.client);
            List {
                version: 1,
                gateway: "gw1".to_owned(),
                key: "old".to_owned(),
                outage: OutageId(17),
                server: server.to_canonical(),
                port,
                since: UnixMs(NOW.0 - 7_500_000),
                recovered: NOW,
                evidence: Recovery::Answered,
                clients,
                issued: UnixMs(NOW.0 - ago),
                expires: UnixMs(NOW.0 + left),
                nonce: format!("{nonce:032x}"),
            }
        },
    )
}

proptest! {
    #[test]
    fn a_list_comes_back_under_either_live_key(list in lists()) {
        let bytes = list.encode(&ring(&[OLD]));
        prop_assert_eq!(List::verify(&bytes, &ring(&[OLD]), NOW), Ok(list.clone()));
        prop_assert_eq!(List::verify(&bytes, &ring(&[NEW, OLD]), NOW), Ok(list));
    }

    // proves: F-17a
    #[test]
    fn one_changed_bit_anywhere_is_refused(list in lists(), at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let mut bytes = list.encode(&ring(&[OLD]));
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        // But for the very last line end, which mail systems may add.
        prop_assume!(at + 1 < bytes.len());
        prop_assert!(List::verify(&bytes, &ring(&[OLD]), NOW).is_err());
    }

    #[test]
    fn a_piece_of_a_list_is_refused(list in lists(), at in any::<prop::sample::Index>()) {
        let bytes = list.encode(&ring(&[OLD]));
        let whole = bytes.len() - 1;
        prop_assert!(List::verify(&bytes[..at.index(whole)], &ring(&[OLD]), NOW).is_err());
        prop_assert!(List::verify(&bytes[at.index(whole) + 1..], &ring(&[OLD]), NOW).is_err());
    }

    #[test]
    fn a_key_that_is_not_alive_is_refused(list in lists()) {
        let bytes = list.encode(&ring(&[OLD]));
        prop_assert_eq!(List::verify(&bytes, &ring(&[NEW]), NOW), Err(Refusal::WrongSignature));
    }

    #[test]
    fn a_signature_counts_for_its_own_key_gateway_and_kind_only(mut list in lists()) {
        let other = Keyring::of("gw2", &[OLD]);
        prop_assert_eq!(List::verify(&list.encode(&ring(&[OLD])), &other, NOW), Err(Refusal::WrongKey));
        prop_assert_eq!(Receipt::verify(&list.encode(&ring(&[OLD])), &ring(&[OLD]), NOW), Err(Refusal::WrongSignature));
        list.key = "new".to_owned();
        prop_assert_eq!(List::verify(&list.encode(&ring(&[OLD])), &ring(&[OLD, NEW]), NOW), Err(Refusal::WrongKey));
    }

    #[test]
    fn before_and_after_its_time_it_is_refused(list in lists()) {
        let bytes = list.encode(&ring(&[OLD]));
        prop_assert_eq!(List::verify(&bytes, &ring(&[OLD]), list.expires), Err(Refusal::Expired));
        let early = UnixMs(list.issued.0 - 5 * 60 * 1000 - 1);
        prop_assert_eq!(List::verify(&bytes, &ring(&[OLD]), early), Err(Refusal::Early));
    }

    #[test]
    fn what_anybody_sends_is_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(List::verify(&bytes, &ring(&[OLD]), NOW).is_err());
        prop_assert_eq!(attachment::find(&bytes, "ringback-list.json"), None);
    }
}

/// Signed by somebody who has the key and does not write as we do.
fn signed(json: &str) -> Vec<u8> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, OLD.1);
    let digest = ring::hmac::sign(&key, &[b"ringback list\n", json.as_bytes()].concat());
    let digits: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{json}\nhmac-sha256={digits}\n").into_bytes()
}

fn sample() -> String {
    r#"{"version":1,"gateway":"gw1","key":"old","outage":17,"server":"192.0.2.7","port":443,"since":1,"recovered":2,"evidence":"answered","clients":[{"client":"198.18.0.1","first":1,"latest":1,"attempts":3,"evidence":"refused"},{"client":"2001:db8::1","first":1,"latest":1,"attempts":3,"evidence":"known-failed"}],"issued":3,"expires":1795226502000,"nonce":"00112233445566778899aabbccddeeff"}"#.to_owned()
}

#[test]
fn the_canonical_form_is_fixed() {
    let list = List::verify(&signed(&sample()), &ring(&[OLD]), NOW).unwrap();
    assert_eq!(list.clients.len(), 2);
    assert_eq!(list.encode(&ring(&[OLD])), signed(&sample()));
}

#[test]
fn signed_and_yet_not_ours_is_refused() {
    for (from, to) in [
        (r#""port":443"#, r#""port": 443"#),
        (r#""port":443,"#, r#""port":443,"more":1,"#),
        (r#""port":443,"since":1"#, r#""since":1,"port":443"#),
        (r#""198.18.0.1""#, r#""::ffff:198.18.0.1""#),
        (r#""192.0.2.7""#, r#""::ffff:192.0.2.7""#),
        (r#""2001:db8::1""#, r#""198.18.0.1""#),
        ("known-failed", "bored"),
        (r#""port":443"#, r#""port":70000"#),
    ] {
        let refused = List::verify(&signed(&sample().replacen(from, to, 1)), &ring(&[OLD]), NOW);
        assert!(matches!(refused, Err(Refusal::Form(_))), "{to}: {refused:?}");
    }
    let later = signed(&sample().replace(r#""version":1"#, r#""version":2"#));
    assert_eq!(List::verify(&later, &ring(&[OLD]), NOW), Err(Refusal::Version(2)));
}

#[test]
fn too_many_bytes_are_refused_unread() {
    let mut bytes = vec![b'x'; LARGEST];
    bytes.extend_from_slice(&signed(&sample()));
    assert_eq!(List::verify(&bytes, &ring(&[OLD]), NOW), Err(Refusal::TooLarge));
}

#[test]
fn a_list_of_the_most_clients_fits() {
    let clients = (0..super::super::MOST_CLIENTS as u128).map(|index| Listed {
        client: ClientAddr::new(std::net::Ipv6Addr::from(u128::MAX - (1 << 64) + index).into()),
        first: NOW,
        latest: NOW,
        attempts: u64::from(u32::MAX),
        evidence: Failure::HostUnreachable,
    });
    let mut list: List = serde_json::from_str(&sample()).unwrap();
    list.clients = clients.collect();
    assert!(list.encode(&ring(&[OLD])).len() < LARGEST / 2);
}
