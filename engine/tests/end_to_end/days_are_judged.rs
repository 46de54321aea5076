//! Promise: of a day with twelve defects, each of another kind, `tickline quality` names exactly those.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::influxd::{self, Options};
use crate::program::{influx, tickline};

const MINUTE_NS: i64 = 60_000_000_000;

/// A quote a minute of yesterday, each received 20 ms later, but for ten defects.
fn quotes(midnight_ns: i64) -> String {
    let mut lines = String::new();
    let mut quote = |at_ns: i64, bid: f64, ask: f64, recv_ns: i64, more: &str| {
        lines.push_str(&format!(
            "kraken_tick,pair=BTC/USD bid={bid},ask={ask},recv_ns={recv_ns}i{more} {at_ns}\n"
        ));
    };
    for minute in (0..1_440).filter(|minute| !(600..720).contains(minute)) {
        let at_ns = midnight_ns + minute * MINUTE_NS;
        let recv_ns = at_ns + 20_000_000;
        // From 800 on the price stands half as high again: one jump.
        let bid = if minute < 800 { 100.0 } else { 150.0 };
        match minute {
            100 => quote(at_ns, bid + 2.0, bid + 1.0, recv_ns, ""),
            150 => quote(at_ns, bid, bid, recv_ns, ""),
            200 => quote(at_ns, 0.0, bid + 1.0, recv_ns, ""),
            250 => quote(at_ns, bid, -1.0, recv_ns, ""),
            300 => quote(at_ns, bid, bid + 1.0, at_ns + 10_000_000_000, ""),
            350 => {
                // Two within 10 ms that came the other way round.
                quote(at_ns, bid, bid + 1.0, at_ns + 200_000_000, "");
                quote(at_ns + 10_000_000, bid, bid + 1.0, at_ns + 30_000_000, "");
            }
            400 => {
                quote(at_ns, bid, bid + 1.0, recv_ns, "");
                quote(at_ns + 1, bid, bid + 1.0, recv_ns, "");
            }
            450 => quote(at_ns, bid, bid + 1.0, recv_ns, ",flags=4i"),
            _ => quote(at_ns, bid, bid + 1.0, recv_ns, ""),
        }
    }
    for (cause, lost, minute) in [("zmq", 7, 500), ("checksum", 1, 550)] {
        let at_ns = midnight_ns + minute * MINUTE_NS;
        lines.push_str(&format!(
            "feed_gap,cause={cause},feed=kraken_tick lost={lost}i,to_ns={at_ns}i {at_ns}\n"
        ));
    }
    lines
}

#[test]
fn twelve_defects_of_a_day_are_named_and_nothing_else() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut sets = influx(&server.url, "tick");
    assert_eq!(tickline(dir.path(), &["db", "apply"], &sets).status.code(), Some(0));
    let day = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().yesterday().unwrap();
    let midnight = day.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let lines = quotes(i64::try_from(midnight.as_nanosecond()).unwrap());
    let answer = client.post(format!("{}/write?db=tick", server.url)).body(lines).send().unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().unwrap());

    sets.push("feeds.kraken_tick.endpoint=\"tcp://127.0.0.1:1\"".to_owned());
    let day = day.to_string();
    let judge = |more: &[&str]| {
        let args =
            [&["quality", "--day", &day, "--feed", "kraken_tick", "--symbol", "BTC/USD"], more].concat();
        let output = tickline(dir.path(), &args, &sets);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let report: Value = serde_json::from_str(&judge(&["--json"])).unwrap();
    assert_eq!(report["series"].as_array().unwrap().len(), 1, "{report:#}");
    let series = &report["series"][0];
    let counts: BTreeMap<String, u64> = serde_json::from_value(series["counts"].clone()).unwrap();
    let kinds = [
        "crossed",
        "flagged",
        "jump",
        "late",
        "locked",
        "negative",
        "out_of_order",
        "silence",
        "tie",
        "zero",
    ];
    assert_eq!(counts, kinds.map(|kind| (kind.to_owned(), 1)).into(), "{series:#}");
    let gaps = serde_json::json!({ "zmq": { "holes": 1, "lost": 7 }, "checksum": { "holes": 1, "lost": 1 } });
    assert_eq!(report["gaps"], gaps);
    assert_eq!(series["ticks"], 1_320 + 2);
    assert_eq!(series["covered"], 1_320.0 / 1_440.0);
    assert_eq!(series["longest_silence_s"], 121.0 * 60.0);
    assert_eq!(series["latency_below_0"], 0);
    let p50 = series["latency_ms"][0].as_f64().unwrap();
    assert!((p50 - 20.0).abs() < 0.1, "{p50}");

    let text = judge(&[]);
    assert!(text.contains("holes: checksum: 1 (1 lost), zmq: 1 (7 lost)"), "{text}");
    let page = judge(&["--html"]);
    assert!(page.starts_with("<!doctype html>") && page.matches("<td>crossed</td>").count() == 1, "{page}");
}
