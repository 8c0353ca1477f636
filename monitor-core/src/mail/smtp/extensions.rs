//! What a mail server offers behind EHLO (RFC 5321 section 4.1.1.1).

use super::Reply;

/// The extensions of one server that matter here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 6531: addresses with other than ASCII before their `@`.
    pub smtputf8: bool,
    /// RFC 6152.
    pub eight_bit: bool,
    /// `AUTH PLAIN` (RFC 4616).
    pub auth_plain: bool,
    /// `AUTH LOGIN`: never published, and the only one of some servers.
    pub auth_login: bool,
}

impl Extensions {
    /// Reads the lines behind the first, which is the server's name.
    #[must_use]
    pub fn of(reply: &Reply) -> Self {
        let mut offered = Self::default();
        for line in reply.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            // `AUTH=PLAIN`: from before RFC 2554, and still sent.
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            match words.next() {
                Some("STARTTLS") => offered.starttls = true,
                Some("SMTPUTF8") => offered.smtputf8 = true,
                Some("8BITMIME") => offered.eight_bit = true,
                Some("AUTH") => words.for_each(|mechanism| match mechanism {
                    "PLAIN" => offered.auth_plain = true,
                    "LOGIN" => offered.auth_login = true,
                    _ => {}
                }),
                _ => {}
            }
        }
        offered
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ReplyReader, *};

    fn of(text: &str) -> Extensions {
        let mut reader = ReplyReader::default();
        reader.take(text.as_bytes());
        Extensions::of(&reader.finish().unwrap_or_else(|| panic!("{text}")))
    }

    #[test]
    fn keywords_are_read_in_any_case_and_the_servers_name_is_none() {
        assert_eq!(of("250 starttls\r\n"), Extensions::default());
        let offered =
            of("250-mx\r\n250-StartTLS\r\n250-AUTH CRAM-MD5 plain\r\n250-AUTH=LOGIN\r\n250-8BITMIME\r\n250\r\n");
        let expected =
            Extensions { starttls: true, smtputf8: false, eight_bit: true, auth_plain: true, auth_login: true };
        assert_eq!(offered, expected);
        assert!(of("250-mx\r\n250-\u{fffd}\r\n250 SMTPUTF8\r\n").smtputf8);
    }
}
