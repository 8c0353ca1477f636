//! Health checks of applications and of this machine, for guards and for heartbeats.
//!
//! In: a guard's checks. Out: one [`CheckLine`] each, in the same order; all of them run side by side, each within its own
//! limit. `HealthCheck` looks at one application again and again, in the same ways.

mod application;
mod machine;
mod program;
mod watch;

use std::time::{Duration, Instant};

use monitor_core::config::{CheckKind, CheckSetting};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

pub(crate) use self::watch::HealthCheck;

/// One check's latest result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckLine {
    /// What was looked at.
    pub check: String,
    /// Whether it was well.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// How long it took, in milliseconds.
    pub took_ms: f64,
}

/// What was found: well, or not and why.
pub(crate) type Finding = Result<String, String>;

/// Runs all checks of a guard.
pub async fn run(checks: &[CheckSetting]) -> Vec<CheckLine> {
    let mut running = tokio::task::JoinSet::new();
    let mut lines: Vec<_> = checks.iter().map(|check| lost(name(check))).collect();
    for (index, check) in checks.iter().cloned().enumerate() {
        running.spawn(async move { (index, one(&check).await) });
    }
    while let Some(ended) = running.join_next().await {
        // A check that panicked stays lost, which is not well.
        if let Ok((index, line)) = ended {
            lines[index] = line;
        }
    }
    lines
}

fn lost(check: String) -> CheckLine {
    CheckLine { check, ok: false, found: "the check itself failed".to_owned(), took_ms: 0.0 }
}

async fn one(check: &CheckSetting) -> CheckLine {
    let begin = Instant::now();
    let found = match check.kind() {
        Err(mistake) => Err(mistake.reason),
        Ok(kind) => look(&kind, check.limit).await,
    };
    let took_ms = begin.elapsed().as_secs_f64() * 1e3;
    let (ok, found) = match found {
        Ok(found) => (true, found),
        Err(why) => (false, why),
    };
    CheckLine { check: name(check), ok, found, took_ms }
}

/// Looks once, for no longer than `limit`.
pub(crate) async fn look(kind: &CheckKind, limit: Duration) -> Finding {
    let late = |_| Err(format!("no result within {}", humantime::format_duration(limit)));
    timeout(limit, find(kind)).await.unwrap_or_else(late)
}

async fn find(kind: &CheckKind) -> Finding {
    match kind {
        CheckKind::Tcp(addr) => application::tcp(*addr).await,
        CheckKind::Http { addr, path, status } => application::http(*addr, path, status).await,
        CheckKind::Command(command) => program::command(command).await,
        CheckKind::Unit(unit) => program::unit(unit).await,
        CheckKind::Disk(folder, least) => machine::disk(folder, *least),
        CheckKind::Load(most) => machine::load(*most),
        CheckKind::Memory(least) => machine::memory(*least),
        CheckKind::FileAge(file, oldest) => machine::file_age(file, *oldest),
    }
}

/// What the check looks at, in a few words.
fn name(check: &CheckSetting) -> String {
    match check.kind() {
        Ok(CheckKind::Tcp(addr)) => format!("tcp {addr}"),
        Ok(CheckKind::Http { addr, path, .. }) => format!("http {addr}{path}"),
        Ok(CheckKind::Command(command)) => format!("command {}", command.join(" ")),
        Ok(CheckKind::Unit(unit)) => format!("unit {unit}"),
        Ok(CheckKind::Disk(folder, _)) => format!("disk {}", folder.display()),
        Ok(CheckKind::Load(_)) => "load".to_owned(),
        Ok(CheckKind::Memory(_)) => "memory".to_owned(),
        Ok(CheckKind::FileAge(file, _)) => format!("file {}", file.display()),
        Err(_) => "?".to_owned(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::{Duration, Instant};

    use monitor_core::config::parse;

    fn checks(text: &str) -> Vec<monitor_core::config::CheckSetting> {
        let text = text.replace('|', "\n[[guard.check]]\n");
        parse("f", &format!("[[guard]]\nport = 80\n{text}")).unwrap().guard.remove(0).check
    }

    #[tokio::test]
    async fn each_kind_says_what_it_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("beat");
        std::fs::write(&file, "x").unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let text = format!(
            "|tcp = '{here}'|tcp = '{gone}'|command = ['true']|command = ['sh', '-c', 'echo broken; exit 3']\
             |disk = '/'\nmin_free_mib = 0|disk = '/'\nmin_free_mib = 99999999999\
             |max_load = 100000.0|max_load = -1.0|min_memory_mib = 1|min_memory_mib = 99999999999\
             |file = '{0}'\nmax_age = '1m'|file = '{0}.gone'\nmax_age = '1m'|command = ['/no/such/program']",
            file.display()
        );
        let lines = super::run(&checks(&text)).await;
        let ok: Vec<_> = lines.iter().map(|line| line.ok).collect();
        let expected = [true, false, true, false, true, false, true, false, true, false, true, false, false];
        assert_eq!(ok, expected, "{lines:#?}");
        assert!(lines[1].found.contains("refused"), "{}", lines[1].found);
        assert!(lines[3].found.contains("status 3") && lines[3].found.contains("broken"), "{}", lines[3].found);
    }

    #[tokio::test]
    async fn a_file_that_is_too_old_is_not_well() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("beat");
        let old = std::time::SystemTime::now() - Duration::from_secs(120);
        std::fs::File::create(&file).unwrap().set_modified(old).unwrap();
        let line = super::run(&checks(&format!("|file = '{}'\nmax_age = '1m'", file.display()))).await.remove(0);
        assert!(!line.ok && line.found.contains("2m"), "{line:?}");
    }

    #[tokio::test]
    async fn checks_run_side_by_side_and_end_at_their_limit() {
        let begin = Instant::now();
        let slow = "|command = ['sleep', '30']\nlimit = '300ms'".repeat(5);
        let lines = super::run(&checks(&slow)).await;
        assert!(begin.elapsed() < Duration::from_millis(1200), "{:?}", begin.elapsed());
        assert!(lines.iter().all(|line| !line.ok && line.found.contains("300ms")), "{lines:?}");
    }
}
