//! Promise: every hole is a row with its cause and span, and `tickline audit` finds what the database does not hold.

use std::collections::BTreeSet;
use std::process::Command;

use tickline_feeds::schema::OWN_MEASUREMENTS;

use crate::influxd::{self, Influxd, Options};
use crate::points::{Row, stored, types};
use crate::program::{Engine, feed, influx};
use crate::publisher::Publisher;

const MINUTE: i64 = 60_000_000_000;
/// A minute's beginning.
const BEGIN_NS: i64 = 1_785_641_760_000_000_000;

/// Sends `count` ticks, half a second of venue time apart.
fn send(publisher: &mut Publisher, count: u64) {
    for _ in 0..count {
        let at = BEGIN_NS + publisher.seq as i64 * 500_000_000;
        let time = tickline_feeds::payload::rfc3339(tickline_feeds::clock::WallNanos(at), 6);
        let tick = format!(r#"{{"symbol":"BTC/USD","bid":1.5,"ask":1.6,"timestamp":"{time}"}}"#);
        publisher.send_numbered(&tick, at, 0);
    }
}

fn column(rows: &[Row], of: &str) -> Vec<String> {
    rows.iter().map(|row| row.get(of).cloned().unwrap_or_default()).collect()
}

/// What `tickline audit` says of the minutes of the test, and its exit code.
fn audit(sets: &[String]) -> (String, Option<i32>) {
    let time = |ns| tickline_feeds::payload::rfc3339(tickline_feeds::clock::WallNanos(ns), 0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickline"));
    command.args(["audit", "--from", &time(BEGIN_NS - MINUTE), "--to", &time(BEGIN_NS + 10 * MINUTE)]);
    command.args(sets.iter().flat_map(|set| ["--set", set]));
    let output = command.output().expect("it runs");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).expect("text"), output.status.code())
}

/// What the engine wrote itself has the fields that the schema names, and nothing else.
fn assert_in_schema(server: &Influxd) {
    for own in OWN_MEASUREMENTS {
        let known: BTreeSet<&str> = own.fields.iter().map(|field| field.name).collect();
        let stored: BTreeSet<String> = types(server, "tick", own.name).into_keys().collect();
        assert!(!stored.is_empty() && stored.iter().all(|name| known.contains(name.as_str())), "{stored:?}");
    }
}

#[test]
fn holes_have_their_cause_and_span_and_an_audit_finds_a_point_that_was_deleted() {
    let Some(server) = influxd::start(Options::default()) else { return };
    server.query(None, "", "CREATE DATABASE tick");
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let mut sets = [influx(&server.url, "tick"), feed("kraken_tick", &publisher.endpoint)].concat();
    sets.push("engine.instance=\"one\"".to_owned());
    sets.push("engine.ledger_every=\"1s\"".to_owned());
    let engine = Engine::start(dir.path(), &sets);
    publisher.wait_subscriber();
    send(&mut publisher, 100);
    publisher.seq += 5;
    send(&mut publisher, 100);
    publisher.send_numbered(r#"{"_event":"resync","scope":"BTC/USD","detail":"checksum"}"#, BEGIN_NS, 0);
    let report =
        engine.wait("the event", |report| report.ledger.control == 1 && report.ledger.in_flight == 0);
    let source = &report.feeds["kraken_tick"].sources;
    engine.wait("its standing", |report| report.feeds["kraken_tick"].sources.iter().any(|s| s.gap_max == 5));
    assert!(source.len() <= 1, "{source:?}");
    engine.stop().assert_exit(0);
    // Nobody is there.
    publisher.wait_gone();
    publisher.seq += 7;
    let engine = Engine::start(dir.path(), &sets);
    publisher.wait_subscriber();
    send(&mut publisher, 50);
    engine.wait("all written", |report| {
        report.feeds["kraken_tick"].points == 50 && report.ledger.in_flight == 0
    });
    engine.stop().assert_exit(0);

    let gaps = stored(&server, "tick", "feed_gap");
    assert_eq!(column(&gaps, "cause"), ["engine_down", "zmq"], "{gaps:?}");
    assert_eq!(column(&gaps, "lost"), ["7", "5"]);
    assert_eq!(column(&gaps, "from_seq"), ["207", "101"]);
    assert_eq!(column(&gaps, "to_seq"), ["213", "105"]);
    for row in &gaps {
        let time = |of: &str| row[of].parse::<i64>().expect("a time");
        assert!(time("from_ns") <= time("to_ns") && row["instance"] == "one", "{row:?}");
    }
    let events = stored(&server, "tick", "feed_event");
    assert_eq!(column(&events, "kind"), ["resync"], "{events:?}");
    assert_eq!(column(&events, "scope"), ["BTC/USD"]);

    assert_in_schema(&server);

    let (said, code) = audit(&sets);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("kraken_tick made by one: 250 points in 3 minutes, 250 stored\n"), "{said}");
    assert!(said.ends_with("nothing is missing\n"), "{said}");
    // What a killed engine had made and not yet written down is more than the rows say, never less.
    let engine = Engine::start(dir.path(), &sets);
    publisher.wait_subscriber();
    send(&mut publisher, 40);
    engine.wait("all written", |report| {
        report.feeds["kraken_tick"].points == 40 && report.ledger.in_flight == 0
    });
    engine.kill();
    publisher.wait_gone();
    let engine = Engine::start(dir.path(), &sets);
    publisher.wait_subscriber();
    send(&mut publisher, 40);
    engine.wait("all written", |report| {
        report.feeds["kraken_tick"].points == 40 && report.ledger.in_flight == 0
    });
    engine.stop().assert_exit(0);
    let (said, code) = audit(&sets);
    assert_eq!(code, Some(0), "after a kill: {said}");

    let at = BEGIN_NS + 70 * 500_000_000;
    server.query(None, "tick", &format!("DELETE FROM \"kraken_tick\" WHERE time = {at}"));
    let (said, code) = audit(&sets);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains(" stored, 1 missing in 1 minutes"), "{said}");
}
