//! A guard decides from the first frame that the programs see (D-1, D-3).

use std::{fs, thread};

use anyhow::{Result, anyhow};
use lab::{
    AppServer, Attempt, Daemon, Lab,
    guarded::{LIMIT, PORT, config, services, timed},
};

// proves: D-1 D-3
#[test]
fn from_the_moment_that_the_programs_are_attached_no_request_reaches_a_sick_server() -> Result<()> {
    let lab = Lab::builder().build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let app = AppServer::start(server, PORT)?;
    app.answers("503")?;
    let targets = services(server);
    for fail in ["open", "closed"] {
        let mut daemon = Daemon::start(server, config(&lab, &format!("fail = '{fail}'")))?;
        let pins = daemon.pin_dir().to_owned();
        for (round, target) in targets.into_iter().cycle().take(8).enumerate() {
            assert!(daemon.sigterm()?.success());
            assert!(daemon.ringback(&["cleanup"])?.status.success());
            assert_eq!(timed(client, target)?.0, Attempt::Connected, "nothing guards it");
            thread::scope(|scope| {
                let launched = scope.spawn(|| daemon.launch());
                let mut refused = 0;
                while refused < 5 {
                    // The link is pinned after it was made. Looked for before the attempt: what is there then, sees it.
                    let attached = fs::read_dir(&pins).is_ok_and(|pins| {
                        pins.flatten().any(|pin| pin.file_name().to_string_lossy().starts_with("link_xdp_"))
                    });
                    match client.connect(None, target, LIMIT)? {
                        Attempt::Refused => refused += 1,
                        Attempt::Connected => assert!(!attached, "{fail}, round {round}: an unchecked connection"),
                        other => anyhow::bail!("{fail}, round {round}: {other:?}"),
                    }
                }
                launched.join().map_err(|_| anyhow!("the start panicked"))?
            })?;
        }
    }
    Ok(())
}
