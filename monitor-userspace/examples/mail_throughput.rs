//! Mails per second through the delivery worker to the mail server given as `smtp://host:port`, with an outbox in
//! memory: `cargo run --release --example mail_throughput -- smtp://127.0.0.1:2525 20000 8`.

#![expect(clippy::unwrap_used, reason = "a measurement, not the daemon")]

#[path = "../tests/smtp/memory_outbox.rs"]
#[expect(dead_code, reason = "shared with the tests, which use all of it")]
mod memory_outbox;

use std::{env, path::Path, sync::Arc, time::Instant};

use monitor_core::{config, mail::sample};
use ringback::notify::{Delivery, Mail, OutboxWorker};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use self::memory_outbox::MemoryOutbox;

#[tokio::main]
async fn main() {
    let mut args = env::args().skip(1);
    let smtp = args.next().expect("the first argument is the mail server, such as smtp://127.0.0.1:2525");
    let letters: i64 = args.next().map_or(20_000, |text| text.parse().unwrap());
    let connections = args.next().map_or(8, |text| text.parse().unwrap());
    let settings = config::Notify { smtp: Some(smtp), connections, reverse_dns: false, ..Default::default() };
    let delivery = Arc::new(Delivery::of_mails(Mail::load(&settings, Path::new("/nonexistent")).unwrap()));
    let outbox = MemoryOutbox::with((1..=letters).map(sample::letter));
    let cancel = CancellationToken::new();
    let start = Instant::now();
    let worker = OutboxWorker::new(outbox.clone(), delivery, Arc::new(Notify::new()));
    let task = tokio::spawn(worker.run(cancel.clone()));
    outbox.until("all are delivered", |outbox| outbox.open() == 0).await;
    let seconds = start.elapsed().as_secs_f64();
    cancel.cancel();
    task.await.unwrap().unwrap();
    let rate = letters as f64 / seconds;
    println!("{letters} mails over {connections} connections in {seconds:.2} s: {rate:.0} mails/s");
}
