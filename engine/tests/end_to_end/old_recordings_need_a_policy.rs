//! Promise: after `tickline db apply`, points that are older than the default policy keeps are counted as
//! rejected and never as written, are stored where the sink names the `archive` policy, and `tickline replay`
//! refuses beforehand what the target would drop.

use std::path::Path;

use tickline_feeds::capture::{self, Record};
use tickline_feeds::clock::{Clock, WallNanos};
use tickline_feeds::payload::{Decimals, rfc3339};
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::plan::{FeedLoad, Rate};
use tickline_loadgen::replay::{self, ReplayPlan, Speed, TimeMode};

use crate::influxd::{self, Influxd, Options};
use crate::program::{Ended, Engine, PATIENCE, feed, influx, report, tickline, wait_for};

const OLD: u64 = 700;
const FRESH: u64 = 30;

/// A recording of v20 messages: prices of May 2014, and in between some of now.
fn recording(path: &Path) {
    let now = OsClock::start().wall().0;
    let mut lines = String::new();
    for n in 0..OLD + FRESH {
        let is_fresh = n % 24 == 23 && n / 24 < FRESH;
        let time = if is_fresh { now + n as i64 } else { 1_399_000_000_000_000_000 + n as i64 * 1_000_000 };
        lines.push_str(&format!(
            "{{\"type\":\"PRICE\",\"time\":\"{}\",\"instrument\":\"EUR_USD\",\"bids\":[{{\"price\":\"1.38{:03}\",\
             \"liquidity\":1}}],\"asks\":[{{\"price\":\"1.39\",\"liquidity\":2}}],\"status\":\"tradeable\"}}\n",
            rfc3339(WallNanos(time), 9),
            n % 1_000
        ));
    }
    std::fs::write(path, lines).unwrap();
}

/// Publishes the recording into an engine.
fn through_zeromq(dir: &Path, sink: &[String]) -> Ended {
    let load = FeedLoad::new("oanda_tick", "127.0.0.1", Rate::Max).unwrap();
    let plan = ReplayPlan {
        files: vec![dir.join("old.jsonl")],
        feeds: vec![FeedLoad { endpoint: "tcp://127.0.0.1:*".to_owned(), ..load }],
        loops: 1,
        speed: Speed::Max,
        time: TimeMode::Original,
        decimals: Decimals::Text,
        wait: true,
        wait_timeout: Some(PATIENCE),
        sndhwm: 50_000,
        door: None,
    };
    let spans = replay::scan(&plan).unwrap();
    assert_eq!(spans[0].messages, OLD + FRESH);
    let running = replay::start(&plan, &spans, OsClock::start()).unwrap();
    let endpoint = running.endpoints().next().unwrap().1.to_owned();
    let engine = Engine::start(dir, &[sink.to_vec(), feed("oanda_tick", &endpoint)].concat());
    wait_for("the recording is sent", || running.is_finished().then_some(()));
    running.finish().unwrap();
    engine.wait("all settled", |report| {
        let ledger = &report.ledger;
        ledger.points == OLD + FRESH && ledger.in_flight == 0 && ledger.queued == 0
    });
    engine.stop()
}

fn counts(server: &Influxd) -> [u64; 2] {
    ["\"default\"", "archive"].map(|policy| server.count("tick", &format!("{policy}.oanda_tick"), "recv_ns"))
}

#[test]
fn what_the_default_policy_would_drop_is_rejected_and_what_archive_keeps_is_stored() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let sets = influx(&server.url, "tick");
    let applied = tickline(dir.path(), &["db", "apply"], &sets);
    let said = String::from_utf8_lossy(&applied.stdout).into_owned();
    assert_eq!(applied.status.code(), Some(0), "{said}");
    assert!(
        said.contains("created the database") && said.contains("created retention policy archive"),
        "{said}"
    );
    let policies =
        server.query(None, "tick", "SHOW RETENTION POLICIES")["results"][0]["series"][0]["values"].clone();
    let has = |name: &str, kept: &str, default: bool| {
        let mut rows = policies.as_array().into_iter().flatten();
        rows.any(|row| row[0] == name && row[1] == kept && row[4] == default)
    };
    assert!(has("default", "720h0m0s", true) && has("archive", "0s", false), "{policies}");

    recording(&dir.path().join("old.jsonl"));
    let dropped = through_zeromq(dir.path(), &sets);
    let ledger = &dropped.report.ledger;
    assert!(ledger.balanced, "{ledger:#?}");
    assert_eq!(ledger.rejected.get("beyond_retention"), Some(&OLD), "{ledger:#?}");
    assert_eq!((ledger.written, ledger.rejected.len()), (FRESH, 1), "{ledger:#?}");
    assert_eq!(counts(&server), [FRESH, 0]);

    let archive = [sets.clone(), vec!["sinks.influx.retention_policy=\"archive\"".to_owned()]].concat();
    let kept = through_zeromq(dir.path(), &archive);
    kept.assert_clean();
    assert_eq!(kept.report.ledger.written, OLD + FRESH);
    assert_eq!(counts(&server), [FRESH, OLD + FRESH]);
}

/// A capture of one price received in May 2014.
fn old_capture(path: &Path) {
    let recv = WallNanos(1_399_000_000_000_000_000);
    let json =
        r#"{"type":"PRICE","time":"2014-05-02T03:06:40Z","instrument":"EUR_USD","bids":[{"price":"1.3"}]}"#;
    let payload = crate::publisher::numbered(json, 1, recv.0, 0);
    let mut file = Vec::new();
    capture::begin(&mut file);
    capture::append(&mut file, &Record { recv, topic: b"oanda_tick", payload: &payload }).unwrap();
    std::fs::write(path, file).unwrap();
}

#[test]
fn replay_refuses_what_the_target_would_drop_unless_a_policy_keeps_it() {
    let Some(server) = influxd::start(Options::default()) else { return };
    let dir = tempfile::tempdir().unwrap();
    old_capture(&dir.path().join("old.cap"));
    let sets = [influx(&server.url, "tick"), feed("oanda_tick", "tcp://127.0.0.1:1")].concat();
    assert_eq!(tickline(dir.path(), &["db", "apply"], &sets).status.code(), Some(0));

    let refused = tickline(dir.path(), &["replay", "old.cap", "--json"], &sets);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(78), 0), "{said}");
    assert!(said.contains("sinks.influx.retention_policy") && said.contains("archive"), "{said}");
    assert_eq!(counts(&server), [0, 0]);

    let archive = [sets, vec!["sinks.influx.retention_policy=\"archive\"".to_owned()]].concat();
    let stored = tickline(dir.path(), &["replay", "old.cap", "--json"], &archive);
    assert_eq!(stored.status.code(), Some(0), "{}", String::from_utf8_lossy(&stored.stderr));
    assert_eq!(report(&stored.stdout).ledger.written, 1);
    assert_eq!(counts(&server), [0, 1]);
}
