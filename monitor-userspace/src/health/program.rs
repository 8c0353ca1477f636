//! Programs: the operator's own, and systemd's word on a unit.

use std::process::Stdio;

use tokio::process::Command;

use super::Finding;

/// What a program printed is quoted up to here.
const LONGEST_QUOTE: usize = 200;

/// The program ends with status 0. It is killed when it takes too long.
pub(super) async fn command(command: &[String]) -> Finding {
    let Some((program, arguments)) = command.split_first() else { return Err("no program".to_owned()) };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| format!("{program} cannot be run: {error}"))?;
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    let quote: String = printed.lines().next().unwrap_or_default().chars().take(LONGEST_QUOTE).collect();
    let quote = if quote.is_empty() { quote } else { format!(": {quote}") };
    match output.status.code() {
        Some(0) => Ok(format!("ends with status 0{quote}")),
        Some(code) => Err(format!("ends with status {code}{quote}")),
        None => Err(format!("is killed by a signal{quote}")),
    }
}

/// systemd says that the unit is active.
pub(super) async fn unit(unit: &str) -> Finding {
    let arguments = ["systemctl", "is-active", "--", unit].map(str::to_owned);
    command(&arguments).await
}
