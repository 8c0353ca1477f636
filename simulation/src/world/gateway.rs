//! A gateway: its data path, its daemon while that lives, its database; and the steps by which the daemon goes on.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::Result;
use monitor_common::Addr;
use monitor_core::{
    domain::{ClockOffset, MonotonicNs, OutageId},
    mail::LetterId,
    outage::{Change, Observation, Question, Target},
};
use monitor_store::LocalStore;

use crate::{
    book,
    datapath::{DataPath, Watched},
    disk::Disk,
    plan::Plan,
    random::Random,
    time::{MS, SECOND, US},
    world::daemon::{Daemon, Stage},
    world::mailer::Mailer,
    world::{Happening, World, sharing},
};

/// `store.lease`.
const LEASE: Duration = Duration::from_secs(300);

/// `watch.syn_timeout`.
pub(crate) const SYN_TIMEOUT: u64 = 3 * SECOND;

/// What is known of an outage that was committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interval {
    pub(crate) from: MonotonicNs,
    pub(crate) until: Option<MonotonicNs>,
}

/// See the module.
pub(crate) struct Gateway {
    pub(crate) path: DataPath,
    pub(crate) store: LocalStore,
    pub(crate) database: PathBuf,
    pub(crate) daemon: Option<Daemon>,
    pub(crate) mailer: Option<Mailer>,
    /// What was said to the daemon and not taken.
    requests: Vec<Observation>,
    /// What other gateways are to be asked.
    pub(crate) questions: Vec<Question>,
    /// Raised with each kill.
    life: u64,
    /// The daemon is killed after so many steps, and starts again after this time.
    armed: Option<(u8, u64)>,
    /// Of the latest [`Happening::Daemon`]; earlier ones do not count.
    token: u64,
    next: u64,
    mail_token: u64,
    steps: u64,
    /// Events that the journal has.
    noted: u64,
    /// Outages by the kernel's clock, as they were committed.
    pub(crate) outages: BTreeMap<OutageId, Interval>,
    pub(crate) kills: u64,
    /// The clock that its daemon goes by: the wall clock as it was last adopted.
    pub(super) adopted: ClockOffset,
}

impl Gateway {
    pub(crate) fn new(plan: &Plan, disk: &Disk) -> Result<Self> {
        let database = disk.fresh()?;
        let store = match plan.gateways {
            0 | 1 => LocalStore::open(&database)?,
            _ => LocalStore::open_spooling(&database)?,
        };
        // With a shared database, this is the gateway's own copy of its address book.
        disk.wait(store.store().put_addresses(book::addresses(plan.scenario.clients)))?;
        let listed = (0..plan.scenario.services).filter(|_| plan.scenario.listed).map(|number| {
            let service = book::service(number);
            (Addr::from(service.addr()), service.port())
        });
        let watched = Watched { listed: listed.collect(), learn: true };
        Ok(Self {
            path: DataPath::new(plan.sizes(), SYN_TIMEOUT, plan.seed, watched),
            store,
            database,
            daemon: None,
            mailer: None,
            requests: Vec::new(),
            questions: Vec::new(),
            life: 0,
            armed: None,
            token: 0,
            next: u64::MAX,
            mail_token: 0,
            steps: 0,
            noted: 0,
            outages: BTreeMap::new(),
            kills: 0,
            adopted: ClockOffset::from_nanoseconds(0),
        })
    }

    /// Whether the outbox is empty.
    pub(crate) fn has_delivered(&self, disk: &Disk) -> bool {
        self.mailer.as_ref().is_none_or(|mailer| mailer.is_done(disk))
    }

