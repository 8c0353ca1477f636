//! Stops and kills: the next core goes on from the store and from the kernel's ring buffer.

use monitor_common::Evidence;
use monitor_core::{
    domain::UnixMs,
    outage::{Mark, Recovery},
};

use super::{
    Bed, client, mail, until, web,
    world::{BOOT, Death, Done},
};

// proves: F-3a F-7a
#[tokio::test]
async fn what_was_read_and_not_committed_before_a_kill_is_found_again() {
    let bed = Bed::new();
    let running = bed.start().await;
    bed.refuse();
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    until("it is read", async || bed.world.lock().read == 1).await;
    running.kill().await;
    // One more comes while no daemon lives.
    bed.world.fails(client(2), web(), Evidence::Unanswered);
    bed.accept();
    let running = bed.start().await;
    assert_eq!(running.waiting().await, [client(1), client(2)]);
    assert!(bed.world.is_marked(web()));
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_kill_between_the_commit_and_the_kernel_loses_no_mark_and_lists_nobody_twice() {
    for death in [Death::BeforeRelease, Death::BeforeMarks] {
        let bed = Bed::new();
        let running = bed.start().await;
        bed.world.lock().dies = Some(death);
        bed.world.fails(client(1), web(), Evidence::Unanswered);
        assert!(running.dies().await.is_panic());
        assert!(!bed.world.is_marked(web()));
        let running = bed.start().await;
        assert!(bed.world.is_marked(web()), "{death:?}");
        assert_eq!((running.open().await, running.waiting().await), (vec![web()], vec![client(1)]));
        running.stop().await.unwrap();
    }
}

// proves: F-12
#[tokio::test]
async fn rule_7_holds_over_a_kill_between_the_commit_and_the_mark() {
    let bed = Bed::new();
    let running = bed.start().await;
    bed.world.lock().dies = Some(Death::BeforeRelease);
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    assert!(running.dies().await.is_panic());
    // It is not marked: nobody reports this answer.
    bed.world.answers(web(), client(2));
    let running = bed.start().await;
    assert_eq!(running.outages().await[0].recovery, Some(Recovery::Answered));
    assert_eq!(bed.world.marks(), [Mark::Failed(web()), Mark::Recovered(web())]);
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_kill_between_the_end_of_an_outage_and_its_mark_takes_the_mark_back_at_the_next_start() {
    let bed = Bed::new();
    let running = bed.start().await;
    running.knows(client(1), "one@example.net").await;
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    until("the service is marked", async || bed.world.is_marked(web())).await;
    bed.world.lock().dies = Some(Death::BeforeMarks);
    bed.world.answers(web(), client(2));
    assert!(running.dies().await.is_panic());
    assert!(bed.world.is_marked(web()));
    let running = bed.start().await;
    assert!(!bed.world.is_marked(web()));
    bed.world.later(5000);
    until("its client has given up", async || running.told().await == ["one@example.net"]).await;
    running.stop().await.unwrap();
}

// proves: F-12
#[tokio::test]
async fn an_answer_while_no_daemon_lives_ends_the_outage_at_the_next_start() {
    let bed = Bed::new();
    let running = bed.start().await;
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    bed.world.fails(client(1), mail(), Evidence::Unanswered);
    until("both are marked", async || bed.world.is_marked(web()) && bed.world.is_marked(mail())).await;
    running.kill().await;
    bed.world.answers(web(), client(2));
    let answered = bed.world.lock().now;
    bed.world.later(60_000);
    let running = bed.start().await;
    assert_eq!(running.open().await, [mail()]);
    assert!(!bed.world.is_marked(web()) && bed.world.is_marked(mail()));
    let ended = running.outages().await.iter().find_map(|record| record.ended);
    assert_eq!(ended, Some(UnixMs(BOOT.0 + i64::try_from(answered / 1_000_000).unwrap())), "when it answered");
    running.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_takes_what_is_in_the_ring() {
    let bed = Bed::new();
    let running = bed.start().await;
    let store = running.store.clone();
    running.stop.cancel();
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    running.stop().await.unwrap();
    assert_eq!(store.waiting(None, 10).await.unwrap().len(), 1);
    assert!(bed.world.lock().ring.is_empty());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_store_that_takes_no_changes_and_the_next_start_finds_them() {
    let bed = Bed::new();
    let mut running = bed.start().await;
    bed.refuse();
    bed.world.fails(client(1), web(), Evidence::Unanswered);
    running.state.wait_for(|state| state.store_error.is_some()).await.unwrap();
    let error = running.stop().await.unwrap_err().to_string();
    assert!(error.contains("the disk is full") && error.contains("the kernel keeps"), "{error}");
    assert_eq!(bed.world.lock().done, Vec::<Done>::new());
    bed.accept();
    let running = bed.start().await;
    assert_eq!(running.waiting().await, [client(1)]);
    assert_eq!(bed.world.marks(), [Mark::Failed(web())]);
    running.stop().await.unwrap();
}
