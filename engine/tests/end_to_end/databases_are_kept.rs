//! Promise: what a database must be like is planned before it is done and never done at the cost of points; what it holds
//! is counted, put elsewhere and back without a digit changed, and given out as of a time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use serde_json::value::RawValue;
use tickline_feeds::clock::Clock;
use tickline_loadgen::clock::OsClock;

use crate::influxd::{self, Influxd, Options};
use crate::parquet_reads_elsewhere::of_parquet;
use crate::points::dump;
use crate::program::{influx, tickline};

const HOUR_NS: i64 = 3_600_000_000_000;

/// Points of each of the two policies.
const POINTS: i64 = 500;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command that must end so.
fn run(dir: &Path, args: &[&str], sets: &[String], code: i32) -> String {
    let output = tickline(dir, args, sets);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
    said(&output)
}

/// Writes lines as they are.
fn write(server: &Influxd, policy: &str, lines: &str) {
    let url = format!("{}/write?db=tick&rp={policy}", server.url);
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let answer = client.post(url).body(lines.to_owned()).send().unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().unwrap());
}

/// Whole minutes before now, ns.
fn now_ns() -> i64 {
    let now = OsClock::start().wall().0;
    now - now.rem_euclid(60_000_000_000)
}

/// Lines with every kind of value, a quarter of an hour apart: 5 days in each policy.
fn lines(measurement: &str, now_ns: i64) -> String {
    let line = |n: i64| {
        let pair = if n % 2 == 0 { "BTC/USD" } else { r"odd\,\=\ pair" };
        let bid = 0.1 + n as f64 / 3.0;
        let text = r#"say \"é\" \\ "#;
        let time = now_ns - n * HOUR_NS / 4 - n;
        format!(
            "{measurement},pair={pair} bid={bid},n={}i,ok={},recv_ns={}i,text=\"{text}{n}\" {time}\n",
            i64::MAX - n,
            n % 3 == 0,
            time + 7
        )
    };
    (0..POINTS).map(line).collect()
}

#[test]
fn a_plan_says_what_apply_does_and_only_a_flag_takes_points() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sets = influx(&server.url, "tick");
    let planned = run(dir.path(), &["db", "plan"], &sets, 0);
    assert!(planned.starts_with("tick: would create the database\n"), "{planned}");
    assert!(
        planned.contains("would create retention policy default (30d in shards of 1d, the default)"),
        "{planned}"
    );
    run(dir.path(), &["db", "apply"], &sets, 0);
    server.query(None, "tick", "CREATE RETENTION POLICY mine ON tick DURATION 2d REPLICATION 1");
    let planned = run(dir.path(), &["db", "plan"], &sets, 0);
    assert!(planned.contains("as the configuration says"), "{planned}");
    assert!(planned.contains("has retention policy mine (2d), which is left alone"), "{planned}");

    let shorter = [sets, vec!["retention.default.duration=\"7d\"".to_owned()]].concat();
    let planned = run(dir.path(), &["db", "plan"], &shorter, 0);
    let change = "would change retention policy default from 30d in shards of 1d, the default to 7d in shards of 1d, the \
                  default; points go with it: only with --allow-data-loss";
    assert!(planned.contains(change), "{planned}");
    let refused = run(dir.path(), &["db", "apply"], &shorter, 78);
    assert!(refused.contains("--allow-data-loss"), "{refused}");
    let applied = run(dir.path(), &["db", "apply", "--allow-data-loss"], &shorter, 0);
    assert!(applied.contains("changed retention policy default from 30d"), "{applied}");
}

#[test]
fn a_default_that_holds_points_is_replaced_only_with_a_flag_and_an_empty_one_without() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sets = influx(&server.url, "tick");
    let default_of = |server: &Influxd| {
        let policies = server.query(None, "", "SHOW RETENTION POLICIES ON tick");
        let rows = policies["results"][0]["series"][0]["values"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row[4] == true).unwrap()[0].as_str().unwrap().to_owned()
    };
    server.query(None, "", "CREATE DATABASE tick");
    run(dir.path(), &["db", "apply"], &sets, 0);
    assert_eq!(default_of(&server), "default");

    server.query(None, "", "DROP DATABASE tick");
    server.query(None, "", "CREATE DATABASE tick");
    write(&server, "autogen", "theirs a=1 1\n");
    let planned = run(dir.path(), &["db", "plan"], &sets, 0);
    assert!(
        planned.contains("would change the default policy from autogen to default; queries"),
        "{planned}"
    );
    let refused = run(dir.path(), &["db", "apply"], &sets, 78);
    assert!(refused.contains("autogen is the database's default and holds points"), "{refused}");
    assert_eq!(default_of(&server), "autogen");
    run(dir.path(), &["db", "apply", "--allow-data-loss"], &sets, 0);
    assert_eq!(default_of(&server), "default");
}

