//! Promise: what the load generator tells of the engine is what happened there: a stalled database shows in the
//! latency as long as it was, every message is counted in every stage, and the files it writes are read by others.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hdrhistogram::Histogram;
use tickline_config::report::{Build, Latency};
use tickline_feeds::clock::{Clock, WallNanos};
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::interval;
use tickline_loadgen::measure::{Measured, Terms, Watch, measure, stages};
use tickline_loadgen::output;
use tickline_loadgen::plan::{FeedLoad, LoadPlan, Rate};
use tickline_loadgen::result;
use tickline_loadgen::run;
use tickline_loadgen::target::Target;
use tickline_loadgen::threshold::judge;

use crate::foreign_publisher::python;
use crate::influxd::{self, Options};
use crate::program::{Engine, PATIENCE, feed, influx};

const RATE: f64 = 1_000.0;

/// One Kraken feed over a socket in `dir`, measured at `engine`; `during` is told each second.
fn load(dir: &Path, engine: &Engine, seconds: u64, mut during: impl FnMut(usize)) -> Measured {
    let load = FeedLoad::new("kraken_tick", "", Rate::PerSecond(RATE)).unwrap();
    let load = FeedLoad { endpoint: endpoint(dir), ..load };
    let plan = LoadPlan {
        feeds: vec![load],
        duration: Some(Duration::from_secs(seconds)),
        wait_timeout: Some(PATIENCE),
        ..LoadPlan::default()
    };
    let clock = OsClock::start();
    let target = Target::new(&format!("http://{}", engine.address())).unwrap();
    let watch = Watch::begin(target, &clock).unwrap();
    let running = run::start(plan, clock).unwrap();
    let stop = AtomicBool::new(false);
    let terms = Terms { command: "loadgen run", build: Build::default(), settle: PATIENCE, stop: &stop };
    let mut looks = 0;
    measure(running, Some(watch), terms, |_, second| {
        if second.is_some() {
            looks += 1;
            during(looks);
        }
    })
    .unwrap()
}

fn endpoint(dir: &Path) -> String {
    format!("ipc://{}/load", dir.display())
}

#[test]
fn a_database_that_stalls_for_two_seconds_shows_as_two_seconds() {
    let Some(server) = influxd::start(Options::default()) else { return };
    server.query(None, "", "CREATE DATABASE tick");
    let dir = tempfile::tempdir().unwrap();
    let sets = [influx(&server.url, "tick"), feed("kraken_tick", &endpoint(dir.path()))].concat();
    let engine = Engine::start(dir.path(), &sets);
    let signal = |name: &str| {
        let id = server.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    };
    let clock = OsClock::start();
    let mut stalled_ns = 0;
    let measured = load(dir.path(), &engine, 8, |look| {
        if look == 2 {
            signal("-STOP");
            let from = clock.mono();
            while stalled_ns < 2_000_000_000 {
                std::thread::park_timeout(Duration::from_millis(1));
                stalled_ns = clock.mono().since(from);
            }
            signal("-CONT");
        }
    });
    let report = &measured.report;
    assert_eq!(
        report.reasons.iter().filter(|reason| !reason.contains("late")).collect::<Vec<_>>(),
        Vec::<&String>::new()
    );
    let ack = &report.sinks["influx"].due_to_ack_ns;
    assert_eq!((report.load.sent, ack.count, report.ledger.written), (8_000, 8_000, 8_000));
    // A quarter of the messages were due during the stall; the one that waited longest waited for all of it.
    let about = |ns: u64| (stalled_ns * 8 / 10..stalled_ns * 2).contains(&ns);
    assert!(about(ack.p999) && about(ack.max), "p99.9 {} max {}, stalled {stalled_ns}", ack.p999, ack.max);
    assert!(
        report.latency_ns["due_to_encode"].p99 < stalled_ns / 2,
        "{:?}",
        report.latency_ns["due_to_encode"]
    );
    let mut report = report.clone();
    let fail_if = ["p99.9>1s", "lost>0", "encode.p50>1s"].map(|text| text.parse().unwrap());
    assert!(judge(&mut report, &fail_if).unwrap());
    let crossed: Vec<bool> = report.thresholds.iter().map(|threshold| threshold.crossed).collect();
    assert_eq!(crossed, [true, false, false]);
    engine.stop().assert_clean();
}

/// Reads an interval log with the HdrHistogram tools, adds the histograms of a tag, and says how many values stand
/// up to each one that a distribution of ours names.
const TOOLS: &str = r#"
import sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

