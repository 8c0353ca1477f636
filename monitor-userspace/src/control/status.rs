//! What `status`, the metrics and `health` say: gathered from the core, the store and who counts.

use std::{path::PathBuf, time::Duration};

use monitor_core::domain::{UnixMs, wall_clock};
use monitor_store::{ListState, OutageRecord, OutboxCounts, StoreError};

use super::{
    api::{ControlContext, MOST},
    report::{CertificateLine, Health, InterfaceLine, Loss, OutageLine, SharedLine, StatusReport},
};
use crate::{
    clock::Now as _,
    core::State as CoreState,
    kernel::is_router,
    page::{CertificateLifetimes, Lifetime, Validity},
    relay::MailboxPoller,
};

/// Lists and refused mails, the latest.
const LISTS: u32 = 10;
const REFUSED: u32 = 10;

/// Answers without requests, of which fewer may be this host's own connections.
const UNMATCHED: u64 = 20;

/// Gathers it.
pub(super) async fn report(context: &ControlContext) -> Result<StatusReport, StoreError> {
    let core = context.gateway().map(|view| view.core.borrow().clone()).unwrap_or_default();
    let store = context.within_reach().await;
    let outages: Vec<_> = store.outages(false, MOST).await?.into_iter().map(line).collect();
    let letters = store.outbox();
    let outbox = letters.counts().await?;
    let page = context.gateway().and_then(|view| view.page.as_ref());
    let certificates = page.map(|page| certificate_lines(&page.certificates)).unwrap_or_default();
    let shared = shared_line(context).await?;
    let lists = store.lists(LISTS).await?;
    let now = UnixMs::now();
    let mut problems = problems(context, &core, &outbox);
    problems.extend(certificates.iter().filter_map(|line| certificate_problem(line, now)));
    problems.extend(shared.as_ref().and_then(shared_problem));
    problems.extend(sharing_problems(context).await);
    let overdue = lists.iter().filter(|list| list.state == ListState::Expired).count();
    if overdue > 0 {
        problems.push(format!("{overdue} lists were sent to relays that gave no receipt"));
    }
    let loss = |(reason, count): (String, u64)| Loss { reason, count };
    let mailbox = context.mailbox.iter().flat_map(|poller| poller.counters().words());
    Ok(StatusReport {
        list_states: store.list_states().await?.into_iter().map(loss).collect(),
        mailbox: mailbox.map(|(word, count)| loss((word.to_owned(), count))).collect(),
        notices_waiting: store.notices_waiting().await?,
        lists,
        refused: store.refused(REFUSED).await?,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: context.started,
        now,
        certificates,
        health: if problems.is_empty() { Health::Ok } else { Health::Degraded },
        problems,
        interfaces: core
            .interfaces
            .iter()
            .map(|attached| InterfaceLine {
                name: attached.name.clone(),
                ingress: attached.ingress,
                egress: attached.egress,
            })
            .collect(),
        waiting_clients: outages.iter().map(|outage| outage.clients).sum(),
        outages,
        losses: losses(&core),
        dead_letters: if outbox.dead > 0 { letters.dead_letters(10).await? } else { Vec::new() },
        outbox,
        services: core.services as u64,
        counters: core
            .counters
            .iter()
            .map(|(counter, count)| Loss { reason: counter.word().to_owned(), count: *count })
            .collect(),
        ignored: core.tally,
        snmp: context.snmp.as_ref().map(|counters| snmp_lines(counters)).unwrap_or_default(),
        page: page.map(|page| page_lines(&page.counters)).unwrap_or_default(),
        answers_seen: core.answers_seen,
        shared,
    })
}

/// How long a loss keeps the health degraded.
const LOSS_SHOWN: Duration = Duration::from_secs(600);

/// What was lost on the way from the kernel to the core.
fn losses(core: &CoreState) -> Vec<Loss> {
    core.counters
        .iter()
        .filter(|(counter, count)| counter.is_loss() && *count > 0)
        .map(|(counter, count)| Loss { reason: counter.word().to_owned(), count: *count })
        .chain(
            (core.unreadable_events > 0)
                .then(|| Loss { reason: "events_unreadable".to_owned(), count: core.unreadable_events }),
        )
        .collect()
}

