//! What signs a POST: HMAC-SHA-256 over id, time and body, as Standard Webhooks has it (pure).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::hmac;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret.
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// One secret, or two while one is replaced.
pub(super) struct Secrets(Vec<hmac::Key>);

impl Secrets {
    /// One a line.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let secret = |line: &str| {
            let encoded = line.trim().strip_prefix(PREFIX).ok_or("a secret begins with whsec_")?;
            let bytes = STANDARD.decode(encoded).map_err(|_| "behind whsec_ is no base64")?;
            if BYTES.contains(&bytes.len()) {
                Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
            } else {
                Err("a secret has 24 to 64 bytes")
            }
        };
        let keys = text.lines().filter(|line| !line.trim().is_empty()).map(secret).collect::<Result<Vec<_>, _>>()?;
        if (1..=2).contains(&keys.len()) {
            Ok(Self(keys))
        } else {
            Err("write one secret, or two while one is replaced")
        }
    }

    /// The value of `webhook-signature`: one signature by each secret.
    pub(super) fn sign(&self, id: &str, seconds: i64, body: &str) -> String {
        let content = format!("{id}.{seconds}.{body}");
        let signature = |key| format!("v1,{}", STANDARD.encode(hmac::sign(key, content.as_bytes())));
        self.0.iter().map(signature).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    /// The example of the published specification and of its libraries.
    #[test]
    fn the_published_example_is_signed_alike() {
        let signed = Secrets::parse(SECRET).unwrap().sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            "{\"test\": 2432232314}",
        );
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_sign_both_and_wrong_ones_say_why() {
        let two = Secrets::parse(&format!("{SECRET}\n\nwhsec_{}\n", STANDARD.encode([7; 32]))).unwrap();
        assert_eq!(two.sign("a", 1, "{}").split(' ').count(), 2);
        for (text, what) in [
            ("", "write one secret"),
            ("secret", "begins with whsec_"),
            ("whsec_***", "no base64"),
            ("whsec_AAAA", "24 to 64 bytes"),
        ] {
            assert!(Secrets::parse(text).err().unwrap().contains(what), "{text}");
        }
    }
}
