//! What a client says about where it wanted to go, checked before it is sent back to it.

use monitor_core::config::Mistake;

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

/// `standin.own_url` is no scheme, host and port without a path.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an address without a path")]
pub(super) struct NoOrigin(String);

impl From<NoOrigin> for Mistake {
    fn from(error: NoOrigin) -> Self {
        Self::new("standin.own_url", error.to_string(), "write http://gw.example.net:8480")
    }
}

/// Whether the URL is scheme, host and port without a path, as `standin.own_url` is one.
pub(super) fn origin(url: &str) -> Result<(), NoOrigin> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.and_then(host).map(drop).ok_or_else(|| NoOrigin(url.to_owned()))
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
