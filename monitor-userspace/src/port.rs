//! The way to the core: one bounded queue, and of each request its answer.

use monitor_core::{
    domain::UnixMs,
    outage::{GuardFinding, Observation, Question},
    port::{Answer, Policy, Request, Subscription},
};
use tokio::sync::{mpsc, oneshot};

/// Requests that wait for the core; whoever has another one waits when it is full.
const WAITING: usize = 1024;

/// The core has stopped, or stopped before the request was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the core has stopped")]
pub struct CoreStopped;

/// A request on its way.
#[derive(Debug)]
pub struct Message {
    /// What is said.
    pub request: Request,
    reply: oneshot::Sender<Answer>,
}

impl Message {
    /// The request, and the way back.
    pub(crate) fn open(self) -> (Request, oneshot::Sender<Answer>) {
        (self.request, self.reply)
    }
}

/// The core's end of the queue.
pub type Requests = mpsc::Receiver<Message>;

/// Where requests are put into the queue. Clones share it.
#[derive(Clone, Debug)]
pub struct CoreHandle {
    queue: mpsc::Sender<Message>,
}

/// What comes back of a request that is in the queue. Dropped: nobody wants to know.
#[derive(Debug)]
#[must_use = "the request is taken whether or not its answer is awaited"]
pub struct Pending(oneshot::Receiver<Answer>);

impl Pending {
    /// Waits for the commit.
    ///
    /// # Errors
    /// The core has stopped before.
    pub async fn committed(self) -> Result<(), CoreStopped> {
        self.answer().await.map(drop)
    }

    async fn answer(self) -> Result<Answer, CoreStopped> {
        self.0.await.map_err(|_| CoreStopped)
    }
}

/// A queue to the core.
#[must_use]
pub fn queue() -> (CoreHandle, Requests) {
    let (queue, requests) = mpsc::channel(WAITING);
    (CoreHandle { queue }, requests)
}

impl CoreHandle {
    /// Puts a request into the queue; waits for room.
    ///
    /// # Errors
    /// The core has stopped.
    pub async fn send(&self, request: Request) -> Result<Pending, CoreStopped> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Message { request, reply }).await.map_err(|_| CoreStopped)?;
        Ok(Pending(answer))
    }

    /// Says what was observed; nobody waits for the commit.
    pub async fn tell(&self, observation: Observation) {
        // The core is gone when the daemon stops.
        let _ = self.send(Request::Observed(observation)).await;
    }

    /// Says what was observed, and waits for the commit.
    ///
    /// # Errors
    /// The core has stopped before.
    pub async fn observed(&self, observation: Observation) -> Result<(), CoreStopped> {
        self.send(Request::Observed(observation)).await?.committed().await
    }

    /// Says what was observed if there is room; never waits.
    ///
    /// # Errors
    /// There is no room, or the core has stopped.
    pub fn try_observed(&self, observation: Observation) -> Result<(), CoreStopped> {
        self.try_send(Request::Observed(observation))
    }

    /// The same for what a guard has ended.
    ///
    /// # Errors
    /// As there.
    pub fn try_guarded(&self, finding: GuardFinding) -> Result<(), CoreStopped> {
        self.try_send(Request::Guarded(finding))
    }

    fn try_send(&self, request: Request) -> Result<(), CoreStopped> {
        let (reply, _) = oneshot::channel();
        self.queue.try_send(Message { request, reply }).map_err(|_| CoreStopped)
    }

    /// Has a client listed; says whether it was, once that is committed.
    ///
    /// # Errors
    /// The core has stopped before.
    pub async fn subscribe(&self, subscription: Subscription) -> Result<bool, CoreStopped> {
        let answer = self.send(Request::Subscribe(subscription)).await?.answer().await?;
        Ok(answer == Answer::Subscribed(true))
    }

    /// Says that the address book in the store has changed: it is read again before whatever is said next.
    ///
    /// # Errors
    /// The core has stopped.
    pub async fn addresses_changed(&self) -> Result<(), CoreStopped> {
        self.send(Request::AddressesChanged).await.map(drop)
    }

    /// Of each question of another gateway, up to when the service is known to have been well.
    ///
    /// # Errors
    /// The core has stopped.
    pub async fn ask(&self, questions: Vec<Question>) -> Result<Vec<Option<UnixMs>>, CoreStopped> {
        match self.send(Request::Asked(questions)).await?.answer().await? {
            Answer::Known(well) => Ok(well),
            // A relay watches nothing, and shares nothing.
            _ => Ok(Vec::new()),
        }
    }

    /// Has the core go on with this policy.
    ///
    /// # Errors
    /// Why the old one stays.
    pub async fn reload(&self, policy: Policy) -> anyhow::Result<()> {
        match self.send(Request::Reload(Box::new(policy))).await?.answer().await? {
            Answer::Reloaded(Err(reason)) => Err(anyhow::Error::msg(reason)),
            _ => Ok(()),
        }
    }
}
