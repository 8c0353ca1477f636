//! What the daemon says: its outages, and the mails that have arrived.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
};

use anyhow::{Context as _, Result};
use lab::{Arrival, Daemon};
use serde_json::Value;

use crate::clock::{Clocks, MS, Ns};

/// An outage, as `ringback outages --json` shows it.
#[derive(Clone, Debug)]
pub(crate) struct Outage {
    /// Its id.
    pub(crate) id: i64,
    /// What failed.
    pub(crate) service: SocketAddr,
    /// Its first failed attempt.
    pub(crate) since: Ns,
    /// Its end; the greatest number: it is not over.
    pub(crate) ended: Ns,
    /// What ended it.
    pub(crate) ended_by: String,
    /// The evidence that opened it.
    pub(crate) evidence: String,
    /// Clients that waited, and letters at its end.
    pub(crate) clients: (u64, u64),
}

/// A mail. Copies with the same Message-ID are one.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// Message-ID.
    pub(crate) id: String,
    /// Who was told.
    pub(crate) client: IpAddr,
    /// Of which outages.
    pub(crate) outages: Vec<i64>,
    /// When it arrived, and whether the daemon was told so.
    pub(crate) copies: Vec<(Ns, bool)>,
}

/// The mail address of a client: each has one of its own.
pub(crate) fn address(client: IpAddr) -> String {
    format!("c-{}@audit.test", client.to_string().replace(['.', ':'], "-"))
}

/// Every outage of the daemon's.
pub(crate) fn outages(daemon: &Daemon<'_>, clocks: Clocks) -> Result<BTreeMap<i64, Outage>> {
    let list = daemon.json(&["outages", "--all", "--limit", "1000000"])?;
    list.as_array()
        .context("no list of outages")?
        .iter()
        .map(|line| {
            let outage = outage(line, clocks).with_context(|| format!("an outage that cannot be read: {line}"))?;
            Ok((outage.id, outage))
        })
        .collect()
}

fn outage(line: &Value, clocks: Clocks) -> Option<Outage> {
    let time = |value: &Value| Some(clocks.monotonic(value.as_u64()? * MS));
    Some(Outage {
        id: line["outage"].as_i64()?,
        service: line["service"].as_str()?.parse().ok()?,
        since: time(&line["since"])?,
        ended: time(&line["ended"]).unwrap_or(Ns::MAX),
        ended_by: line["ended_by"].as_str().unwrap_or("nothing").to_owned(),
        evidence: line["evidence"].as_str()?.to_owned(),
        clients: (line["clients"].as_u64()?, line["letters"].as_u64()?),
    })
}

/// The mails, copies together. `at` turns the time of an arrival into the audit's.
pub(crate) fn letters(arrivals: &[Arrival], clients: &[IpAddr], at: impl Fn(&Arrival) -> Ns) -> Result<Vec<Letter>> {
    let by_address: HashMap<String, IpAddr> = clients.iter().map(|client| (address(*client), *client)).collect();
    let mut letters = BTreeMap::<String, Letter>::new();
    for arrival in arrivals {
        let mail = &arrival.mail;
        let id = mail.header("Message-ID").context("a mail without Message-ID")?;
        let to = mail.to().context("a mail without recipient")?;
        let client = *by_address.get(&to).with_context(|| format!("a mail to a stranger: {to}"))?;
        let references = mail.header("References").unwrap_or_default();
        let outages = references.split_whitespace().map(outage_of).collect::<Option<Vec<_>>>();
        let outages = outages.with_context(|| format!("a mail that names no outages: {references}"))?;
        let copy = (at(arrival), arrival.acknowledged);
        letters
            .entry(format!("{id} {to}"))
            .or_insert_with(|| Letter { id, client, outages, copies: Vec::new() })
            .copies
            .push(copy);
    }
    Ok(letters.into_values().collect())
}

/// `<ringback.OUTAGE.SINCE@domain>`.
fn outage_of(reference: &str) -> Option<i64> {
    reference.strip_prefix("<ringback.")?.split('.').next()?.parse().ok()
}
