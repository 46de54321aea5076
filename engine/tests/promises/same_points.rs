//! Promise: however frames are received and encoded, the same points reach the sink, in the order of each feed,
//! and the ledger balances.

use crate::rig::{Gated, Publisher, assert_all_in_order, config, end, feed, keys, start, wait_until};

const MESSAGES: u64 = 3_000;

fn points(receive: &str, encode: &str) -> Vec<String> {
    let context = zmq::Context::new();
    let mut publishers = ["alpha", "beta"].map(|topic| Publisher::bind(&context, topic));
    let engine = [format!("engine.receive=\"{receive}\""), format!("engine.encode=\"{encode}\"")];
    let config = config(&[
        feed("alpha", &publishers[0].endpoint),
        feed("beta", &publishers[1].endpoint),
        engine.into(),
        keys(&[
            "sinks.kept.kind=\"null\"",
            "engine.encoders=2",
            "engine.burst_max=17",
            "engine.batch_lines_max=100",
        ]),
    ]);
    let sink = Gated::open();
    let run = start(&config, &|_| Ok(Box::new(sink.clone())));
    for publisher in &mut publishers {
        publisher.wait_subscription(true);
    }
    for _ in 0..MESSAGES / 100 {
        publishers.iter_mut().for_each(|publisher| publisher.send(100));
    }
    wait_until(&run, "all received", |report| report.ledger.received == 2 * MESSAGES);
    let report = end(run);
    assert!(report.ledger.balanced, "{receive} {encode}: {:#?}", report.ledger);
    let ledger = &report.ledger;
    assert_eq!((ledger.published, ledger.sequenced), (Some(2 * MESSAGES), Some(2 * MESSAGES)));
    assert_eq!((ledger.written, ledger.queued, ledger.in_flight), (2 * MESSAGES, 0, 0));
    assert_eq!(report.accepted["alpha"]["alpha"]["7"], MESSAGES);
    sink.lines()
}

fn of_feed<'a>(lines: &'a [String], feed: &str) -> Vec<&'a str> {
    lines.iter().map(String::as_str).filter(|line| line.starts_with(feed)).collect()
}

#[test]
fn every_way_to_receive_and_encode_writes_the_same_points_in_the_order_of_each_feed() {
    for (receive, encode) in
        [("blocking", "thread"), ("blocking", "inline"), ("multiplexed", "thread"), ("multiplexed", "inline")]
    {
        let lines = points(receive, encode);
        for feed in ["alpha", "beta"] {
            assert_all_in_order(&of_feed(&lines, feed), feed, MESSAGES, &format!("{receive} {encode}"));
        }
    }
}
