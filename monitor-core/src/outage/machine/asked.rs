//! A client that asks to be told: it is listed, and that is all. Only what fails opens, confirms or prolongs a suspicion.

use super::Machine;
use crate::{
    domain::{AttemptMask, ClientAddr, Service, UnixMs},
    outage::{Actions, Change, Failure},
};

impl Machine {
    /// F-24, B-2.
    pub(super) fn asked(
        &mut self,
        client: ClientAddr,
        service: Service,
        at: UnixMs,
        known: bool,
        actions: &mut Actions,
    ) {
        let Some(mut tracked) = self.index.of_service(service).and_then(|id| self.index.take(id)) else { return };
        if self.may_wait(&mut tracked, known, false) {
            // It has not tried, or its SYN was counted when it passed; until it has aged out, somebody is left to tell.
            tracked.outage.latest = tracked.outage.latest.max(at);
            actions.changes.push(Change::Put(tracked.outage));
            let outage = tracked.outage.id;
            let evidence = Failure::Asked;
            actions.changes.push(Change::Wait {
                outage,
                client,
                at,
                trying_until: at,
                attempts: 0,
                evidence,
                mask: AttemptMask::NONE,
            });
        }
        self.put(tracked);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::bed::{T0, answered, attempt, client, fail, machine, ms, now, open, waits, web};
    use crate::{
        domain::{AttemptMask, ClientAddr, OutageId, Service, UnixMs},
        outage::{Actions, Change, Failure, Machine, Observation, Phase, Rules},
    };

    fn ask(machine: &mut Machine, service: Service, who: ClientAddr, at: UnixMs, known: bool) -> Actions {
        machine.observe(&now(at), Observation::Asked { client: who, service, at, known })
    }

    // proves: F-24a B-2a
    #[test]
    fn a_client_that_asks_waits_as_one_that_has_not_tried() {
        let mut machine = machine(Rules::default());
        open(&mut machine, Failure::Unanswered, web());
        let actions = ask(&mut machine, web(), client(2), ms(5), false);
        let (outage, client, at, evidence) = (OutageId(1), client(2), ms(5), Failure::Asked);
        let asked =
            Change::Wait { outage, client, at, trying_until: at, attempts: 0, evidence, mask: AttemptMask::NONE };
        assert!(
            matches!(actions.changes[..], [Change::Put(outage), ref wait]
            if *wait == asked && (outage.failures, outage.latest) == (1, ms(5))),
            "{actions:?}"
        );
        assert!(actions.list(client) && !actions.list(super::super::bed::client(3)));
        assert_eq!(actions.marks, []);
    }

    #[test]
    fn asking_of_a_service_that_has_no_outage_leads_to_nothing() {
        let mut machine = machine(Rules::default());
        assert_eq!(ask(&mut machine, web(), client(2), T0, true), Actions::default());
    }

    #[test]
    fn asking_confirms_no_suspicion_and_ends_no_question_to_other_gateways() {
        let rules = Rules { min_clients: 2, ask: Some(Duration::from_secs(3)), ..Rules::default() };
        let mut machine = machine(rules);
        open(&mut machine, Failure::Unanswered, web());
        let actions = ask(&mut machine, web(), client(2), ms(5), true);
        assert_eq!(waits(&actions), [client(2)]);
        assert!(machine.asks_about(web()));
        machine.tick(&now(ms(3000)));
        assert_eq!(machine.outages().next().map(|outage| outage.phase), Some(Phase::Suspected));
    }

    #[test]
    fn asking_does_not_undo_a_recovery_that_settles() {
        let mut machine = machine(Rules { settle: Duration::from_secs(10), ..Rules::default() });
        open(&mut machine, Failure::Unanswered, web());
        machine.observe(&now(ms(100)), answered(web(), None, ms(100)));
        let actions = ask(&mut machine, web(), client(2), ms(200), true);
        assert_eq!((waits(&actions), actions.marks), (vec![client(2)], vec![]));
        assert!(matches!(machine.tick(&now(ms(10_100))).changes[..], [.., Change::Close(_)]));
    }

    // proves: F-7b
    #[test]
    fn asking_has_the_limits_of_the_list() {
        let mut few = machine(Rules { max_unknown: 1, ..Rules::default() });
        open(&mut few, Failure::Unanswered, web());
        assert!(ask(&mut few, web(), client(2), T0, false).list(client(2)));
        assert_eq!(ask(&mut few, web(), client(3), T0, false), Actions::default());
        assert!(ask(&mut few, web(), client(4), T0, true).list(client(4)), "one that can be told");
        assert_eq!(few.tally().too_many_unknown, 1);
        let mut known = machine(Rules { only_known_clients: true, ..Rules::default() });
        open(&mut known, Failure::Unanswered, web());
        assert_eq!(ask(&mut known, web(), client(2), T0, false), Actions::default());
        assert_eq!(known.tally().unknown_client, 1);
    }

    // proves: F-8b
    #[test]
    fn an_outage_lasts_as_long_as_somebody_who_asked_may_be_told() {
        let mut machine = machine(Rules { max_age: Duration::from_secs(100), ..Rules::default() });
        open(&mut machine, Failure::Unanswered, web());
        ask(&mut machine, web(), client(2), ms(60_000), true);
        machine.tick(&now(ms(100_000)));
        assert_eq!(machine.outages().count(), 1);
        machine.tick(&now(ms(160_000)));
        assert_eq!(machine.outages().count(), 0);
        assert_eq!(fail(&mut machine, attempt(Failure::KnownFailed, web(), 3, ms(170_000))).changes, []);
    }
}
