//! Promise: points of one series and one venue time are all stored, in order, however they are packed, with
//! `_tie` from a publisher of ours and without from one that knows nothing of it; and the same messages written
//! again change nothing.

use std::ops::RangeInclusive;

use tickline_feeds::capture::{self, Record};
use tickline_feeds::clock::WallNanos;

use crate::influxd::{self, Influxd, Options};
use crate::points::dump;
use crate::program::{Engine, feed, influx, report, tickline};
use crate::publisher::{Publisher, bundle, numbered, plain};
use crate::sent::SECOND_NS;

const RUNNER_TICKS: u64 = 10_000;
const PAIR_TICKS: u64 = 1_000;

/// Ways to pack ticks; each has a market or a pair of its own.
const WAYS: usize = 6;

/// The message of several ticks of one venue time: way, ticks, and what stands in front of its keys.
type MessageOf = dyn Fn(usize, RangeInclusive<u64>, &str) -> String;

fn send(publisher: &mut Publisher, ticks: u64, of: &MessageOf) {
    let recv = SECOND_NS + 1_000_000;
    let tie = |n: u64| format!("\"_tie\":{},", n - 1);
    for way in 0..WAYS {
        let each = 1..=ticks;
        let one = |n: u64, extra: &str| of(way, n..=n, extra);
        match way {
            // From a publisher of ours: one message, a message each, and one bundle.
            0 => publisher.send_numbered(&of(way, each, ""), recv, 0),
            1 => each.for_each(|n| publisher.send_numbered(&one(n, ""), recv, n as u32 - 1)),
            2 => {
                publisher.seq += 1;
                let first = numbered(&one(1, ""), publisher.seq, recv, 0);
                let rest = (2..=ticks).map(|n| plain(&one(n, &tie(n))));
                publisher.send(bundle(&std::iter::once(first).chain(rest).collect::<Vec<_>>()));
            }
            // The same from one that knows no `_v`.
            3 => publisher.send(plain(&of(way, each, ""))),
            4 => each.for_each(|n| publisher.send(plain(&one(n, "")))),
            _ => publisher.send(bundle(&each.map(|n| plain(&one(n, ""))).collect::<Vec<_>>())),
        }
    }
}

/// Ticks of runner 7 of market `1.WAY`: its volume counts them.
fn betfair(way: usize, ticks: RangeInclusive<u64>, extra: &str) -> String {
    let changes: Vec<String> = ticks.map(|n| format!(r#"{{"id":7,"tv":{n}}}"#)).collect();
    let (pt, changes) = (SECOND_NS / 1_000_000, changes.join(","));
    format!(r#"{{{extra}"op":"mcm","pt":{pt},"mc":[{{"id":"1.{way}","rc":[{changes}]}}]}}"#)
}

/// Tickers of pair `PWAY/USD`: the bid counts them.
fn kraken(way: usize, ticks: RangeInclusive<u64>, extra: &str) -> String {
    let tickers: Vec<String> = ticks
        .map(|n| format!(r#"{{"symbol":"P{way}/USD","bid":{n},"timestamp":"2026-08-03T12:30:00.000000Z"}}"#))
        .collect();
    format!(r#"{{{extra}"channel":"ticker","type":"update","data":[{}]}}"#, tickers.join(","))
}

/// One series holds tick `n` at the venue's time plus `n - 1` ns, for every `n`.
fn assert_in_order(server: &Influxd, (measurement, field, tag, value): (&str, &str, &str, &str), ticks: u64) {
    let select = format!("SELECT {field} FROM {measurement} WHERE {tag} = '{value}'");
    let answer = server.query(None, "tick", &select);
    let rows = answer["results"][0]["series"][0]["values"].as_array().cloned().unwrap_or_default();
    let found = rows.iter().map(|row| (row[0].as_i64().unwrap(), row[1].as_f64().unwrap() as u64));
    let differs = found.zip(1..).find(|(row, n)| *row != (SECOND_NS + *n as i64 - 1, *n));
    assert_eq!(differs, None, "{value}: time and number, and the place where they stand");
    assert_eq!(rows.len() as u64, ticks, "{value}");
}

/// Everything that was sent, as a capture.
fn capture_of(publishers: &[(&str, &Publisher)]) -> Vec<u8> {
    let mut file = Vec::new();
    capture::begin(&mut file);
    for (topic, publisher) in publishers {
        for (n, payload) in publisher.sent.iter().enumerate() {
            let recv = WallNanos(SECOND_NS + 2_000_000 + n as i64);
            capture::append(&mut file, &Record { recv, topic: topic.as_bytes(), payload }).unwrap();
        }
    }
    file
}

#[test]
fn ticks_of_one_time_are_all_stored_in_order_and_writing_them_again_changes_nothing() {
    let Some(server) = influxd::start(Options::default()) else { return };
    server.query(None, "", "CREATE DATABASE tick");
    let (dir, context) = (tempfile::tempdir().unwrap(), zmq::Context::new());
    let mut runner = Publisher::bind(&context, "betfair_stream");
    let mut pair = Publisher::bind(&context, "kraken_tick");
    let sets = [
        influx(&server.url, "tick"),
        feed("betfair_stream", &runner.endpoint),
        feed("kraken_tick", &pair.endpoint),
    ]
    .concat();
    let engine = Engine::start(dir.path(), &sets);
    let feeds: [(&mut Publisher, u64, &MessageOf); 2] =
        [(&mut runner, RUNNER_TICKS, &betfair), (&mut pair, PAIR_TICKS, &kraken)];
    for (publisher, ticks, of) in feeds {
        publisher.wait_subscriber();
        send(publisher, ticks, of);
    }
    let points = WAYS as u64 * (RUNNER_TICKS + PAIR_TICKS);
    engine.wait("all written", |report| report.ledger.written == points);
    let live = engine.stop();
    live.assert_clean();
    for feed in live.report.feeds.values() {
        assert_eq!((feed.counters["timestamp_collisions"], feed.counters["timestamp_overflow"]), (0, 0));
    }
    let assert_stored = || {
        for way in 0..WAYS {
            let (market, pair) = (format!("1.{way}"), format!("P{way}/USD"));
            let of_runner = ("betfair_stream", "matched_amount", "market_id", market.as_str());
            assert_in_order(&server, of_runner, RUNNER_TICKS);
            assert_in_order(&server, ("kraken_tick", "bid", "pair", &pair), PAIR_TICKS);
        }
    };
    assert_stored();

    let file = capture_of(&[("betfair_stream", &runner), ("kraken_tick", &pair)]);
    std::fs::write(dir.path().join("sent.cap"), file).unwrap();
    let replay = || {
        let output = tickline(dir.path(), &["replay", "sent.cap", "--json"], &sets);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let ledger = report(&output.stdout).ledger;
        assert_eq!((ledger.balanced, ledger.written), (true, points));
        assert_stored();
        dump(&server, "tick")
    };
    let (once, twice) = (replay(), replay());
    assert!(once == twice, "the second replay has changed what is stored");
}
