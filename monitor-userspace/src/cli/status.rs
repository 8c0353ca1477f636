//! `ringback status`: the first line is the verdict.

use std::time::Duration;

use clap::Args;
use monitor_core::{
    domain::{
        UnixMs,
        wall_clock::{lasting, utc_short},
    },
    mail::phrase,
};
use monitor_store::{ListRecord, ListState};

use super::{
    Context, Failure,
    outages::outage_lines,
    table::{self, Width},
};
use crate::{
    control::{CertificateLine, Health, Loss, SharedLine, StatusReport},
    page::Validity,
};

/// A gateway that was not heard of for so long is shown as silent.
const SILENT: Duration = Duration::from_secs(10);

/// `ringback status`
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl StatusArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let report: StatusReport = context.client()?.get("/v1/status").await?;
        table::print(self.json, &report, |report| text(report, Width::of_stdout()))
    }
}

/// The report for a tired operator: what is down, who waits, what is lost, whether mail goes out.
fn text(report: &StatusReport, width: Width) -> String {
    let mut text = String::new();
    let mut say = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    say(match report.outages.len() {
        0 => "All is up, as far as Ringback can see.".to_owned(),
        1 => format!("1 service is down, {}.", waiting(report.waiting_clients)),
        down => format!("{down} services are down, {}.", waiting(report.waiting_clients)),
    });
    if !report.outages.is_empty() {
        say(String::new());
        say(outage_lines(&report.outages, report.now, width).trim_end().to_owned());
        say(String::new());
    }
    working_lines(report).into_iter().for_each(&mut say);
    if let Some(line) = page_line(&report.page) {
        say(line);
    }
    for line in report.certificates.iter().filter_map(|line| certificate_line(line, report.now)) {
        say(line);
    }
    for list in &report.lists {
        say(list_line(list));
    }
    for refused in &report.refused {
        let file = refused.file.as_deref().unwrap_or("left in the mailbox");
        say(format!("Refused:   {} mail: {} ({file})", utc_short(refused.at), refused.reason));
    }
    if let Some(shared) = &report.shared {
        say(shared_line(shared, report.now));
    }
    if !report.answers_seen && !report.interfaces.is_empty() {
        say("Note:      no answer of any server was seen yet; until one is, silence is not judged (asymmetric routing?)"
            .to_owned());
    }
    if report.health == Health::Degraded {
        for problem in &report.problems {
            say(format!("PROBLEM:   {problem}"));
        }
    }
    for letter in &report.dead_letters {
        let about = letter.subject.clone().or(letter.service.map(|service| format!("mail about {service}")));
        let about = about.unwrap_or_default();
        say(format!("           given up {}: {about}: {}", utc_short(letter.at), letter.reason));
    }
    text
}

/// What is watched, what is lost, whether mail goes out.
fn working_lines(report: &StatusReport) -> [String; 3] {
    let watched: Vec<_> = report
        .interfaces
        .iter()
        .map(|line| format!("{} ({})", line.name, format!("{:?}, {:?}", line.ingress, line.egress).to_lowercase()))
        .collect();
    let watching = format!(
        "Watching:  {}; {} services known; up {}",
        if watched.is_empty() { "nothing".to_owned() } else { watched.join(", ") },
        report.services,
        lasting(report.now.since(report.started))
    );
    let lost = if report.losses.is_empty() {
        "Lost:      nothing".to_owned()
    } else {
        let losses: Vec<_> = report.losses.iter().map(|loss| format!("{} {}", loss.count, loss.reason)).collect();
        format!("LOST:      {}", losses.join(", "))
    };
    let outbox = &report.outbox;
    let mail = match (outbox.queued, outbox.retrying, outbox.dead) {
        (0, _, 0) => format!("Mail:      goes out; {} delivered", outbox.delivered),
        (queued, retrying, dead) => {
            let delivered = outbox.delivered;
            format!("MAIL:      {queued} queued, {retrying} of them retrying, {dead} given up; {delivered} delivered")
        }
    };
    [watching, lost, mail]
}

/// What became of the page's clients: the two that matter always, the others when there were any. `None`: it is off.
fn page_line(counts: &[Loss]) -> Option<String> {
    let always = ["shown", "registered"];
    let said = counts.iter().filter(|loss| loss.count > 0 || always.contains(&loss.reason.as_str()));
    let said: Vec<_> = said.map(|loss| format!("{} {}", loss.count, loss.reason)).collect();
    (!said.is_empty()).then(|| format!("Page:      {}", said.join(", ")))
}

/// Said of a certificate that ends soon; one that has ended is a problem.
fn certificate_line(line: &CertificateLine, now: UnixMs) -> Option<String> {
    let left = lasting(line.ends.since(now));
    let file = &line.certificate;
    (line.lifetime().validity(now) == Validity::EndsSoon)
        .then(|| format!("PAGE:      {file} expires in {left} ({}): renew it", utc_short(line.ends)))
}

