//! Promise: a sink that does not take its points slows no other sink beyond its own policy, and what it drops
//! is counted to the point.

use crate::rig::{
    Gated, Publisher, assert_all_in_order, config, end, feed, keys, line_of, start, wait_until,
};
use crossbeam_channel::bounded;

const MESSAGES: u64 = 5_000;

fn with_policy(policy: &str) {
    let context = zmq::Context::new();
    let mut publisher = Publisher::bind(&context, "alpha");
    let config = config(&[
        feed("alpha", &publisher.endpoint),
        keys(&["sinks.fast.kind=\"null\"", "sinks.slow.kind=\"null\"", "sinks.slow.queue_batches_max=2"]),
        keys(&["engine.batch_lines_max=50"]),
        vec!["sinks.slow.durability=\"memory\"".to_owned(), format!("sinks.slow.when_full=\"{policy}\"")],
    ]);
    let (open, gate) = bounded(0);
    let (fast, slow) = (Gated::open(), Gated::new(gate));
    let run =
        start(&config, &|sink| Ok(Box::new(if sink.name == "fast" { fast.clone() } else { slow.clone() })));
    publisher.wait_subscription(true);
    publisher.send(MESSAGES);
    let now =
        wait_until(&run, "the fast sink has all", |report| report.sinks["fast"].ledger.written == MESSAGES);
    assert_eq!(now.sinks["slow"].ledger.written, 0, "{policy}: its gate is closed");
    drop(open);
    let report = end(run);
    assert!(report.ledger.balanced, "{policy}: {:#?}", report.ledger);
    assert_all_in_order(&fast.lines(), "alpha", MESSAGES, policy);
    let ledger = &report.sinks["slow"].ledger;
    let (written, dropped) = (slow.lines().len() as u64, ledger.dropped["queue_full"]);
    assert_eq!((ledger.points, ledger.written, written + dropped), (MESSAGES, written, MESSAGES));
    // One batch was being written, two waited: the first ones, or the first and the last ones.
    let kept_last = slow.lines().last() == Some(&line_of("alpha", MESSAGES));
    assert_eq!(kept_last, policy == "drop_oldest", "{policy}");
}

#[test]
fn a_sink_that_drops_its_newest_points_does_not_slow_the_other() {
    with_policy("drop_newest");
}

#[test]
fn a_sink_that_drops_its_oldest_points_does_not_slow_the_other() {
    with_policy("drop_oldest");
}

#[test]
fn a_sink_that_blocks_holds_the_encoder_and_loses_nothing() {
    let context = zmq::Context::new();
    let mut publisher = Publisher::bind(&context, "alpha");
    let config = config(&[
        feed("alpha", &publisher.endpoint),
        keys(&["sinks.slow.kind=\"null\"", "sinks.slow.queue_batches_max=2", "engine.batch_lines_max=50"]),
        keys(&["engine.queue_frames_max=100", "engine.burst_max=20"]),
    ]);
    let (open, gate) = bounded(0);
    let slow = Gated::new(gate);
    let run = start(&config, &|_| Ok(Box::new(slow.clone())));
    publisher.wait_subscription(true);
    publisher.send(MESSAGES);
    // 1 batch being written, 2 in the queue, 1 in the encoder's hand, 100 frames in the queue, 1 burst waiting.
    let held = wait_until(&run, "all queues full", |report| report.ledger.queued > 100);
    assert!(held.ledger.received < MESSAGES, "the receiver waits, too: {}", held.ledger.received);
    drop(open);
    wait_until(&run, "all written", |report| report.ledger.written == MESSAGES);
    let report = end(run);
    assert!(report.ledger.balanced && report.ledger.dropped.is_empty());
    assert_all_in_order(&slow.lines(), "alpha", MESSAGES, "block");
}