#[test]
fn a_backup_has_the_points_of_every_field_and_a_restore_that_was_refused_something_fails() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sets = influx(&server.url, "tick");
    run(dir.path(), &["db", "apply"], &sets, 0);
    let now = now_ns();
    let lines = |days: i64, field: &str, points: i64| -> String {
        (0..points).map(|n| format!("m {field}={n} {}\n", now - days * 24 * HOUR_NS + n)).collect()
    };
    write(&server, "long_term", &(lines(90, "a", 3) + &lines(1, "b", 6)));
    let saved = run(dir.path(), &["db", "backup", "saved"], &sets, 0);
    assert!(saved.starts_with("tick: 9 points in "), "{saved}");

    server.query(None, "", "DROP DATABASE tick");
    run(dir.path(), &["db", "apply"], &sets, 0);
    // Of another type, in the same shard, and as many.
    write(&server, "long_term", &lines(90, "c", 3));
    write(&server, "long_term", &format!("m a=\"text\" {}\n", now - 90 * 24 * HOUR_NS + 9));
    let refused = run(dir.path(), &["db", "restore", "saved"], &sets, 1);
    assert!(
        refused.contains("field type conflict") && refused.contains("at least 0 are missing"),
        "{refused}"
    );
}

#[test]
fn a_backup_brings_every_digit_back_and_a_damaged_one_is_refused_before_anything_is_written() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sets = influx(&server.url, "tick");
    run(dir.path(), &["db", "apply"], &sets, 0);
    let now = now_ns();
    write(&server, "default", &lines("kraken_tick", now));
    write(&server, "long_term", &lines("kraken_tick", now - 40 * 24 * HOUR_NS));
    write(&server, "default", &lines("odd\\ name", now));
    let everything = |server: &Influxd| {
        let long = server.query(None, "tick", "SELECT * FROM long_term.kraken_tick GROUP BY *");
        (dump(server, "tick"), long)
    };
    let before = everything(&server);
    assert_eq!(before.0["kraken_tick"].len() as i64, POINTS);

    let stats: Value = serde_json::from_str(&run(dir.path(), &["db", "stats", "--json"], &sets, 0)).unwrap();
    let rows = stats["contents"].as_array().unwrap();
    let told: BTreeSet<(&str, &str, u64, u64)> = rows
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap();
            let number = |key: &str| row[key].as_u64().unwrap();
            (text("policy"), text("measurement"), number("points"), number("values"))
        })
        .collect();
    let expected = [("default", "kraken_tick"), ("default", "odd name"), ("long_term", "kraken_tick")];
    let points = POINTS as u64;
    assert_eq!(told, expected.map(|(policy, of)| (policy, of, points, 5 * points)).into());

    let saved = run(dir.path(), &["db", "backup", "saved"], &sets, 0);
    assert!(saved.starts_with("tick: 1,500 points in "), "{saved}");
    server.query(None, "", "DROP DATABASE tick");
    let restored = run(dir.path(), &["db", "restore", "saved"], &sets, 0);
    assert_eq!(restored, "tick: 1,500 points are there, 0 are missing\n");
    assert_eq!(everything(&server), before);
    run(dir.path(), &["db", "restore", "saved"], &sets, 0);
    assert_eq!(everything(&server), before, "twice is as good as once");
    assert!(run(dir.path(), &["db", "plan"], &sets, 0).starts_with("tick: as the configuration says\n"));

    // A policy that does not keep them: what is missing is counted.
    let short = run(dir.path(), &["db", "restore", "saved", "--policy", "high_frequency"], &sets, 1);
    assert!(short.contains("points beyond retention policy"), "{short}");
    server.query(None, "", "DROP DATABASE tick");
    let file = dir.path().join("saved/000002.lp.zst");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let damaged = run(dir.path(), &["db", "restore", "saved"], &sets, 1);
    assert!(damaged.contains("000002.lp.zst: is not as it was written"), "{damaged}");
    let databases = server.query(None, "", "SHOW DATABASES").to_string();
    assert!(!databases.contains("\"tick\""), "{databases}");
}

