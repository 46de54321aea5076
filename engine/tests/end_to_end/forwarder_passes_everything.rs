//! Promise: an engine behind a forwarder gets what it would get without it, and one that comes late also the last values, which
//! are neither loss nor points twice.

use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::{ControlKey, PayloadWriter};

use crate::forwarder::{Forward, kept, quotes, send_quote};
use crate::program::{Engine, wait_for};
use crate::publisher::{Publisher, SRC};

const PAIRS: [&str; 3] = ["BTC/USD", "ETH/USD", "DOGE/USD"];

#[test]
fn an_engine_behind_a_forwarder_gets_every_message_heartbeats_and_the_end() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let args = ["--from", &publisher.endpoint, "--out", "tcp://127.0.0.1:*", "--http", "127.0.0.1:0"];
    let mut forward = Forward::start(dir.path(), &args);
    let engine = Engine::start(dir.path(), &quotes("kraken_tick", &forward.output()));
    publisher.wait_subscriber();
    for n in 0..1_000 {
        send_quote(&mut publisher, PAIRS[n % 3], 1);
    }
    for key in [ControlKey::Heartbeat, ControlKey::End] {
        let mut out = PayloadWriter::default();
        out.control(key, SRC, publisher.seq, WallNanos(1));
        publisher.send(out.bytes().to_vec());
    }
    engine.wait("everything", |report| report.ledger.received == 1_002 && report.ledger.in_flight == 0);
    // It says the same while it runs; its numbers are published once a second.
    let seen = |text: &str| wait_for(text, || forward.get("/metrics").contains(text).then_some(()));
    seen("tickline_forward_messages_total 1002\n");
    seen("tickline_forward_balanced 1\n");
    let status: serde_json::Value = serde_json::from_str(&forward.get("/status")).unwrap();
    assert_eq!((&status["messages"], forward.get("/health").as_str()), (&1_002.into(), "ok\n"));
    let report = forward.stop();
    let topic = &report["topics"]["kraken_tick"];
    assert_eq!((&topic["messages"], &topic["overflows"]), (&1_002.into(), &0.into()));
    let bytes: usize = publisher.sent.iter().map(|payload| payload.len() + "kraken_tick".len()).sum();
    assert_eq!(topic["bytes"], bytes);
    // Its publisher is gone, which is no loss.
    let ended = engine.stop();
    ended.assert_clean();
    let ledger = &ended.report.ledger;
    assert_eq!((ledger.published, ledger.control, ledger.written), (Some(1_000), 2, 1_000));
}

#[test]
fn who_comes_late_stores_the_last_values_at_once_and_they_are_no_loss_and_no_point_twice() {
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let args = ["--cache", "--from", &publisher.endpoint, "--out", "tcp://127.0.0.1:*"];
    let mut forward = Forward::start(dir.path(), &args);
    publisher.wait_subscription("");
    let keys = quotes("kraken_tick", &forward.output());
    let [early_dir, late_dir] = ["early", "late"].map(|name| dir.path().join(name));
    [&early_dir, &late_dir].into_iter().for_each(|dir| std::fs::create_dir(dir).unwrap());
    let early = Engine::start(&early_dir, &keys);
    publisher.wait_subscriber();
    // The last of ETH/USD is long ago when the second engine comes.
    send_quote(&mut publisher, "ETH/USD", 1);
    for n in 0..299 {
        send_quote(&mut publisher, PAIRS[2 * (n % 2)], 1);
    }
    early.wait("the first part", |report| report.ledger.received == 300);
    let late = Engine::start(&late_dir, &keys);
    late.wait("the last values", |report| report.ledger.points_made == 3 && report.ledger.in_flight == 0);
    early.wait("them, too", |report| report.ledger.received == 303);
    for n in 0..30 {
        send_quote(&mut publisher, PAIRS[n % 3], 1);
    }
    early.wait("the rest", |report| report.ledger.received == 333);
    late.wait("the rest", |report| report.ledger.received == 33);

    let ended = late.stop();
    ended.assert_exit(0);
    let ledger = &ended.report.ledger;
    assert_eq!((ledger.published, ledger.sequenced, ledger.duplicate), (Some(30), Some(33), Some(3)));
    assert_eq!((ledger.lost_before_receive, ledger.points_made, ledger.balanced), (Some(0), 33, true));
    let latency = &ended.report.latency_ns["publish_to_receive"];
    assert_eq!(latency.count, 30, "a last value is not late");
    let ended = early.stop();
    ended.assert_exit(0);
    let ledger = &ended.report.ledger;
    assert_eq!((ledger.published, ledger.sequenced, ledger.duplicate), (Some(330), Some(333), Some(3)));
    assert_eq!((ledger.control, ledger.points_made, ledger.balanced), (3, 330, true), "it had them");

    let lines = |dir: &std::path::Path| std::fs::read_to_string(dir.join("kept.lp")).unwrap();
    let (all, last) = (lines(&early_dir), lines(&late_dir));
    assert!(last.lines().all(|line| all.contains(line)), "the same points byte for byte");
    assert_eq!(
        kept(&late_dir)[..3],
        [("ETH/USD", 1), ("DOGE/USD", 299), ("BTC/USD", 300)].map(|(p, n)| (p.into(), n))
    );
    let report = forward.stop();
    assert_eq!((&report["cache"]["entries"], &report["cache"]["replayed"]), (&3.into(), &3.into()));
}
