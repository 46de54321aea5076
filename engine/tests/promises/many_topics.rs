//! Promise: a feed may have thousands of topics, and each of them flows again after its publisher was started anew.

use std::collections::BTreeSet;

use crate::rig::{Gated, PATIENCE, config, end, feed, keys, start, wait_until};
use tickline_feeds::socket::publisher;

const TOPICS: usize = 5_000;

fn topic(n: usize) -> String {
    format!("topic-{n:04}")
}

/// Waits until every topic has been subscribed to.
fn wait_for_all(socket: &zmq::Socket) {
    let mut missing: BTreeSet<Vec<u8>> =
        (0..TOPICS).map(|n| [b"\x01", topic(n).as_bytes()].concat()).collect();
    missing.insert(b"\x01alpha".to_vec());
    while !missing.is_empty() {
        missing.remove(&socket.recv_bytes(0).expect("every topic is subscribed to"));
    }
}

fn send_each(socket: &zmq::Socket) {
    for n in 0..TOPICS {
        socket.send_multipart([topic(n).as_bytes(), b"\x81\xa1n\x01"], 0).unwrap();
    }
}

#[test]
fn five_thousand_topics_flow_again_after_their_publisher_was_started_anew() {
    let bind = |endpoint: &str| {
        let context = zmq::Context::new();
        let socket = publisher(&context, 1_000_000, 0).unwrap();
        socket.set_rcvtimeo(PATIENCE.as_millis() as i32).unwrap();
        socket.bind(endpoint).unwrap();
        (socket, context)
    };
    let (first, context) = bind("tcp://127.0.0.1:*");
    let endpoint = first.get_last_endpoint().unwrap().unwrap();
    let topics: Vec<String> = (0..TOPICS).map(topic).collect();
    let config = config(&[
        feed("alpha", &endpoint),
        keys(&["sinks.kept.kind=\"null\""]),
        vec![format!("feeds.alpha.aliases={topics:?}")],
    ]);
    let kept = Gated::open();
    let run = start(&config, &|_| Ok(Box::new(kept.clone())));
    wait_for_all(&first);
    send_each(&first);
    wait_until(&run, "every topic", |report| report.ledger.received == TOPICS as u64);
    // The port is free once the context has ended.
    drop((first, context));
    let (second, _context) = bind(&endpoint);
    wait_for_all(&second);
    send_each(&second);
    wait_until(&run, "every topic again", |report| report.ledger.received == 2 * TOPICS as u64);
    let report = end(run);
    assert_eq!((report.ledger.balanced, report.ledger.written), (true, 2 * TOPICS as u64));
}