#[test]
fn a_cleanup_says_what_would_go_and_spares_what_is_kept_longer() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sets = influx(&server.url, "tick");
    run(dir.path(), &["db", "apply"], &sets, 0);
    write(&server, "high_frequency", &lines("kraken_tick", now_ns()));
    let cleanup = ["db", "cleanup", "--measurement", "kraken_tick", "--older-than"];
    let with = |more: &[&'static str]| [&cleanup[..], more].concat();
    // 500 points a quarter of an hour apart: 97 are younger than a day.
    let count = || server.count("tick", "high_frequency.kraken_tick", "n");
    let shown = run(dir.path(), &with(&["7d"]), &sets, 0);
    assert!(shown.contains("has no points before"), "{shown}");
    let refused = run(dir.path(), &with(&["1d", "--yes"]), &sets, 1);
    assert!(refused.contains("high_frequency: keeps points longer than that"), "{refused}");
    assert_eq!(count(), 500);
    let shown = run(dir.path(), &with(&["1d", "--allow-data-loss"]), &sets, 0);
    assert!(shown.contains(": kraken_tick: 40") && shown.contains("nothing was removed"), "{shown}");
    assert_eq!(count(), 500);
    run(dir.path(), &with(&["1d", "--allow-data-loss", "--yes"]), &sets, 0);
    assert!((96..=97).contains(&count()), "{}", count());
}

#[test]
fn an_export_holds_what_is_stored_and_as_of_a_time_what_was_known_then() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sets = influx(&server.url, "tick");
    run(dir.path(), &["db", "apply"], &sets, 0);
    let lines = lines("kraken_tick", now_ns());
    write(&server, "default", &lines);
    let export = ["export", "--feed", "kraken_tick", "--from", "6d", "--format"];
    let with = |more: &[&'static str]| [&export[..], more].concat();

    run(dir.path(), &with(&["ndjson", "-o", "all.ndjson"]), &sets, 0);
    let text = std::fs::read_to_string(dir.path().join("all.ndjson")).unwrap();
    let mut again: Vec<String> = text
        .lines()
        .map(|line| {
            // Digits count, so that numbers stay text.
            let of: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).unwrap();
            let pair: String = serde_json::from_str(of["pair"].get()).unwrap();
            let values = ["bid", "n", "ok", "recv_ns", "time_ns"].map(|name| of[name].get());
            format!("{} {}", pair.replace([',', '=', ' '], "?"), values.join(" "))
        })
        .collect();
    let mut sent: Vec<String> = influxdb_line_protocol::parse_lines(&lines)
        .map(|line| {
            let line = line.unwrap();
            let tags = line.series.tag_set.unwrap();
            let pair = tags[0].1.as_str().replace([',', '=', ' '], "?");
            let field = |name: &str| {
                let (_, value) = line.field_set.iter().find(|(known, _)| known.as_str() == name).unwrap();
                value.to_string().trim_end_matches('i').to_owned()
            };
            let (bid, n, ok, recv) = (field("bid"), field("n"), field("ok"), field("recv_ns"));
            format!("{pair} {bid} {n} {ok} {recv} {}", line.timestamp.unwrap())
        })
        .collect();
    again.sort();
    sent.sort();
    for (again, sent) in again.iter().zip(&sent) {
        assert_eq!(again, sent);
    }
    assert_eq!(again.len(), sent.len());

    let csv = run(dir.path(), &with(&["csv", "--symbol", "BTC/USD"]), &sets, 0);
    assert!(csv.starts_with("time,pair,bid,n,ok,recv_ns,text\n"), "{csv}");
    assert_eq!(csv.lines().filter(|line| line.contains("BTC/USD")).count(), 250);
    assert!(csv.contains(r#","say ""é"" \ 2""#), "{csv}");
    assert!(csv.ends_with("250 points of kraken_tick\n"), "{csv}");

    // Half of them had been received then.
    let half = lines.lines().nth(250).unwrap().split("recv_ns=").nth(1).unwrap().split('i').next().unwrap();
    let half = tickline_feeds::payload::rfc3339(tickline_feeds::clock::WallNanos(half.parse().unwrap()), 9);
    let args = [&with(&["ndjson"])[..], &["--as-of", &half]].concat();
    let known = run(dir.path(), &args, &sets, 0);
    assert!(known.ends_with("250 points of kraken_tick\n"), "{}", known.lines().last().unwrap());

    run(dir.path(), &with(&["parquet", "-o", "files"]), &sets, 0);
    assert_eq!(of_parquet(&dir.path().join("files"))["kraken_tick"].rows as i64, POINTS);
}
