//! What makes a heartbeat fresh: boot ids, counters and echoes of one pair of hosts. Pure.
//!
//! A message counts only if it echoes this host's boot id: it was then made after this host's start, by one who has
//! heard it. Within a boot, each counter counts once. A boot id that was replaced never comes back. So no recorded
//! message is ever taken for a new one, without clocks that agree and without anything kept on a disk.

use super::wire::Message;

/// Counters below the highest that may still arrive, over another path.
const WINDOW: u64 = 64;

/// This host's memory of its exchange with one other.
#[derive(Clone, Debug)]
pub struct Session {
    own_boot: u64,
    next: u64,
    peer: Option<Seen>,
    /// Boot ids that the peer had before. Only authentic messages add to them: one per restart of the peer.
    retired: Vec<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    boot: u64,
    highest: u64,
    /// Bit n: `highest - n` has arrived.
    window: u64,
}

/// What makes a message fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Boot id of its sender.
    pub boot: u64,
    /// Never the same twice within a boot.
    pub counter: u64,
    /// Boot id of its addressee, as the sender knows it; 0: not yet.
    pub echo: u64,
}

/// What a message is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// The newest of its sender: what it says counts.
    Newest,
    /// Genuine, but overtaken by a newer one: its path works, what it says is old.
    Overtaken,
    /// The sender does not know this host's boot yet. Nothing it says counts; answered with an echo of its boot.
    Greeting,
    /// It was here before.
    Replayed,
}

impl Session {
    /// `own_boot`: random, not 0, the same for every session of this start.
    #[must_use]
    pub const fn new(own_boot: u64) -> Self {
        Self { own_boot, next: 1, peer: None, retired: Vec::new() }
    }

    /// For the next message.
    pub fn stamp(&mut self) -> Stamp {
        let counter = self.next;
        self.next += 1;
        Stamp { boot: self.own_boot, counter, echo: self.peer.map_or(0, |peer| peer.boot) }
    }

    /// For the answer to a greeting.
    pub fn stamp_for(&mut self, greeter: u64) -> Stamp {
        Stamp { echo: greeter, ..self.stamp() }
    }

    /// Judges an authentic message that is addressed to this host, and remembers it.
    pub fn take(&mut self, message: &Message) -> Worth {
        if message.boot == 0 || self.retired.contains(&message.boot) {
            return Worth::Replayed;
        }
        if message.echo != self.own_boot {
            return Worth::Greeting;
        }
        let fresh = Seen { boot: message.boot, highest: message.counter, window: 1 };
        let Some(seen) = &mut self.peer else {
            self.peer = Some(fresh);
            return Worth::Newest;
        };
        if seen.boot != message.boot {
            self.retired.push(seen.boot);
            *seen = fresh;
            return Worth::Newest;
        }
        if message.counter > seen.highest {
            let shift = message.counter - seen.highest;
            seen.window = if shift < WINDOW { seen.window << shift | 1 } else { 1 };
            seen.highest = message.counter;
            return Worth::Newest;
        }
        let age = seen.highest - message.counter;
        if age >= WINDOW || seen.window & (1 << age) != 0 {
            return Worth::Replayed;
        }
        seen.window |= 1 << age;
        Worth::Overtaken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(Stamp { boot, counter, echo }: Stamp) -> Message {
        Message {
            from: "a".to_owned(),
            to: "b".to_owned(),
            boot,
            counter,
            echo,
            hears_you: false,
            groups: Vec::new(),
            status: None,
        }
    }

    /// Two sessions that know each other.
    fn acquainted() -> (Session, Session) {
        let (mut a, mut b) = (Session::new(1), Session::new(2));
        assert_eq!(b.take(&message(a.stamp())), Worth::Greeting);
        assert_eq!(a.take(&message(b.stamp_for(1))), Worth::Newest);
        assert_eq!(b.take(&message(a.stamp())), Worth::Newest);
        (a, b)
    }

    #[test]
    fn two_hosts_know_each_other_after_three_messages() {
        let (mut a, mut b) = acquainted();
        assert_eq!(b.take(&message(a.stamp())), Worth::Newest);
        assert_eq!(a.take(&message(b.stamp())), Worth::Newest);
    }

    #[test]
    fn a_message_counts_once_and_late_ones_say_nothing_new() {
        let (mut a, mut b) = acquainted();
        let (early, late) = (message(a.stamp()), message(a.stamp()));
        assert_eq!(b.take(&late), Worth::Newest);
        assert_eq!(b.take(&early), Worth::Overtaken);
        assert_eq!(b.take(&early), Worth::Replayed);
        assert_eq!(b.take(&late), Worth::Replayed);
    }

    #[test]
    fn what_was_recorded_before_a_restart_of_either_side_is_worth_nothing() {
        let (mut a, mut b) = acquainted();
        let recorded = message(a.stamp());
        // The receiver restarts.
        let mut restarted = Session::new(3);
        assert_eq!(restarted.take(&recorded), Worth::Greeting);
        // The sender restarts.
        let mut again = Session::new(4);
        assert_eq!(b.take(&message(again.stamp())), Worth::Greeting);
        assert_eq!(again.take(&message(b.stamp_for(4))), Worth::Newest);
        assert_eq!(b.take(&message(again.stamp())), Worth::Newest);
        assert_eq!(b.take(&recorded), Worth::Replayed);
    }

    #[test]
    fn a_recorded_greeting_does_not_disturb_those_who_know_each_other() {
        let greeting = message(Session::new(1).stamp());
        let (mut a, mut b) = acquainted();
        let recorded = Message { boot: 77, ..greeting };
        assert_eq!(b.take(&recorded), Worth::Greeting);
        assert_eq!(a.take(&message(b.stamp())), Worth::Newest);
        assert_eq!(b.take(&message(a.stamp())), Worth::Newest);
    }

    proptest! {
        #[test]
        fn each_counter_counts_at_most_once(order in prop::collection::vec(1_u64..200, 0..400)) {
            let mut session = Session::new(2);
            let mut taken = std::collections::HashSet::new();
            for counter in order {
                let worth = session.take(&message(Stamp { boot: 1, counter, echo: 2 }));
                if matches!(worth, Worth::Newest | Worth::Overtaken) {
                    prop_assert!(taken.insert(counter));
                }
            }
        }
    }
}
