//! `mailbox.pop3` -> host, port and privacy (pure).

use std::{fmt, net::Ipv6Addr};

/// When the connection is encrypted. The password never crosses a network in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pop3Encryption {
    /// `pop3://`: never, and so only to this machine itself.
    None,
    /// `pop3+starttls://`: by STLS or not at all.
    StartTls,
    /// `pop3s://`: from the first byte.
    Implicit,
}

/// Where the mailbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) encryption: Pop3Encryption,
    /// Host name or address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Url {
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.split_once("://").ok_or("no scheme")?;
        let (encryption, default_port) = match scheme {
            "pop3" => (Pop3Encryption::None, 110),
            "pop3+starttls" => (Pop3Encryption::StartTls, 110),
            "pop3s" => (Pop3Encryption::Implicit, 995),
            _ => return Err("unknown scheme"),
        };
        if rest.contains('@') {
            return Err("user and password belong into pop3_user and pop3_password_file");
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(bracketed) => {
                let (addr, port) = bracketed.split_once(']').ok_or("`[` without `]`")?;
                addr.parse::<Ipv6Addr>().map_err(|_| "no IPv6 address in the brackets")?;
                (addr, port)
            }
            None => rest.find(':').map_or((rest, ""), |colon| rest.split_at(colon)),
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
            return Err("no host name");
        }
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or("not a port")?,
            None if port.is_empty() => default_port,
            None => return Err("not a port"),
        };
        Ok(Self { encryption, host: host.to_owned(), port })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_encryption_host_and_port() {
        for (url, encryption, host, port) in [
            ("pop3s://mail.example.net", Pop3Encryption::Implicit, "mail.example.net", 995),
            ("pop3+starttls://mail.example.net/", Pop3Encryption::StartTls, "mail.example.net", 110),
            ("pop3://127.0.0.1:1110", Pop3Encryption::None, "127.0.0.1", 1110),
            ("pop3s://[2001:db8::1]:9950", Pop3Encryption::Implicit, "2001:db8::1", 9950),
        ] {
            assert_eq!(Url::parse(url), Ok(Url { encryption, host: host.to_owned(), port }), "{url}");
        }
    }

    #[test]
    fn wrong_urls_say_what_is_wrong() {
        for (url, what) in [
            ("mail.example.net", "no scheme"),
            ("imap://mail.example.net", "unknown scheme"),
            ("pop3s://", "no host name"),
            ("pop3s://host:0", "not a port"),
            ("pop3s://[::1", "`[` without `]`"),
            ("pop3s://me:secret@host", "user and password belong into pop3_user and pop3_password_file"),
        ] {
            assert_eq!(Url::parse(url), Err(what), "{url}");
        }
    }
}
