//! Promise: bars of what is stored are made, exactly, again when points come late, and after an outage as if there had
//! been none; one that overlaps a hole says so.

use std::collections::BTreeMap;

use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::rfc3339;

use crate::influxd::{self, Influxd, Options};
use crate::program::{Engine, feed, influx, tickline, wait_for};
use crate::publisher::Publisher;
use crate::server_outage_loses_nothing::killed;

/// A whole hour, 2026-08-02 03:00 UTC.
const HOUR_NS: i64 = 1_785_639_600_000_000_000;
const MINUTE_NS: i64 = 60_000_000_000;

/// Time, pair, bid and ask of quotes over 13 minutes with a pause: prices of a little generator, in hundredths.
fn quotes() -> Vec<(i64, &'static str, i64, i64)> {
    let mut state = 17_u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let mut all = Vec::new();
    for n in 0..2_000_i64 {
        let at = HOUR_NS + n * 13 * MINUTE_NS / 2_000;
        // Minutes 7 and 8 are silent.
        if !(7..9).contains(&((at - HOUR_NS) / MINUTE_NS)) {
            let bid = 100_000 + next(5_000) as i64;
            all.push((at, ["BTC/USD", "ETH/EUR"][next(2) as usize], bid, bid + 1 + next(50) as i64));
        }
    }
    all
}

