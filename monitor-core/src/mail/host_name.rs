//! Which names of servers may stand in a mail.

/// Whether `name` can stand in a mail: what RFC 1123 allows in host names, and the underscore that people use. Whoever
/// owns the reverse zone chooses the bytes of a name; anything else (line ends, spaces, marks that turn the writing
/// direction) could make a letter say what Ringback does not.
#[must_use]
pub fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_odd_bytes_are_no_names() {
        assert!(is_host_name("www.example.net"));
        assert!(is_host_name("xn--wgv71a.jp"));
        for odd in ["", "a..b", "a b", "www.example.net\r\nBcc: x", "a\u{202e}b", "日本.jp", &"a".repeat(64)] {
            assert!(!is_host_name(odd), "{odd:?}");
        }
    }
}
