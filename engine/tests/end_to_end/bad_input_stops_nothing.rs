//! Promise: whatever comes over ZeroMQ, the engine goes on: broken payloads are counted by reason and kept in the
//! quarantine, hostile symbols make no extra line, foreign topics stand in no equation, and the good messages
//! in between are stored.

use std::collections::BTreeMap;

use tickline_feeds::capture::Reader;
use tickline_feeds::payload::PayloadWriter;

use crate::influxd::{self, Options};
use crate::points::{Row, stored};
use crate::program::{Engine, feed, influx};
use crate::publisher::{Publisher, numbered, plain};
use crate::sent::SECOND_NS;

fn ticker(symbol: &str, bid: u64) -> String {
    let symbol = serde_json::to_string(symbol).unwrap();
    let time = format!("2026-08-03T12:30:00.{bid:06}Z");
    let element = format!(r#"{{"symbol":{symbol},"bid":{bid},"timestamp":"{time}"}}"#);
    format!(r#"{{"channel":"ticker","type":"update","data":[{element}]}}"#)
}

/// Payloads that cannot be decoded, with the reason.
fn undecodable() -> Vec<(&'static str, Vec<u8>)> {
    let after = |start: &[u8], rest: &[u8]| [start, rest].concat();
    let mut long = PayloadWriter::default();
    long.map(1);
    long.text("symbol");
    long.text(&"x".repeat(300_000));
    vec![
        ("truncated", Vec::new()),
        ("truncated", b"\x82\xa1a".to_vec()),
        // Lengths that lie: map, array and text of 4 GiB.
        ("truncated", b"\xdf\xff\xff\xff\xff".to_vec()),
        ("truncated", b"\xdd\xff\xff\xff\xff".to_vec()),
        ("truncated", b"\x81\xdb\xff\xff\xff\xffx".to_vec()),
        ("malformed", b"\xc1".to_vec()),
        ("malformed", after(&plain(&ticker("BTC/USD", 999)), b"\x01")),
        ("too_deep", after(b"\x81\xa1a", &after(&[0x91; 40], b"\x01"))),
        ("not_a_map", b"\x2a".to_vec()),
        ("not_a_map", b"\xa5hello".to_vec()),
        ("not_a_map", b"\x92\x01\x02".to_vec()),
        ("unknown_shape", b"\x80".to_vec()),
        ("unknown_shape", plain(r#"{"foo":"bar"}"#)),
        ("oversized", long.bytes().to_vec()),
        ("venue_error", plain(r#"{"error":["EService:Unavailable"],"result":{}}"#)),
    ]
}

/// What is kept of a payload that is larger than `message_bytes_max`.
const KEPT_BYTES: usize = 64 * 1024;

/// Payloads in a capture.
fn payloads(file: &std::path::Path) -> Vec<Vec<u8>> {
    let mut reader = Reader::new(std::fs::File::open(file).expect("a quarantine")).unwrap();
    let mut all = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        assert_eq!(record.topic, b"kraken_tick");
        all.push(record.payload.to_vec());
    }
    assert_eq!(reader.left(), 0);
    all
}

#[test]
fn broken_payloads_are_counted_and_kept_and_good_ones_between_them_are_stored() {
    let Some(server) = influxd::start(Options::default()) else { return };
    server.query(None, "", "CREATE DATABASE tick");
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let mut sets = [influx(&server.url, "tick"), feed("kraken_tick", &publisher.endpoint)].concat();
    sets.push("engine.message_bytes_max=\"128KiB\"".to_owned());
    let engine = Engine::start(dir.path(), &sets);
    publisher.wait_subscriber();
    let (mut kept, mut reasons, mut good) = (Vec::new(), BTreeMap::<String, u64>::new(), 0);
    for (reason, payload) in undecodable() {
        kept.push(payload[..payload.len().min(KEPT_BYTES)].to_vec());
        *reasons.entry(format!("undecodable_{reason}")).or_default() += 1;
        publisher.send(payload);
        good += 1;
        publisher.send_numbered(&ticker("BTC/USD", good), SECOND_NS, 0);
    }
    // Cut behind its number, and before it: the second one is also missing in the sequence.
    for bytes in [60, 10] {
        publisher.seq += 1;
        let cut = numbered(&ticker("BTC/USD", 998), publisher.seq, SECOND_NS, 0)[..bytes].to_vec();
        kept.push(cut.clone());
        *reasons.entry("undecodable_truncated".to_owned()).or_default() += 1;
        publisher.send(cut);
    }
    // A topic that only begins like ours, one part without a space, and parts that nobody asked for.
    publisher.send_parts(&[b"kraken_tick_x", b"\x80"]);
    publisher.send_parts(&[b"kraken_ticks"]);
    good += 1;
    publisher.seq += 1;
    let last = numbered(&ticker("BTC/USD", good), publisher.seq, SECOND_NS, 0);
    publisher.send_parts(&[b"kraken_tick", &last, b"more", b""]);

    let bad = kept.len() as u64;
    engine.wait("all settled", |r| r.ledger.received == bad + good && r.ledger.written == good);
    let metrics = engine.get("/metrics");
    assert!(metrics.contains("\ntickline_foreign_topics_total 2\n"), "{metrics}");
    let ended = engine.stop();
    let ledger = &ended.report.ledger;
    assert_eq!((ended.code, ledger.balanced), (Some(0), true), "{ledger:#?} {:#?}", ended.log);
    assert_eq!((ledger.undecodable, ledger.decoded), (bad, good), "{ledger:#?}");
    assert_eq!(ledger.published, Some(publisher.seq));
    assert_eq!(ledger.lost_before_receive, Some(1), "the one whose number could not be read");
    let counters = &ended.report.feeds["kraken_tick"].counters;
    let counted = counters.iter().filter(|(name, count)| name.starts_with("undecodable_") && **count > 0);
    assert_eq!(counted.map(|(name, count)| (name.clone(), *count)).collect::<BTreeMap<_, _>>(), reasons);
    assert_eq!(payloads(&dir.path().join("tickline-data/quarantine.cap")), kept);
    let rows = stored(&server, "tick", "kraken_tick");
    let mut bids: Vec<u64> = rows.iter().map(|row| row["bid"].parse().unwrap()).collect();
    bids.sort_unstable();
    assert_eq!(bids, (1..=good).collect::<Vec<_>>());
}

#[test]
fn hostile_symbols_are_stored_as_they_are_or_left_out_and_never_make_another_line() {
    let Some(server) = influxd::start(Options::default()) else { return };
    server.query(None, "", "CREATE DATABASE tick");
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let sets = [influx(&server.url, "tick"), feed("kraken_tick", &publisher.endpoint)].concat();
    let engine = Engine::start(dir.path(), &sets);
    publisher.wait_subscriber();
    let longest = format!("{}/USD", "L".repeat(252));
    let stored_as_sent = [
        "a,b/USD",
        "a=b/U=D",
        "a b/U D",
        "\"q\"/USD",
        "\u{1f980}/USD",
        "back\\slash/USD",
        "#c/USD",
        &longest,
    ];
    let injected = "x bid=1 1\nkraken_tick,pair=evil bid";
    let left_out = [
        "new\nline/USD",
        injected,
        "nul\0/USD",
        "tail/USD\\",
        "tail\\/USD",
        "",
        &format!("L{longest}"),
        &"x".repeat(65_536),
    ];
    let mut expected = Vec::new();
    for (n, symbol) in (1..).zip(stored_as_sent.iter().chain(&left_out)) {
        publisher.send_numbered(&ticker(symbol, n), SECOND_NS, 0);
        if n <= stored_as_sent.len() as u64 {
            expected.push(((*symbol).to_owned(), n.to_string()));
        }
    }
    let (good, bad) = (stored_as_sent.len() as u64, left_out.len() as u64);
    engine.wait("all settled", |r| r.ledger.received == good + bad && r.ledger.written == good);
    let ended = engine.stop();
    let ledger = &ended.report.ledger;
    assert_eq!((ended.code, ledger.balanced), (Some(0), true), "{ledger:#?} {:#?}", ended.log);
    assert_eq!((ledger.candidates, ledger.points_made, ledger.bad_points), (good + bad, good, bad));
    let found = stored(&server, "tick", "kraken_tick");
    let mut found: Vec<_> = found.iter().map(|row| (row["pair"].clone(), row["bid"].clone())).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// A ticker whose bid is the text NaN, whose ask and volume are floats that are not finite, and whose vwap is a
/// map.
fn without_numbers() -> Vec<u8> {
    let mut out = PayloadWriter::default();
    out.map(7);
    for (key, value) in
        [("symbol", "BTC/USD"), ("timestamp", "2026-08-03T12:30:00Z"), ("bid", "NaN"), ("last", "5.5")]
    {
        out.text(key);
        out.text(value);
    }
    for (key, value) in [("ask", f64::NAN), ("volume", f64::INFINITY)] {
        out.text(key);
        out.raw(&[0xcb]);
        out.raw(&value.to_be_bytes());
    }
    out.text("vwap");
    out.map(0);
    out.bytes().to_vec()
}

#[test]
fn numbers_that_are_none_are_left_out_and_counted_and_their_point_is_stored() {
    let Some(server) = influxd::start(Options::default()) else { return };
    server.query(None, "", "CREATE DATABASE tick");
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut publisher = Publisher::bind(&context, "kraken_tick");
    let sets = [influx(&server.url, "tick"), feed("kraken_tick", &publisher.endpoint)].concat();
    let engine = Engine::start(dir.path(), &sets);
    publisher.wait_subscriber();
    publisher.send(without_numbers());
    engine.wait("written", |report| report.ledger.written == 1);
    let ended = engine.stop();
    ended.assert_clean();
    assert_eq!(ended.report.feeds["kraken_tick"].counters["bad_field"], 4);
    let rows: Vec<Row> = stored(&server, "tick", "kraken_tick");
    let fields: Vec<&str> = rows[0].keys().map(String::as_str).collect();
    let expected = ["base", "exchange", "last_trade_price", "pair", "quote", "recv_ns", "time"];
    assert_eq!((fields.as_slice(), rows.len()), (expected.as_slice(), 1));
}
