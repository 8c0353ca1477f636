//! What hosts say to each other.

/// Mode of a host for one group of shared addresses (H-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Just started, or nobody is active yet.
    Undecided,
    /// It answers for the addresses.
    Active,
    /// It has the addresses and is not seen to have them.
    Standby,
}

impl Mode {
    /// The word of logs and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Undecided => "undecided",
            Self::Active => "active",
            Self::Standby => "standby",
        }
    }
}

/// What decides between two hosts that could be active: the smaller is the better.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Configured, or the MAC address as a number.
    pub priority: u64,
    /// Decides between equal priorities.
    pub name: String,
}

/// What a host says of itself about one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Its mode.
    pub mode: Mode,
    /// Its priority; its name is in the message.
    pub priority: u64,
    /// Whether it would take over: false while it hands over, or cannot serve.
    pub candidate: bool,
    /// The best active host that it hears itself: who does not hear that one must not take its place.
    pub hears_active: Option<Rank>,
}

/// What a monitor signals about its own system (O-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The application starts.
    Start,
    /// It runs; another value each time.
    Running(u64),
    /// It has ended in order.
    End,
}

/// A signal, and what its sender thinks of the addressee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The sender's own system.
    pub signal: Signal,
    /// Whether the sender holds the addressee for up; if not, it wants a start signal.
    pub holds_you_up: bool,
}

/// One heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Name of the sender.
    pub from: String,
    /// Name of the addressee.
    pub to: String,
    /// Random, made at each start of the sender.
    pub boot: u64,
    /// Higher in each message of this boot.
    pub counter: u64,
    /// The addressee's boot, as the sender knows it; 0: not at all.
    pub echo: u64,
    /// Whether the sender has heard the addressee within the take-over time.
    pub hears_you: bool,
    /// By name of the group.
    pub groups: Vec<(String, Beat)>,
    /// Of the sender's system; absent while its application stalls, or where nobody watches.
    pub status: Option<Status>,
}
