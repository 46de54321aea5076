//! Promise: what is replayed into a real InfluxDB is stored once however often it is replayed, and a replay that
//! the retention would throw away is refused.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tickline_config::report::Report;
use tickline_loadgen::plan::{FeedLoad, LoadPlan, Rate};
use tickline_loadgen::run::write_capture;

use crate::influxd::{Options, start};

const FEEDS: [&str; 4] = ["kraken_tick", "kraken_depth", "oanda_tick", "betfair_stream"];
const MESSAGES: u64 = 1_000;

fn capture(path: &Path) {
    let load = |name: &&str| FeedLoad::new(name, "127.0.0.1", Rate::PerSecond(1_000.0)).unwrap();
    let feeds = FEEDS.iter().map(load).collect();
    let plan = LoadPlan { feeds, duration: Some(Duration::from_secs(1)), seed: 7, ..LoadPlan::default() };
    write_capture(&plan, &[MESSAGES; 4], path).unwrap();
}

#[test]
fn a_capture_is_stored_once_however_often_it_is_replayed_and_refused_where_it_would_not_be_kept() {
    let Some(influxd) = start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    capture(&dir.path().join("ticks.cap"));
    let sink = format!(
        "sinks.i = {{ kind = \"influxdb\", version = 1, url = {:?}, database = \"tick\" }}\n",
        influxd.url
    );
    let feeds: String = FEEDS.iter().map(|feed| format!("feeds.{feed} = {{}}\n")).collect();
    std::fs::write(dir.path().join("t.toml"), sink + &feeds).unwrap();
    let tickline = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickline"));
        command.args(arguments).args(["-c", "t.toml"]).current_dir(dir.path()).output().unwrap()
    };
    let applied = tickline(&["db", "apply"]);
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let checked = tickline(&["check", "--live"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));

    let refused = tickline(&["replay", "ticks.cap"]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(78), "{error}");
    assert!(error.contains("sinks.i.retention_policy: must keep points that are "), "{error}");

    for round in ["first", "second"] {
        let archive = ["--set", "sinks.i.retention_policy=\"archive\"", "--json"];
        let replayed = tickline(&[&["replay", "ticks.cap"], archive.as_slice()].concat());
        let report: Report = serde_json::from_slice(&replayed.stdout).unwrap();
        let ledger = &report.ledger;
        assert_eq!((replayed.status.code(), ledger.balanced), (Some(0), true), "{round}: {ledger:#?}");
        assert_eq!((ledger.received, ledger.written), (4 * MESSAGES, ledger.points_made), "{round}");
        let counts = FEEDS.map(|feed| influxd.count("tick", &format!("archive.{feed}"), "recv_ns"));
        let market = influxd.count("tick", "archive.betfair_market", "recv_ns");
        let runner = influxd.count("tick", "archive.betfair_runner", "recv_ns");
        assert_eq!(counts[..3], [MESSAGES, 10 * MESSAGES, MESSAGES], "{round}");
        assert_eq!(
            counts.iter().sum::<u64>() + market + runner,
            ledger.points_made,
            "{round}: stored = made"
        );
    }
}
