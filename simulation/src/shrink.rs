//! The shortest history that still goes wrong in the same way.

use crate::{Disk, Plan, Slip, play};

/// A shorter history.
#[derive(Debug)]
pub struct Shrunk {
    /// The history.
    pub plan: Plan,
    /// How many were tried.
    pub tries: u32,
}

/// Takes away what is not needed for a mistake of this kind, for so many tries at most.
#[must_use]
pub fn shrink(plan: &Plan, slip: Slip, disk: &Disk, most: u32) -> Shrunk {
    let mut shrinking = Shrinking { best: plan.clone(), slip, disk, tries: 0, most };
    loop {
        let before = shrinking.best.clone();
        shrinking.parts(|plan| &mut plan.kills);
        shrinking.parts(|plan| &mut plan.troubles);
        shrinking.parts(|plan| &mut plan.clock_steps);
        shrinking.parts(|plan| &mut plan.words);
        shrinking.attempts();
        shrinking.parts(|plan| &mut plan.faults);
        shrinking.knobs();
        if shrinking.best == before || shrinking.tries >= most {
            break;
        }
    }
    Shrunk { plan: shrinking.best, tries: shrinking.tries }
}

struct Shrinking<'d> {
    best: Plan,
    slip: Slip,
    disk: &'d Disk,
    tries: u32,
    most: u32,
}

impl Shrinking<'_> {
    /// Keeps the plan if it goes wrong too.
    fn try_it(&mut self, plan: Plan) -> bool {
        if self.tries >= self.most || plan == self.best {
            return false;
        }
        self.tries += 1;
        let wrong =
            play(&plan, self.disk).is_ok_and(|report| report.mistakes.iter().any(|mistake| mistake.slip == self.slip));
        if wrong {
            self.best = plan;
        }
        wrong
    }

    /// Takes halves, quarters and so on out of one of the plan's lists.
    fn parts<T>(&mut self, list: impl Fn(&mut Plan) -> &mut Vec<T>) {
        let mut size = list(&mut self.best).len();
        while size > 0 {
            let mut from = 0;
            while from < list(&mut self.best).len() {
                let mut plan = self.best.clone();
                let all = list(&mut plan);
                let until = (from + size).min(all.len());
                all.drain(from..until);
                if !self.try_it(plan) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    /// The same for attempts, but for those that end the outages.
    fn attempts(&mut self) {
        let others = |plan: &Plan| plan.attempts.iter().filter(|attempt| !attempt.is_witness).count();
        let mut size = others(&self.best);
        while size > 0 {
            let mut from = 0;
            while from < others(&self.best) {
                let mut plan = self.best.clone();
                let mut number = 0;
                plan.attempts.retain(|attempt| {
                    number += usize::from(!attempt.is_witness);
                    attempt.is_witness || !(from + 1..=from + size).contains(&number)
                });
                if !self.try_it(plan) {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    /// A better network, larger tables, a quicker store.
    fn knobs(&mut self) {
        let changes: [fn(&mut Plan); 9] = [
            |plan| plan.scenario.loss_near = (0, 0),
            |plan| plan.scenario.loss_far = (0, 0),
            |plan| plan.scenario.jitter = 1,
            |plan| plan.scenario.interrupted = 0,
            |plan| plan.scenario.mail_trouble = 0,
            |plan| plan.scenario.commit = 1,
            |plan| plan.scenario.sizes.cpus = 1,
            |plan| plan.scenario.sizes.ring_bytes = 1 << 20,
            |plan| {
                plan.scenario.sizes.near_buckets = 2048;
                plan.scenario.sizes.deadlines = 4096;
            },
        ];
        for change in changes {
            let mut plan = self.best.clone();
            change(&mut plan);
            self.try_it(plan);
        }
    }
}