log, tag, ours = sys.argv[1:4]
total = HdrHistogram(1, 60_000_000_000, 3)
reader = HistogramLogReader(log, total)
while (interval := reader.get_next_interval_histogram()) is not None:
    if interval.get_tag() == tag:
        total.add(interval)
print("total", 1, total.get_total_count())
recorded = [(step.value_iterated_to, step.count_added_in_this_iter_step) for step in total.get_recorded_iterator()]
for line in open(ours):
    columns = line.split()
    if columns and columns[0][0].isdigit():
        upto = round(float(columns[0]) * 1_000)
        print(columns[0], columns[1], sum(count for value, count in recorded if value <= upto))
"#;

/// Value, percentile and count of each line that has them.
fn distribution(text: &str) -> Vec<(f64, f64, u64)> {
    let line = |line: &str| {
        let mut columns = line.split_whitespace();
        let value = columns.next()?.parse().ok()?;
        Some((value, columns.next()?.parse().ok()?, columns.next()?.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

#[test]
fn every_message_is_in_every_stage_and_the_hdr_tools_read_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut sets = feed("kraken_tick", &endpoint(dir.path()));
    sets.push("sinks.null.kind=\"null\"".to_owned());
    let engine = Engine::start(dir.path(), &sets);
    let measured = load(dir.path(), &engine, 3, |_| {});
    // The same load again is another source: what it loses could not be seen as numbers that are known.
    let again = load(dir.path(), &engine, 1, |_| {}).report.ledger;
    assert_eq!(
        (again.published, again.duplicate, again.lost_before_receive),
        (Some(1_000), Some(0), Some(0))
    );
    engine.stop().assert_clean();
    let report = &measured.report;
    let counts: Vec<(String, u64)> =
        stages(report).iter().map(|stage| (stage.label(), stage.due.count)).collect();
    let all = ["send", "receive", "encode", "ack.null"].map(|stage| (stage.to_owned(), 3_000));
    assert_eq!(counts, all);
    let sent: u64 = measured.seconds.iter().map(|second| second.sent).sum();
    let written: u64 =
        measured.seconds.iter().filter_map(|second| Some(second.target.as_ref()?.written)).sum();
    assert_eq!((sent, written, report.ledger.lost_before_receive), (3_000, 3_000, Some(0)));
    assert_eq!(report.target.as_ref().unwrap().clock_error_ns, None);

    let csv = output::csv(&measured.seconds);
    assert_eq!(csv.lines().count(), measured.seconds.len() + 1);
    let page = output::page(&measured);
    assert!(page.matches("<svg").count() >= 5 && !page.contains("http://www.w3.org/1999/xlink"), "{page}");
    assert!(!page.contains("<script") && !page.contains("src="), "the page needs something else");

    let Some(python) = python() else { return };
    let path = |name: &str| dir.path().join(name);
    let stages =
        measured.seconds.iter().filter_map(|second| second.target.as_ref()).flat_map(|target| &target.stages);
    let merged = sum(stages.filter(|(name, _)| name == "encode").map(|(_, latency)| latency));
    let log = output::interval_log(&measured.seconds, WallNanos(1_785_641_762_000_000_000)).unwrap();
    let ours = output::percentiles(&merged);
    for (name, content) in
        [("load.hlog", log.as_slice()), ("ours.hgrm", ours.as_bytes()), ("tools.py", TOOLS.as_bytes())]
    {
        std::fs::write(path(name), content).unwrap();
    }
    let mut tools = Command::new(python);
    tools.args([path("tools.py"), path("load.hlog"), "encode".into(), path("ours.hgrm")]);
    let read = tools.output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let said = String::from_utf8(read.stdout).unwrap();
    let (total, theirs) = said.split_once('\n').unwrap();
    assert_eq!(total, format!("total 1 {}", merged.len()));
    // The last quarter of a second is merged after the last line of the log.
    assert!((2_500..=3_000).contains(&merged.len()), "{total}");
    let (ours, theirs) = (distribution(&ours), distribution(theirs));
    assert!(ours.len() > 30 && ours.len() == theirs.len(), "{} {}", ours.len(), theirs.len());
    assert_eq!(ours, theirs);
}

/// The sum of what latencies carry.
fn sum<'a>(latencies: impl Iterator<Item = &'a Latency>) -> Histogram<u64> {
    let mut sum = result::distribution();
    latencies.for_each(|latency| sum += interval::histogram(latency).unwrap());
    sum
}
