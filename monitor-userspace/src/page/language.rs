//! `Accept-Language` (RFC 9110 section 12.5.4) -> one of the page's languages.

use axum::http::{HeaderMap, header::ACCEPT_LANGUAGE};
use monitor_core::domain::Language;

/// Ranges that are looked at; a browser sends a handful.
const MOST: usize = 32;

/// What the client likes best of English and Japanese, else `default`.
pub(super) fn of(headers: &HeaderMap, default: Language) -> Language {
    let text = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut best = (0.0, default);
    for range in text.split(',').take(MOST) {
        let (tag, parameter) = range.split_once(';').unwrap_or((range, ""));
        let quality = parameter.trim().strip_prefix("q=").map_or(Some(1.0), |value| value.trim().parse::<f32>().ok());
        let language = match tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "en" => Language::En,
            "ja" => Language::Ja,
            _ => continue,
        };
        // Of two that are liked equally the first counts.
        if let Some(quality) = quality.filter(|quality| *quality > best.0) {
            best = (quality, language);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_best_liked_language_counts_and_the_default_where_none_is() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, text.parse().unwrap());
            of(&headers, Language::En)
        };
        for (text, language) in [
            ("ja", Language::Ja),
            ("ja-JP,en;q=0.8", Language::Ja),
            ("en-GB, ja;q=0.9", Language::En),
            ("en;q=0.4, ja;q=0.9", Language::Ja),
            ("de, fr", Language::En),
            ("ja;q=0", Language::En),
            ("ja;q=x", Language::En),
            ("", Language::En),
        ] {
            assert_eq!(of(text), language, "{text}");
        }
    }
}