    /// Keeps what a committed batch says of outages.
    fn note_changes(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Put(outage) => {
                    let told = Interval { from: outage.span.from, until: outage.span.until };
                    self.outages.insert(outage.id, told);
                }
                Change::Close(closing) => {
                    for id in &closing.outages {
                        if let Some(told) = self.outages.get_mut(id) {
                            told.until = Some(closing.until);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

impl World<'_> {
    pub(crate) fn store_refuses(&self) -> bool {
        self.plan.troubles.iter().any(|trouble| trouble.from <= self.now && self.now < trouble.until)
    }

    /// A kill is due, so many steps from now.
    pub(crate) fn arms(&mut self, kill: usize) {
        let kill = &self.plan.kills[kill];
        let gateway = kill.steps as usize % self.gateways.len();
        if self.gateways[gateway].daemon.is_some() {
            self.gateways[gateway].armed = Some((kill.steps, kill.dead_for));
        }
    }

    pub(crate) fn daemon_starts(&mut self, gateway: usize) -> Result<()> {
        if self.store_refuses() {
            self.queue.push(self.now + SECOND, Happening::Start { gateway });
            return Ok(());
        }
        self.adopt(gateway)?;
        let clocks = self.clocks_of(gateway);
        let (plan, disk) = (self.plan, self.disk);
        let it = &mut self.gateways[gateway];
        it.daemon = Some(Daemon::start(plan, disk, &it.store, &mut it.path, clocks)?);
        let outbox = match &self.shared {
            Some(shared) => shared.store.outbox(&sharing::name(gateway), LEASE),
            None => it.store.store().outbox(),
        };
        let rate = if plan.seed.is_multiple_of(3) { 20 } else { 0 };
        it.mailer = Some(Mailer::start(outbox, disk, self.now, rate));
        self.note(|| format!("gateway {gateway}: the daemon starts"));
        self.schedule(gateway, self.now + 2 * MS);
        self.schedule_mail(gateway, self.now);
        Ok(())
    }

    fn schedule(&mut self, gateway: usize, at: u64) {
        let it = &mut self.gateways[gateway];
        it.token += 1;
        it.next = at;
        self.queue.push(at, Happening::Daemon { gateway, token: it.token });
    }

    pub(crate) fn schedule_mail(&mut self, gateway: usize, at: u64) {
        let it = &mut self.gateways[gateway];
        it.mail_token += 1;
        self.queue.push(at, Happening::Mail { gateway, token: it.mail_token });
    }

    /// The kernel has reported something: a daemon that waits is woken.
    pub(crate) fn look_at_ring(&mut self, gateway: usize) {
        let it = &mut self.gateways[gateway];
        let written = it.path.released() + it.path.waiting_events() as u64;
        for number in it.noted..written {
            let event = it.path.events((number - it.path.released()) as usize).next();
            if let Some(event) = event {
                self.journal.note(self.now, || format!("gateway {gateway}: reported: {}", book::event(event)));
            }
        }
        it.noted = written;
        let is_idle =
            it.daemon.as_ref().is_some_and(|daemon| daemon.stage == Stage::Idle && daemon.has_unread(&it.path));
        let at = self.now + 100 * US;
        if is_idle && it.next > at {
            self.schedule(gateway, at);
        }
    }

    /// The daemon's next step, unless it is killed before.
    pub(crate) fn daemon_goes_on(&mut self, gateway: usize, token: u64) -> Result<()> {
        if self.gateways[gateway].token != token || self.gateways[gateway].daemon.is_none() {
            return Ok(());
        }
        match self.gateways[gateway].armed {
            Some((0, dead_for)) => {
                self.dies(gateway, dead_for);
                return Ok(());
            }
            Some((steps, dead_for)) => self.gateways[gateway].armed = Some((steps - 1, dead_for)),
            None => {}
        }
        let pause = self.daemon_steps(gateway)?;
        self.schedule(gateway, self.now + pause);
        Ok(())
    }

    fn dies(&mut self, gateway: usize, dead_for: u64) {
        let it = &mut self.gateways[gateway];
        let stage = it.daemon.take().map(|daemon| daemon.stage);
        it.mailer = None;
        it.armed = None;
        it.requests.clear();
        it.questions.clear();
        it.life += 1;
        it.kills += 1;
        self.note(|| format!("gateway {gateway}: the daemon is killed before {stage:?}, for {} ms", dead_for / MS));
        self.queue.push(self.now + dead_for, Happening::Start { gateway });
    }

    /// One step. Returns how long it takes.
    fn daemon_steps(&mut self, gateway: usize) -> Result<u64> {
        let refuses = self.store_refuses();
        if !refuses {
            self.adopt(gateway)?;
        }
        let clocks = self.clocks_of(gateway);
        let plan = self.plan;
        let it = &mut self.gateways[gateway];
        it.steps += 1;
        let mut random = Random::of(plan.seed, &[gateway as u64, it.steps, 55]);
        let Some(daemon) = &mut it.daemon else { return Ok(SECOND) };
        Ok(match daemon.stage {
            Stage::Starting => {
                daemon.catch_up(&it.path, clocks);
                random.below(2 * MS)
            }
            Stage::Idle => {
                daemon.begin_turn(&it.path, std::mem::take(&mut it.requests), clocks);
                if daemon.turn.actions.changes.is_empty() { 0 } else { random.below(500 * US) }
            }
            Stage::Commit if refuses => SECOND,
            Stage::Commit => self.commits(gateway, &mut random)?,
            Stage::Release => {
                daemon.release(&mut it.path);
                it.questions.append(&mut daemon.turn.questions);
                random.below(50 * US)
            }
            Stage::Mark(index) => match daemon.mark(index, &mut it.path, clocks.now) {
                Some(mark) => {
                    self.note(|| format!("gateway {gateway}: {mark:?}"));
                    if random.per_mille(50) { random.below(50 * MS) } else { random.below(300 * US) }
                }
                None => 0,
            },
            Stage::Check => {
                for service in daemon.check(&it.path, clocks) {
                    let service = Self::service_number(service);
                    self.queue.push(self.now + 2 * plan.scenario.delay, Happening::Probe { gateway, service });
                }
                self.pause_of_idle(gateway)
            }
        })
    }

    fn pause_of_idle(&self, gateway: usize) -> u64 {
        let it = &self.gateways[gateway];
        let Some(daemon) = &it.daemon else { return SECOND };
        if daemon.stage != Stage::Idle || daemon.has_unread(&it.path) || !it.requests.is_empty() {
            return 20 * US;
        }
        daemon.next_turn(self.clocks_of(gateway)).saturating_sub(self.now).max(50 * US)
    }

    fn commits(&mut self, gateway: usize, random: &mut Random) -> Result<u64> {
        let it = &mut self.gateways[gateway];
        let Some(daemon) = &mut it.daemon else { return Ok(SECOND) };
        let letters = daemon.commit(self.disk, &it.store)?;
        let changes = daemon.turn.actions.changes.clone();
        if changes.is_empty() {
            return Ok(0);
        }
        it.note_changes(&changes);
        for change in &changes {
            self.note(|| format!("gateway {gateway}: committed {change:?}"));
        }
        if letters > 0 {
            if let Some(mailer) = &mut self.gateways[gateway].mailer {
                mailer.wake(self.now);
            }
            self.schedule_mail(gateway, self.now);
        }
        Ok(random.below(self.plan.scenario.commit))
    }

    pub(crate) fn say(&mut self, gateway: usize, observation: Observation) {
        let it = &mut self.gateways[gateway];
        if it.daemon.is_none() {
            return;
        }
        it.requests.push(observation);
        if it.daemon.as_ref().is_some_and(|daemon| daemon.stage == Stage::Idle) {
            self.schedule(gateway, self.now + 20 * US);
        }
    }

    /// Somebody says that a host is back.
    pub(crate) fn word(&mut self, word: usize) {
        let word = self.plan.words[word].clone();
        let service = book::service(word.service);
        let at = MonotonicNs(self.now);
        let observation = match word.is_trap {
            true => Observation::Trap { host: service.addr(), at },
            false => Observation::Signal { target: Target::Service(service), at },
        };
        for number in 0..self.plan.scenario.services {
            let same =
                if word.is_trap { book::service(number).addr() == service.addr() } else { number == word.service };
            if same {
                self.said_back.push((self.now, number));
            }
        }
        self.note(|| format!("said: {observation:?}"));
        self.say(0, observation);
    }

    /// A probe has connected, or not.
    pub(crate) fn probe_ends(&mut self, gateway: usize, number: u16) {
        let connected = self.plan.fault(number, self.now).is_none();
        if connected {
            self.said_back.push((self.now, number));
        }
        let (service, at) = (book::service(number), MonotonicNs(self.now));
        self.note(|| format!("gateway {gateway}: probe of {service}: connected {connected}"));
        self.say(gateway, Observation::Probed { service, connected, at });
    }

    pub(crate) fn mail_goes_on(&mut self, gateway: usize, token: u64) {
        if self.gateways[gateway].mail_token != token {
            return;
        }
        if self.store_refuses() {
            return self.schedule_mail(gateway, self.now + SECOND);
        }
        let clocks = self.clocks_of(gateway);
        let it = &mut self.gateways[gateway];
        let life = it.life;
        let Some(mailer) = &mut it.mailer else { return };
        let (sent, next) = mailer.step(self.disk, clocks);
        self.written.append(&mut mailer.written);
        for letter in sent {
            let mut random = Random::of(self.plan.seed, &[letter.0.unsigned_abs(), self.now, 88]);
            let takes = if random.per_mille(50) { random.below(60 * SECOND) } else { random.below(50 * MS) };
            self.queue.push(self.now + takes, Happening::Tried { gateway, life, letter });
        }
        self.schedule_mail(gateway, next);
    }

    pub(crate) fn letter_was_tried(&mut self, gateway: usize, life: u64, letter: LetterId) {
        let clocks = self.clocks_of(gateway);
        let it = &mut self.gateways[gateway];
        let Some(mailer) = it.mailer.as_mut().filter(|_| it.life == life) else { return };
        let taken = mailer.tried(letter, self.plan.scenario.mail_trouble, self.plan.seed, clocks);
        self.note(|| format!("letter {}: the mail server has it: {}", letter.0, taken.is_some()));
        self.accepted.extend(taken);
        self.schedule_mail(gateway, self.now);
    }
}