/// What keeps the daemon from its work.
fn problems(context: &ControlContext, core: &CoreState, outbox: &OutboxCounts) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(error) = &core.store_error {
        problems.push(format!("the store does not take changes: {error}"));
    }
    if let Some(error) = outbox.last_error.as_ref().filter(|_| outbox.retrying > 0) {
        problems.push(format!("{} mails wait for another try: {error}", outbox.retrying));
    }
    if outbox.dead > 0 {
        problems.push(format!("{} mails were given up", outbox.dead));
    }
    if let Some(lost) = core.lost.filter(|lost| UnixMs::now().since(*lost) < LOSS_SHOWN) {
        let ago = wall_clock::lasting(UnixMs::now().since(lost));
        problems.push(format!("something was lost {ago} ago: the list of losses says what, docs/operating.md why"));
    }
    for unwatched in &core.unwatched {
        problems.push(format!("{} is not watched: {}", unwatched.name, unwatched.reason));
    }
    problems.extend(requests_problem(core));
    if context.gateway().is_some() && core.interfaces.is_empty() {
        problems.push("no interface is watched".to_owned());
    }
    if let Some(error) = context.mailbox.as_ref().and_then(MailboxPoller::error) {
        problems.push(format!("the mailbox cannot be read: {error}"));
    }
    problems
}

/// Shared addresses that this host cannot have.
async fn sharing_problems(context: &ControlContext) -> Vec<String> {
    // That it is not exchanged any more ends the daemon.
    let Ok(hosts) = super::peers::report(context).await else { return Vec::new() };
    let troubles = hosts.groups.into_iter().filter_map(|group| Some((group.group, group.own_trouble?)));
    troubles.map(|(group, trouble)| format!("the shared addresses `{group}` cannot be here: {trouble}")).collect()
}

/// A router that sees answers and none of the requests that they answer: its clients come by other interfaces.
fn requests_problem(core: &CoreState) -> Option<String> {
    let unmatched = core.answers_without_requests().filter(|unmatched| *unmatched >= UNMATCHED && is_router())?;
    Some(format!(
        "{unmatched} answers of servers passed, and none of the requests that they answer: clients come by an interface that is not watched (watch.interfaces), or by another path"
    ))
}

fn certificate_problem(line: &CertificateLine, now: UnixMs) -> Option<String> {
    let what = match line.lifetime().validity(now) {
        Validity::NotYet => "is not valid yet: is the clock right? Until then",
        Validity::Ended => "has expired:",
        Validity::EndsSoon | Validity::Good => return None,
    };
    Some(format!("the certificate {} {what} its names do not get the stand-in page", line.certificate))
}

fn shared_problem(shared: &SharedLine) -> Option<String> {
    let reason = shared.cut_off.as_ref()?;
    Some(format!(
        "the shared database is out of reach ({reason}); {} changes are kept here and shared when it is back",
        shared.kept
    ))
}

async fn shared_line(context: &ControlContext) -> Result<Option<SharedLine>, StoreError> {
    let Some(shared) = context.shared() else { return Ok(None) };
    let (kept, oldest_kept) = shared.local.spool_length().await?;
    let state = shared.state.borrow().clone();
    Ok(Some(SharedLine {
        cut_off_since: state.cut_off.as_ref().map(|(since, _)| *since),
        cut_off: state.cut_off.map(|(_, reason)| reason),
        kept,
        oldest_kept,
        gateways: state.gateways,
    }))
}

fn snmp_lines(counters: &crate::recovery::snmp::Counters) -> Vec<Loss> {
    counters.words().into_iter().map(|(word, count)| Loss { reason: word.to_owned(), count }).collect()
}

fn page_lines(counters: &crate::page::Counters) -> Vec<Loss> {
    counters.words().map(|(word, count)| Loss { reason: word.to_owned(), count }).collect()
}

fn certificate_lines(certificates: &CertificateLifetimes) -> Vec<CertificateLine> {
    let line = |(file, lifetime): (PathBuf, Lifetime)| CertificateLine {
        certificate: file.display().to_string(),
        begins: lifetime.begins,
        ends: lifetime.ends,
    };
    certificates.get().into_iter().map(line).collect()
}

/// One outage, for people.
pub(super) fn line(record: OutageRecord) -> OutageLine {
    OutageLine {
        outage: record.outage.id,
        service: record.outage.service,
        server_name: record.server_name,
        phase: record.ended.is_none().then_some(record.outage.phase),
        evidence: record.outage.evidence,
        level: record.outage.level,
        since: record.outage.since,
        latest: record.outage.latest,
        failures: record.outage.failures,
        clients: record.clients,
        ended: record.ended,
        ended_by: record
            .ended
            .map(|_| record.recovery.map_or_else(|| "discarded".to_owned(), |recovery| recovery.word().to_owned())),
        letters: record.letters,
    }
}
