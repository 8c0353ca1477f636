//! A message as it goes over the wire behind DATA, without the dot that ends it.

/// Doubles the dots at the begin of lines (RFC 5321 section 4.5.2), and ends each line, the last one too, with CRLF: a CR or
/// LF alone is not sent (section 2.3.8), because servers disagree on whether it ends a line.
#[must_use]
pub fn data(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + 64);
    let mut rest = message;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
        let (line, behind) = rest.split_at(end);
        if line.first() == Some(&b'.') {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
        wire.extend_from_slice(b"\r\n");
        rest = match behind {
            [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
            [] => behind,
        };
    }
    wire
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::data;

    #[test]
    fn dots_are_doubled_and_lines_end_with_both() {
        for (message, wire) in [
            ("a\r\n.b\r\n", "a\r\n..b\r\n"),
            (".", "..\r\n"),
            ("a\r\n.\r\nb", "a\r\n..\r\nb\r\n"),
            ("a\n.\nb\r.\rc", "a\r\n..\r\nb\r\n..\r\nc\r\n"),
            ("a\r\n\r\n", "a\r\n\r\n"),
            ("", ""),
        ] {
            assert_eq!(data(message.as_bytes()), wire.as_bytes(), "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_in_a_message_ends_it(message in proptest::collection::vec(prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..60)) {
            let wire = [b"\r\n".as_slice(), &data(&message)].concat();
            prop_assert!(!wire.windows(3).any(|three| three == b"\n.\r" || three == b"\n.\n" || three == b"\r.\r"));
            prop_assert!(wire.ends_with(b"\r\n"));
        }
    }
}
