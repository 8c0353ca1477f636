//! `ringback check`

use clap::Args;

use super::{Context, Failure};
use crate::{daemon, kernel, notify::Delivery, page, parts};

/// `ringback check`
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Print the configuration in force, with all defaults
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let config = context.config()?;
        if let Some((key, what)) = page::bad_certificate(&config.standin) {
            return Err(Failure::usage(parts::mistake(context.path(), key, what).to_string()));
        }
        let interfaces = daemon::interfaces(&config).map_err(|error| Failure::usage(format!("{error:#}")))?;
        let present = kernel::existing_interfaces();
        if let Some(unknown) = interfaces.iter().find(|name| !present.contains(name)) {
            return Err(Failure::usage(format!(
                "{}: watch.interfaces: there is no interface `{unknown}`: this host has {}",
                context.path().display(),
                present.join(", ")
            )));
        }
        let path = context.path().display();
        let delivery = Delivery::new(&config.notify, &config.store.state_dir);
        for remark in delivery.map_err(|error| Failure::usage(error.to_string()))?.remarks() {
            eprintln!("{path}: notify.template_dir: {remark}");
        }
        super::table::print(self.json, &config, |_| {
            format!("{path}: no mistakes; watching {}\n", interfaces.join(", "))
        })
    }
}
