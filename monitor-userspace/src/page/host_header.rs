//! What a client says about where it wanted to go, checked before it is sent back to it.

/// A `Host` header that can stand in a URL: a name or an address, with or without a port.
pub(super) fn host(text: &str) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    (!text.is_empty() && text.len() <= 255 && text.bytes().all(plain)).then_some(text)
}

/// A path with its query on the same host. `//host/` would be another one, and so would `/\host/` to a browser.
pub(super) fn path(text: &str) -> &str {
    let plain = text.len() <= 2048 && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"'\\`".contains(&byte));
    if plain && text.starts_with('/') && !text.starts_with("//") && !text.starts_with("/.ringback/") {
        text
    } else {
        "/"
    }
}

/// Scheme, host and port of a URL without a path, as `standin.own_url` is one.
pub(super) fn origin(url: &str) -> Result<&str, String> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    match rest.and_then(host) {
        Some(_) => Ok(url),
        None => Err(format!("`{url}` is not an address without a path: write http://gw.example.net:8480")),
    }
}

#[cfg(test)]
mod tests {
    use super::{host, origin, path};

    #[test]
    fn only_what_stays_on_the_server_is_sent_back() {
        for good in ["/", "/a?b=c&d=%20", "/a//b"] {
            assert_eq!(path(good), good);
        }
        for bad in ["//evil.test/", "/\\evil.test", "http://evil.test/", "/\"><script>", "", "/.ringback/answer", "/ä"]
        {
            assert_eq!(path(bad), "/", "{bad}");
        }
        assert_eq!(host("www.example.test:80"), Some("www.example.test:80"));
        assert_eq!(host("[2001:db8::1]"), Some("[2001:db8::1]"));
        for bad in ["", "a/b", "a\"b", "user@host", "a b"] {
            assert_eq!(host(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_origin_has_no_path() {
        assert!(origin("http://gw.example.net:8480").is_ok());
        for bad in ["gw.example.net", "http://gw.example.net/", "ftp://gw", "http://"] {
            assert!(origin(bad).is_err(), "{bad}");
        }
    }
}