fn send(publisher: &mut Publisher, (at, pair, bid, ask): (i64, &str, i64, i64)) {
    let price = |cents: i64| format!("{}.{:02}", cents / 100, cents % 100);
    let time = rfc3339(WallNanos(at), 6);
    let json =
        format!(r#"{{"symbol":"{pair}","bid":{},"ask":{},"timestamp":"{time}"}}"#, price(bid), price(ask));
    publisher.send_numbered(&json, at, 0);
}

type Bar = BTreeMap<&'static str, f64>;

/// By interval, pair and begin.
type Bars = BTreeMap<(String, String, i64), Bar>;

/// The bars, by interval, pair and begin, made here from what was sent.
fn expected(quotes: &[(i64, &str, i64, i64)]) -> Bars {
    let mut bars: Bars = BTreeMap::new();
    let mut sorted = quotes.to_vec();
    sorted.sort_by_key(|quote| quote.0);
    for (at, pair, bid, ask) in sorted {
        for (name, length_ns) in [("1m", MINUTE_NS), ("5m", 5 * MINUTE_NS), ("1h", 60 * MINUTE_NS)] {
            let bar =
                bars.entry((name.to_owned(), pair.to_owned(), at - at.rem_euclid(length_ns))).or_default();
            let names = [
                ["bid_open", "bid_high", "bid_low", "bid_close"],
                ["ask_open", "ask_high", "ask_low", "ask_close"],
            ];
            for (price, [open, high, low, close]) in [bid, ask].into_iter().zip(names) {
                let price = price as f64 / 100.0;
                bar.entry(open).or_insert(price);
                let highest = bar.entry(high).or_insert(price);
                *highest = highest.max(price);
                let lowest = bar.entry(low).or_insert(price);
                *lowest = lowest.min(price);
                bar.insert(close, price);
            }
            *bar.entry("ticks").or_default() += 1.0;
        }
    }
    bars
}

/// What is stored: the same, and whether each overlaps a hole.
fn stored(server: &Influxd) -> (Bars, Vec<(String, i64)>) {
    let answer =
        server.query(None, "tick", "SELECT * FROM long_term.kraken_tick_bars GROUP BY pair, interval");
    let (mut bars, mut holes) = (BTreeMap::new(), Vec::new());
    for series in answer["results"][0]["series"].as_array().into_iter().flatten() {
        let tag = |name: &str| series["tags"][name].as_str().unwrap().to_owned();
        let columns: Vec<&str> =
            series["columns"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        for row in series["values"].as_array().unwrap() {
            let value = |name: &str| &row[columns.iter().position(|column| *column == name).unwrap()];
            let names = [
                "bid_open",
                "bid_high",
                "bid_low",
                "bid_close",
                "ask_open",
                "ask_high",
                "ask_low",
                "ask_close",
                "ticks",
            ];
            let bar: Bar = names.map(|name| (name, value(name).as_f64().unwrap())).into();
            let at = row[0].as_i64().unwrap();
            if value("gap").as_bool().unwrap() {
                holes.push((tag("interval"), at));
            }
            bars.insert((tag("interval"), tag("pair"), at), bar);
        }
    }
    (bars, holes)
}

fn sets(url: &str, endpoint: &str) -> Vec<String> {
    let mut sets = [influx(url, "tick"), feed("kraken_tick", endpoint)].concat();
    sets.push("rollups.policy=\"long_term\"".into());
    sets.push("rollups.settle=\"0s\"".into());
    // What is told is older than a month's retention.
    sets.push("sinks.influx.retention_policy=\"archive\"".into());
    sets
}

/// A server with its policies and an engine of its own.
fn start(publisher: &Publisher) -> Option<(Influxd, tempfile::TempDir, Engine)> {
    let server = influxd::start(Options::default())?;
    let dir = tempfile::tempdir().unwrap();
    let sets = sets(&server.url, &publisher.endpoint);
    let applied = tickline(dir.path(), &["db", "apply"], &sets);
    assert_eq!(applied.status.code(), Some(0), "{applied:?}");
    let engine = Engine::start(dir.path(), &sets);
    Some((server, dir, engine))
}

/// Waits until the bars are as they should be.
fn wait_bars(server: &Influxd, quotes: &[(i64, &str, i64, i64)]) -> Vec<(String, i64)> {
    let wanted = expected(quotes);
    wait_for("the bars", || {
        let (bars, holes) = stored(server);
        (bars == wanted).then_some(holes)
    })
}

#[test]
fn bars_are_those_of_what_was_sent_again_when_points_come_late_and_after_an_outage() {
    let publisher = &mut Publisher::bind(&zmq::Context::new(), "kraken_tick");
    let Some((server, _dir, engine)) = start(publisher) else { return };
    publisher.wait_subscriber();
    let Some((mut other, _other_dir, other_engine)) = start(publisher) else { return };
    publisher.wait_subscriber();
    let mut quotes = quotes();
    // One database is away for all but the first minutes.
    let (before, rest) = quotes.split_at(300);
    before.iter().for_each(|quote| send(publisher, *quote));
    let written = |engine: &Engine, count: u64| {
        engine.wait("written", |report| report.ledger.written >= count);
    };
    written(&other_engine, 300);
    killed(&mut other, || {
        rest.iter().for_each(|quote| send(publisher, *quote));
        other_engine.wait("they wait", |report| report.ledger.points >= quotes.len() as u64);
    });
    [&engine, &other_engine].into_iter().for_each(|engine| written(engine, quotes.len() as u64));
    assert_eq!(wait_bars(&server, &quotes), [], "no hole");
    assert_eq!(wait_bars(&other, &quotes), [], "no hole");
    // A point of the third minute that is higher than all, hours too late.
    let late = (HOUR_NS + 2 * MINUTE_NS + 500_000, "BTC/USD", 900_000, 900_001);
    quotes.push(late);
    send(publisher, late);
    wait_bars(&server, &quotes);
    engine.wait_metric("tickline_rollup_pending{sink=\"influx\"}", 0.0);
    // A hole that lies in minutes 7 to 9, of which the last has ticks; found when a bar is made again.
    let (from, to) = (HOUR_NS + 7 * MINUTE_NS + 1, HOUR_NS + 9 * MINUTE_NS);
    let hole = format!(
        "feed_gap,cause=zmq,feed=kraken_tick,instance=x from_ns={from}i,to_ns={to}i,lost=3i {from}\n"
    );
    let client = reqwest::blocking::Client::new();
    let address = format!("{}/write?db=tick&rp=archive", server.url);
    assert!(client.post(address).body(hole).send().unwrap().status().is_success());
    let late = (HOUR_NS + 9 * MINUTE_NS + 500_000, "ETH/EUR", 50_000, 50_001);
    quotes.push(late);
    send(publisher, late);
    let mut holes = wait_bars(&server, &quotes);
    holes.sort();
    holes.dedup();
    let minute = |n: i64| HOUR_NS + n * MINUTE_NS;
    let expected =
        [("1h", minute(0)), ("1m", minute(9)), ("5m", minute(5))].map(|(name, at)| (name.to_owned(), at));
    assert_eq!(holes, expected);
    engine.stop().assert_clean();
    other_engine.stop().assert_clean();
}

#[test]
fn intervals_that_a_kill_left_without_bars_get_them_after_the_next_start() {
    let publisher = &mut Publisher::bind(&zmq::Context::new(), "kraken_tick");
    let Some(server) = influxd::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut sets = sets(&server.url, &publisher.endpoint);
    assert_eq!(tickline(dir.path(), &["db", "apply"], &sets).status.code(), Some(0));
    // Bars are made an hour after their end: not by the first engine.
    sets.push("rollups.settle=\"1h\"".into());
    let now_ns = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as i64;
    let at = now_ns - now_ns.rem_euclid(60 * MINUTE_NS) - 60 * MINUTE_NS;
    let engine = Engine::start(dir.path(), &sets);
    publisher.wait_subscriber();
    let quotes: Vec<_> = (0..100).map(|n| (at + n * 1_000_000_000, "BTC/USD", 100 + n, 200 + n)).collect();
    quotes.iter().for_each(|quote| send(publisher, *quote));
    engine.wait("written", |report| report.ledger.written >= 100);
    engine.kill();
    assert!(stored(&server).0.is_empty());
    sets.pop();
    let engine = Engine::start(dir.path(), &sets);
    wait_bars(&server, &quotes);
    engine.stop().assert_clean();
}

#[test]
fn marked_ticks_come_back_while_the_engine_runs_and_a_database_that_takes_none_is_told() {
    let publisher = &mut Publisher::bind(&zmq::Context::new(), "kraken_tick");
    let Some(server) = influxd::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut sets = sets(&server.url, &publisher.endpoint);
    assert_eq!(tickline(dir.path(), &["db", "apply"], &sets).status.code(), Some(0));
    // What waits on the engine's disk is not in the canary's way.
    sets.extend(["canary.every=\"10s\"".to_owned(), "sinks.influx.durability=\"journal\"".to_owned()]);
    let engine = Engine::start(dir.path(), &sets);
    engine.wait_metric("tickline_canary_ok", 1.0);
    let left = crate::points::dump(&server, "tick");
    assert!(!left.contains_key("kraken_tick") || left["kraken_tick"].is_empty(), "{left:?}");
    server.query(None, "tick", "DROP DATABASE tick");
    let now_ns = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as i64;
    send(publisher, (now_ns, "BTC/USD", 100, 200));
    let part = engine.wait("it is told", |report| {
        report
            .parts
            .iter()
            .any(|part| part.name == "canary" && part.cause.contains("kraken_tick into influx"))
    });
    assert!(part.parts.iter().any(|part| part.name == "canary" && part.next.contains("tickline validate")));
    engine.stop();
}
