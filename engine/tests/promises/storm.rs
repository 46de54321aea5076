//! Promise: one feed's storm does not starve the others: while it lasts and the encoder's queue is full, everything
//! that another feed sends on the same encoder is received, decoded and written, and none of it is lost.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::rig::{Gated, Publisher, config, end, feed, keys, look, start, wait_until};

const QUIET_MESSAGES: u64 = 2_000;

fn a_quiet_feed_gets_through(receive: &str) {
    let context = zmq::Context::new();
    let mut storm = Publisher::bind(&context, "storm");
    let mut quiet = Publisher::bind(&context, "quiet");
    let config = config(&[
        feed("storm", &storm.endpoint),
        feed("quiet", &quiet.endpoint),
        keys(&["sinks.kept.kind=\"null\"", "engine.queue_frames_max=512", "engine.burst_max=256"]),
        vec![format!("engine.receive={receive:?}")],
    ]);
    let kept = Gated::open();
    let run = start(&config, &|_| Ok(Box::new(kept.clone())));
    storm.wait_subscription(true);
    quiet.wait_subscription(true);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                storm.send(64);
            }
            storm.sent
        });
        wait_until(&run, "the storm", |report| report.feeds["storm"].frames > 10_000);
        let before = look(&run).feeds["storm"].frames;
        quiet.send(QUIET_MESSAGES);
        let report = wait_until(&run, "the quiet feed", |report| {
            report.feeds["quiet"].ledger.decoded == QUIET_MESSAGES && report.feeds["storm"].frames > before
        });
        assert_eq!(report.feeds["quiet"].ledger.lost_before_receive, Some(0), "{receive}");
        over.store(true, Ordering::Relaxed);
        sender.join().unwrap();
    });
    let report = end(run);
    assert!(report.ledger.balanced, "{receive}: {:#?}", report.ledger);
    assert_eq!(report.feeds["quiet"].ledger.points_made, QUIET_MESSAGES, "{receive}");
}

#[test]
fn a_storm_on_one_feed_starves_no_other_with_a_thread_an_endpoint() {
    a_quiet_feed_gets_through("blocking");
}

#[test]
fn a_storm_on_one_feed_starves_no_other_on_one_thread_for_all() {
    a_quiet_feed_gets_through("multiplexed");
}
