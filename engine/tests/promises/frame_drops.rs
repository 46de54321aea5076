//! Promise: frames that are dropped before they are decoded are counted exactly, and the gap that they leave in
//! the sequence is explained by them, not by the network.

use crate::rig::{Gated, Publisher, config, end, feed, keys, line_of, start, wait_until};
use crossbeam_channel::bounded;

const MESSAGES: u64 = 4_000;

/// The field `lost` of a row of `feed_gap`.
fn lost_of(row: &str) -> u64 {
    let (_, rest) = row.split_once(",lost=").unwrap();
    rest.split_once('i').unwrap().0.parse().unwrap()
}

fn with_policy(policy: &str) {
    let context = zmq::Context::new();
    let mut publisher = Publisher::bind(&context, "alpha");
    let config = config(&[
        feed("alpha", &publisher.endpoint),
        keys(&["sinks.held.kind=\"null\"", "sinks.held.queue_batches_max=1", "engine.batch_lines_max=20"]),
        keys(&["engine.queue_frames_max=64", "engine.burst_max=16"]),
        vec![format!("engine.when_full=\"{policy}\"")],
    ]);
    let (open, gate) = bounded(0);
    let held = Gated::new(gate);
    let run = start(&config, &|_| Ok(Box::new(held.clone())));
    publisher.wait_subscription(true);
    // What is missing before the first number that was decoded is no gap.
    publisher.send(1);
    wait_until(&run, "the first decoded", |report| report.ledger.decoded == 1);
    publisher.send(MESSAGES - 1);
    wait_until(&run, "all received", |report| report.ledger.received == MESSAGES);
    drop(open);
    let report = end(run);
    let ledger = &report.ledger;
    assert!(ledger.balanced, "{policy}: {ledger:#?}");
    let dropped = ledger.dropped_frames["queue_full"];
    assert!(dropped > 0, "{policy}: the encoder was held, so frames must have been dropped");
    assert_eq!(ledger.decoded + dropped, MESSAGES, "{policy}");
    let (gaps, lines): (Vec<String>, Vec<String>) =
        held.lines().into_iter().partition(|line| line.starts_with("feed_gap,cause=overload,feed=alpha,"));
    assert_eq!(lines.len() as u64, ledger.decoded, "{policy}");
    assert_eq!(ledger.written, ledger.decoded + gaps.len() as u64, "{policy}");
    let told: u64 = gaps.iter().map(|row| lost_of(row)).sum();
    assert_eq!(Some(told), ledger.lost_overload, "{policy}: {gaps:?}");
    assert_eq!(ledger.lost_before_receive, Some(0), "{policy}: every gap is our own");
    if policy == "drop_oldest" {
        assert_eq!(lines.last(), Some(&line_of("alpha", MESSAGES)), "the newest are kept");
    } else {
        assert_eq!(lines.get(1), Some(&line_of("alpha", 2)), "the oldest are kept");
    }
    // A tail that is dropped leaves no gap behind which a number could be missing.
    if policy == "drop_oldest" {
        assert_eq!(ledger.lost_overload, Some(dropped));
        assert_eq!(ledger.published, Some(MESSAGES));
    }
}

#[test]
fn the_oldest_frames_are_dropped_and_explain_the_gap() {
    with_policy("drop_oldest");
}

#[test]
fn the_newest_frames_are_dropped_and_explain_the_gap() {
    with_policy("drop_newest");
}
