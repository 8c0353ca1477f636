//! The names of the gaps in a template.

/// A gap in a template, written `{word}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// Name and address of the server, or the plain address.
    Server,
    /// TCP port.
    Port,
    /// How many services besides the first.
    Others,
    /// How many services.
    Count,
    /// The part `[service]`, once per service.
    Services,
    /// The client's address.
    Client,
    /// Begin of the outage.
    Since,
    /// End of the outage.
    Recovered,
    /// How long the outage was, in words.
    Duration,
    /// First failed attempt of the client.
    First,
    /// Latest failed attempt of the client.
    Latest,
    /// Number of failed attempts, in words.
    Attempts,
    /// How the attempts failed, in words.
    Failure,
    /// The mail address that ends these mails.
    Unsubscribe,
}

impl Placeholder {
    /// What stands between the braces.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Port => "port",
            Self::Others => "others",
            Self::Count => "count",
            Self::Services => "services",
            Self::Client => "client",
            Self::Since => "since",
            Self::Recovered => "recovered",
            Self::Duration => "duration",
            Self::First => "first",
            Self::Latest => "latest",
            Self::Attempts => "attempts",
            Self::Failure => "failure",
            Self::Unsubscribe => "unsubscribe",
        }
    }
}
