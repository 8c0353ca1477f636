//! Whether one application works (O-5), looked at again and again.
//!
//! In: what the configuration names. Out: the latest finding, which the thread of the heartbeats reads.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use monitor_core::config::Application;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Finding, look};

/// The latest finding. Without an application the daemon itself counts.
#[derive(Clone, Debug)]
pub(crate) struct HealthCheck(Arc<Mutex<Finding>>);

impl HealthCheck {
    /// For nothing but the daemon itself.
    pub(crate) fn always() -> Self {
        Self::found(Ok(String::new()))
    }

    fn found(finding: Finding) -> Self {
        Self(Arc::new(Mutex::new(finding)))
    }

    /// Whether it worked at the last look.
    pub(crate) fn works(&self) -> bool {
        self.latest().is_ok()
    }

    /// What was wrong at the last look, if anything was.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.latest().err()
    }

    fn latest(&self) -> Finding {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at the application every `period` until `cancel`; a look may take as long. Before the first one it does not work.
    pub(crate) fn of(application: &Application, period: Duration, cancel: CancellationToken) -> Self {
        let health_check = Self::found(Err("not looked at yet".to_owned()));
        let (found, application) = (health_check.clone(), application.clone());
        tokio::spawn(async move {
            let check = application.check();
            let mut turn = interval(period);
            turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while cancel.run_until_cancelled(turn.tick()).await.is_some() {
                let finding = look(&check, period).await;
                let latest = finding.clone();
                let before = std::mem::replace(&mut *found.0.lock().unwrap_or_else(PoisonError::into_inner), finding);
                match (before, latest) {
                    (Err(_), Ok(found)) => tracing::info!(%application, found, "the application works"),
                    (Ok(_), Err(found)) => tracing::warn!(%application, found, "the application fails"),
                    _ => {}
                }
            }
        });
        health_check
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    // proves: O-5c
    #[tokio::test]
    async fn what_hangs_or_fails_does_not_work_and_says_why() {
        let cancel = CancellationToken::new();
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hangs = format!("http://{}/", silent.local_addr().unwrap());
        for (text, works, why) in [
            (hangs.as_str(), false, "no result within 200ms"),
            ("command:sleep 30", false, "no result within 200ms"),
            ("command:false", false, "ends with status 1"),
            ("command:true", true, ""),
            (&format!("tcp:{}", silent.local_addr().unwrap()), true, ""),
        ] {
            let health_check = HealthCheck::of(&text.parse().unwrap(), Duration::from_millis(200), cancel.clone());
            assert!(!health_check.works(), "before the first look");
            let expected = |health_check: &HealthCheck| {
                if works { health_check.works() } else { health_check.trouble().unwrap().contains(why) }
            };
            let met = tokio::time::timeout(Duration::from_secs(10), async {
                while !expected(&health_check) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
            assert!(met.await.is_ok(), "{text}: {:?}", health_check.latest());
        }
        cancel.cancel();
    }
}