/// Who shares the database, or since when it is out of reach.
fn shared_line(shared: &SharedLine, now: UnixMs) -> String {
    if let Some(since) = shared.cut_off_since {
        return format!(
            "SHARED:    the database is out of reach for {}; {} changes kept",
            lasting(now.since(since)),
            shared.kept
        );
    }
    let gateways: Vec<_> = shared
        .gateways
        .iter()
        .map(|gateway| match now.since(gateway.seen) {
            age if age < SILENT => gateway.host.clone(),
            age => format!("{} (silent for {})", gateway.host, lasting(age)),
        })
        .collect();
    format!("Shared:    the database is in reach; gateways: {}", gateways.join(", "))
}

/// What became of a list that a relay was sent.
fn list_line(list: &ListRecord) -> String {
    let state = match (list.state, list.told) {
        (ListState::Pending, _) => "pending".to_owned(),
        (ListState::Delivered, Some(told)) => format!("delivered, {told} mailed"),
        (ListState::Delivered, None) => "delivered".to_owned(),
        (ListState::Expired, _) => "EXPIRED without a receipt".to_owned(),
        (ListState::Direct, _) => "no receipt: mailed from here".to_owned(),
    };
    let clients = phrase::clients(list.clients);
    format!("List:      {} {}: {clients} to {}: {state}", utc_short(list.issued), list.service, list.relay)
}

fn waiting(clients: u64) -> String {
    match clients {
        0 => "nobody waits".to_owned(),
        1 => "1 client waits".to_owned(),
        clients => format!("{clients} clients wait"),
    }
}

#[cfg(test)]
#[path = "report_snapshots.rs"]
mod snapshots;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::{Width, text};
    use crate::{
        control::{Health, InterfaceLine, Loss, OutageLine, StatusReport},
        kernel::{Hook, TcMode},
    };
    use monitor_core::{
        domain::{OutageId, UnixMs},
        outage::{Failure, Level, Phase, Tally},
    };
    use monitor_store::OutboxCounts;

    pub(super) fn report() -> StatusReport {
        StatusReport {
            version: "1".to_owned(),
            started: UnixMs(1_000_000),
            now: UnixMs(8_200_000),
            health: Health::Ok,
            problems: Vec::new(),
            interfaces: vec![InterfaceLine { name: "eth0".to_owned(), ingress: Hook::Native, egress: TcMode::Tcx }],
            outages: Vec::new(),
            waiting_clients: 0,
            losses: Vec::new(),
            outbox: OutboxCounts { delivered: 3, ..OutboxCounts::default() },
            dead_letters: Vec::new(),
            lists: Vec::new(),
            refused: Vec::new(),
            services: 12,
            counters: Vec::new(),
            ignored: Tally::default(),
            snmp: Vec::new(),
            page: Vec::new(),
            certificates: Vec::new(),
            list_states: Vec::new(),
            mailbox: Vec::new(),
            notices_waiting: 0,
            answers_seen: true,
            shared: None,
        }
    }

    #[test]
    fn all_is_well_in_four_lines() {
        assert_eq!(
            text(&report(), Width::ANY),
            "All is up, as far as Ringback can see.\n\
             Watching:  eth0 (native, tcx); 12 services known; up 2h\n\
             Lost:      nothing\n\
             Mail:      goes out; 3 delivered\n"
        );
    }

    #[test]
    fn what_is_down_comes_first_and_what_is_lost_is_loud() {
        let mut report = report();
        report.outages.push(OutageLine {
            outage: OutageId(7),
            service: "192.0.2.7:443".parse().unwrap(),
            server_name: Some("www.example.net".to_owned()),
            phase: Some(Phase::Open),
            evidence: Failure::Unanswered,
            level: Level::Service,
            since: UnixMs(8_000_000),
            latest: UnixMs(8_100_000),
            failures: 9,
            clients: 4,
            ended: None,
            ended_by: None,
            letters: 0,
        });
        report.waiting_clients = 4;
        report.losses.push(Loss { reason: "ring_full".to_owned(), count: 2 });
        report.outbox.queued = 5;
        report.outbox.retrying = 5;
        report.health = Health::Degraded;
        report.problems.push("5 mails wait for another try: connection refused".to_owned());
        assert_eq!(
            text(&report, Width::ANY),
            "1 service is down, 4 clients wait.\n\n\
             OUTAGE  SERVICE        NAME             STATE  SINCE                 LASTS   CLIENTS  EVIDENCE\n\
             7       192.0.2.7:443  www.example.net  open   1970-01-01 02:13:20Z  3m 20s  4        unanswered\n\n\
             Watching:  eth0 (native, tcx); 12 services known; up 2h\n\
             LOST:      2 ring_full\n\
             MAIL:      5 queued, 5 of them retrying, 0 given up; 3 delivered\n\
             PROBLEM:   5 mails wait for another try: connection refused\n"
        );
    }
}
