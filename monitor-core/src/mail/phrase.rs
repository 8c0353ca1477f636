//! Numbers and evidence as people say them, in each language.

use std::time::Duration;

use crate::{domain::Language, outage::Failure};

/// `2 hours 5 minutes`: the two largest units, rounded down.
pub fn duration(language: Language, duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(seconds / 86_400, 0), (seconds / 3600 % 24, 1), (seconds / 60 % 60, 2), (seconds % 60, 3)];
    let said: Vec<String> = units
        .into_iter()
        .skip_while(|(count, _)| *count == 0)
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| match language {
            Language::En => {
                let plural = if count == 1 { "" } else { "s" };
                format!("{count} {}{plural}", ["day", "hour", "minute", "second"][unit])
            }
            Language::Ja => format!("{count}{}", ["日", "時間", "分", "秒"][unit]),
        })
        .collect();
    match (language, said.is_empty()) {
        (Language::En, true) => "less than a second".to_owned(),
        (Language::Ja, true) => "1秒未満".to_owned(),
        (Language::En, false) => said.join(" "),
        (Language::Ja, false) => said.concat(),
    }
}

/// `1 client`, `3 clients`: for operators, who read English.
pub fn clients(count: u64) -> String {
    format!("{count} client{}", if count == 1 { "" } else { "s" })
}

/// `3 times`.
pub fn attempts(language: Language, attempts: u64) -> String {
    match (language, attempts) {
        (Language::En, 1) => "once".to_owned(),
        (Language::En, _) => format!("{attempts} times"),
        (Language::Ja, _) => format!("{attempts} 回"),
    }
}

/// How an attempt failed.
pub const fn failure(language: Language, failure: Failure) -> &'static str {
    match language {
        Language::En => match failure {
            Failure::Unanswered => "no answer",
            Failure::Refused => "connection refused",
            Failure::HostUnreachable => "host unreachable",
            Failure::NetUnreachable => "network unreachable",
            Failure::PortUnreachable => "port unreachable",
            Failure::Prohibited => "forbidden by a firewall",
            Failure::KnownFailed => "the server was known to be down",
            Failure::Stalled => "connection stalled",
            Failure::GaveUp => "the answer came too late",
            Failure::Sick => "the server did not pass its own checks",
            Failure::Asked => "you asked to be told",
        },
        Language::Ja => match failure {
            Failure::Unanswered => "応答なし",
            Failure::Refused => "接続拒否",
            Failure::HostUnreachable => "ホストに到達できず",
            Failure::NetUnreachable => "ネットワークに到達できず",
            Failure::PortUnreachable => "ポートに到達できず",
            Failure::Prohibited => "ファイアウォールによる拒否",
            Failure::KnownFailed => "サーバーが停止中",
            Failure::Stalled => "接続が応答しなくなった",
            Failure::GaveUp => "応答が間に合わず",
            Failure::Sick => "サーバーの自己診断で異常",
            Failure::Asked => "通知のご希望",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_two_units_at_most() {
        for (seconds, english, japanese) in [
            (0, "less than a second", "1秒未満"),
            (1, "1 second", "1秒"),
            (61, "1 minute 1 second", "1分1秒"),
            (7500, "2 hours 5 minutes", "2時間5分"),
            (3600, "1 hour", "1時間"),
            (86_400 + 59, "1 day", "1日"),
            (3 * 86_400 + 5 * 3600 + 7, "3 days 5 hours", "3日5時間"),
        ] {
            assert_eq!(duration(Language::En, Duration::from_secs(seconds)), english);
            assert_eq!(duration(Language::Ja, Duration::from_secs(seconds)), japanese);
        }
    }

    #[test]
    fn one_client_is_not_clients() {
        assert_eq!([0, 1, 2].map(clients), ["0 clients", "1 client", "2 clients"]);
    }
}
