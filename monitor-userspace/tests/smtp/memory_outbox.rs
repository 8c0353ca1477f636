//! An outbox in memory: what the store promises the worker, without a database.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use monitor_core::{
    domain::{OutageId, UnixMs},
    mail::{Letter, LetterId, Outcome},
};
use monitor_store::StoreError;
use ringback::notify::LetterQueue;
use tokio::sync::watch;

/// One letter and what became of it so far.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) letter: Letter,
    pub(crate) outcomes: Vec<Outcome>,
    due: UnixMs,
}

impl Row {
    pub(crate) fn is_delivered(&self) -> bool {
        matches!(self.outcomes.last(), Some(Outcome::Delivered { .. }))
    }

    /// Why it is a dead letter, if it is one.
    pub(crate) fn dead(&self) -> Option<&str> {
        match self.outcomes.last() {
            Some(Outcome::Dead { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    /// The reasons for which it was put off.
    pub(crate) fn put_off(&self) -> Vec<&str> {
        let outcomes = self.outcomes.iter();
        outcomes
            .filter_map(|outcome| match outcome {
                Outcome::Retry { reason, .. } => Some(reason.as_str()),
                _ => None,
            })
            .collect()
    }
}

#[derive(Debug, Default)]
struct Rows {
    all: BTreeMap<LetterId, Row>,
    due: BTreeSet<(UnixMs, LetterId)>,
    names: Vec<(OutageId, String)>,
    open: usize,
    failures: usize,
    lease: Option<Duration>,
    out_of_reach: bool,
    refusals: usize,
}

/// Clones share the rows.
#[derive(Clone, Debug)]
pub(crate) struct MemoryOutbox {
    rows: Arc<Mutex<Rows>>,
    changed: Arc<watch::Sender<()>>,
}

impl MemoryOutbox {
    pub(crate) fn with(letters: impl IntoIterator<Item = Letter>) -> Self {
        let outbox = Self { rows: Arc::default(), changed: Arc::new(watch::Sender::new(())) };
        letters.into_iter().for_each(|letter| outbox.add(letter));
        outbox
    }

    pub(crate) fn add(&self, letter: Letter) {
        let mut rows = self.rows.lock().unwrap();
        rows.open += 1;
        rows.due.insert((UnixMs(0), letter.id));
        rows.all.insert(letter.id, Row { letter, outcomes: Vec::new(), due: UnixMs(0) });
    }

    pub(crate) fn row(&self, id: i64) -> Row {
        self.rows.lock().unwrap().all[&LetterId(id)].clone()
    }

    pub(crate) fn names(&self) -> Vec<(OutageId, String)> {
        self.rows.lock().unwrap().names.clone()
    }

    /// Lets the next `count` batches of outcomes fail to be kept.
    pub(crate) fn fail_to_record(&self, count: usize) {
        self.rows.lock().unwrap().failures = count;
    }

    /// Others may take letters of ours after this.
    pub(crate) fn share(&self, lease: Duration) {
        self.rows.lock().unwrap().lease = Some(lease);
    }

    /// Whether leases cannot be renewed.
    pub(crate) fn out_of_reach(&self, is: bool) {
        self.rows.lock().unwrap().out_of_reach = is;
    }

    /// How often leases could not be renewed.
    pub(crate) fn refusals(&self) -> usize {
        self.rows.lock().unwrap().refusals
    }

    /// Letters that are neither delivered nor dead.
    pub(crate) fn open(&self) -> usize {
        self.rows.lock().unwrap().open
    }

    /// Waits until `condition` holds, for 30 s at most.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let mut changed = self.changed.subscribe();
        let wait = async {
            while !condition(self) {
                changed.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(Duration::from_secs(30), wait).await.is_err() {
            panic!("not within 30 s: {what}; {:#?}", self.rows.lock().unwrap());
        }
    }
}

impl MemoryOutbox {
    fn reach(&self, rows: &mut Rows) -> Result<(), StoreError> {
        if !rows.out_of_reach {
            return Ok(());
        }
        rows.refusals += 1;
        self.changed.send_replace(());
        Err(StoreError::Unreachable("asked to be".to_owned()))
    }
}

impl LetterQueue for MemoryOutbox {
    fn lease(&self) -> Duration {
        self.rows.lock().unwrap().lease.unwrap_or(Duration::from_secs(3600))
    }

    async fn renew_leases(&self, until: UnixMs) -> Result<(), StoreError> {
        let mut rows = self.rows.lock().unwrap();
        self.reach(&mut rows)?;
        let rows = &mut *rows;
        for row in rows.all.values_mut().filter(|row| row.due > UnixMs(0) && row.outcomes.is_empty()) {
            rows.due.remove(&(row.due, row.letter.id));
            row.due = until;
            rows.due.insert((until, row.letter.id));
        }
        Ok(())
    }

    async fn release_leases(&self) -> Result<(), StoreError> {
        let mut rows = self.rows.lock().unwrap();
        self.reach(&mut rows)?;
        let rows = &mut *rows;
        for row in rows.all.values_mut().filter(|row| row.due > UnixMs(0) && row.outcomes.is_empty()) {
            rows.due.remove(&(row.due, row.letter.id));
            row.due = UnixMs(0);
            rows.due.insert((row.due, row.letter.id));
        }
        Ok(())
    }

    async fn take_due(&self, now: UnixMs, limit: u32, lease: Duration) -> Result<Vec<Letter>, StoreError> {
        let mut rows = self.rows.lock().unwrap();
        let due: Vec<_> = rows.due.range(..=(now, LetterId(i64::MAX))).take(limit as usize).copied().collect();
        Ok(due
            .into_iter()
            .map(|key| {
                rows.due.remove(&key);
                rows.due.insert((now + lease, key.1));
                let row = rows.all.get_mut(&key.1).unwrap();
                row.due = now + lease;
                row.letter.clone()
            })
            .collect())
    }

    async fn next_due(&self) -> Result<Option<UnixMs>, StoreError> {
        Ok(self.rows.lock().unwrap().due.first().map(|(due, _)| *due))
    }

    async fn record(&self, outcomes: Vec<(LetterId, Outcome)>) -> Result<(), StoreError> {
        let mut rows = self.rows.lock().unwrap();
        if rows.failures > 0 {
            rows.failures -= 1;
            return Err(StoreError::Unusable { path: "memory".to_owned(), reason: "asked to fail".to_owned() });
        }
        for (id, outcome) in outcomes {
            let rows = &mut *rows;
            let row = rows.all.get_mut(&id).unwrap();
            assert!(!row.is_delivered() && row.dead().is_none(), "recorded twice: {row:?} and {outcome:?}");
            rows.due.remove(&(row.due, id));
            if let Outcome::Retry { at, .. } = outcome {
                row.letter.tries += 1;
                row.due = at;
                rows.due.insert((at, id));
            } else {
                rows.open -= 1;
            }
            row.outcomes.push(outcome);
        }
        self.changed.send_replace(());
        Ok(())
    }

    async fn set_server_name(&self, outage: OutageId, name: String) -> Result<(), StoreError> {
        self.rows.lock().unwrap().names.push((outage, name));
        Ok(())
    }
}
