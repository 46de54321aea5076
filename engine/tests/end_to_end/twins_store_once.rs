//! Promise: two engines on the same publishers into the same database store each tick once, whichever came later, and
//! one can take the other's place without a loss.

use crate::influxd::{self, Influxd, Options};
use crate::points::{assert_same, stored};
use crate::program::{Engine, feed, influx};
use crate::publisher::Publisher;
use crate::sent::every_publisher;

/// An engine of its own name and folder.
fn twin(dir: &std::path::Path, name: &str, server: &Influxd, feeds: &[String]) -> Engine {
    let dir = dir.join(name);
    std::fs::create_dir(&dir).unwrap();
    let mut sets = influx(&server.url, "tick");
    sets.extend_from_slice(feeds);
    sets.push(format!("engine.instance={name:?}"));
    sets.push("sinks.influx.durability=\"journal\"".to_owned());
    Engine::start(&dir, &sets)
}

#[test]
fn twins_store_every_feed_once_though_the_second_came_in_the_middle() {
    let Some(server) = influxd::start(Options::default()) else { return };
    server.query(None, "", "CREATE DATABASE tick");
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let (feeds, mut publishers) = every_publisher(&context);
    let one = twin(dir.path(), "one", &server, &feeds);
    let (mut first, mut second) = (0, 0);
    for (_, case, publisher) in &mut publishers {
        publisher.wait_subscriber();
        let half = case.messages.len() / 2;
        case.messages.iter().take(half).for_each(|(json, recv)| publisher.send_numbered(json, *recv, 0));
        first += half as u64;
    }
    one.wait("the first half", |report| report.ledger.received == first);
    let two = twin(dir.path(), "two", &server, &feeds);
    for (_, case, publisher) in &mut publishers {
        publisher.wait_subscriber();
        let half = case.messages.len() / 2;
        case.messages.iter().skip(half).for_each(|(json, recv)| publisher.send_numbered(json, *recv, 0));
        second += (case.messages.len() - half) as u64;
    }
    one.wait("both halves", |report| report.ledger.received == first + second);
    two.wait("the second half", |report| report.ledger.received == second);
    one.stop().assert_exit(0);
    let ended = two.stop();
    ended.assert_exit(0);
    assert_eq!(ended.report.ledger.lost_before_receive, Some(0), "joining late is no loss");
    for (_, case, _) in publishers {
        for (measurement, expected) in case.points {
            assert_same(&stored(&server, "tick", measurement), expected, measurement);
        }
    }
}

#[test]
fn a_rolling_restart_loses_nothing() {
    let Some(server) = influxd::start(Options::default()) else { return };
    server.query(None, "", "CREATE DATABASE tick");
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let feeds = feed("kraken_tick", &publisher.endpoint);
    let one = twin(dir.path(), "one", &server, &feeds);
    publisher.wait_subscriber();
    let send = |publisher: &mut Publisher, count: u64| {
        for _ in 0..count {
            let at = 1_785_641_762_000_000_000 + publisher.seq as i64 * 1_000_000;
            let time = tickline_feeds::payload::rfc3339(tickline_feeds::clock::WallNanos(at), 6);
            let tick = format!(r#"{{"symbol":"BTC/USD","bid":1.5,"ask":1.6,"timestamp":"{time}"}}"#);
            publisher.send_numbered(&tick, at, 0);
        }
    };
    send(&mut publisher, 500);
    let two = twin(dir.path(), "two", &server, &feeds);
    publisher.wait_subscriber();
    // From the first message that the second has received on, the first is no longer needed.
    send(&mut publisher, 1);
    two.wait("a message", |report| report.ledger.received == 1);
    let stopping = std::thread::scope(|scope| {
        let stopping = scope.spawn(|| one.stop());
        send(&mut publisher, 500);
        stopping.join().unwrap()
    });
    stopping.assert_exit(0);
    send(&mut publisher, 500);
    two.wait("the rest", |report| report.ledger.received == 1_001 && report.ledger.in_flight == 0);
    two.stop().assert_exit(0);
    assert_eq!(server.count("tick", "kraken_tick", "bid"), 1_501);
}
