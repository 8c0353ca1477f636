//! What Ringback costs and how fast it is. `bench` runs everything; `bench frames flows` only these. Quote ratios: the
//! nanoseconds are the machine's.

mod events;
mod flows;
mod frames;
mod gateway;
mod growth;
mod guard;
mod recovery;
mod report;
mod segments;
mod standby;
mod standin;
mod store;
mod time_to_mail;

use anyhow::{Result, bail};

/// A measurement by name.
type Measurement = (&'static str, fn() -> Result<()>);

const ALL: [Measurement; 14] = [
    ("frames", frames::run),
    ("flows", flows::run),
    ("growth", growth::run),
    ("guard", guard::run),
    ("gateway", gateway::run),
    ("events", events::run),
    ("recovery", recovery::run),
    ("time-to-mail", time_to_mail::run),
    ("standby", standby::run),
    ("standby-ipv6", standby::ipv6),
    ("standby-three", standby::three),
    ("standby-ways", standby::ways),
    ("standin", standin::run),
    ("store", store::run),
];

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| !ALL.iter().any(|(known, _)| known == name)) {
        bail!("there is no measurement `{unknown}`: there are {}", ALL.map(|(name, _)| name).join(", "));
    }
    println!("{}, {}", report::cpu()?, report::kernel_release()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    for (name, run) in ALL {
        if wanted.is_empty() || wanted.iter().any(|other| other == name) {
            run()?;
        }
    }
    Ok(())
}
