//! Promise: Parquet files hold what the engine counted, to the row and to the sum, for whoever reads them; and a
//! kill at any moment leaves no file that cannot be read.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use influxdb_line_protocol::{FieldValue, parse_lines};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde::Deserialize;
use tickline_loadgen::clock::OsClock;
use tickline_loadgen::plan::{FeedLoad, LoadPlan, Rate};

use crate::foreign_publisher::python;
use crate::program::{Engine, PATIENCE, feed, wait_for};

const FEEDS: [&str; 4] = ["kraken_tick", "kraken_depth", "oanda_tick", "betfair_stream"];

/// The float columns that are summed.
const PRICES: [&str; 6] = ["bid", "ask", "bid_price", "ask_price", "back_price", "lay_price"];

/// Rows of a measurement, and values and sum of its prices.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Total {
    pub(crate) rows: u64,
    prices: BTreeMap<String, (u64, f64)>,
}

impl Total {
    fn add(&mut self, column: &str, value: f64) {
        if PRICES.contains(&column) {
            let (values, sum) = self.prices.entry(column.to_owned()).or_default();
            (*values, *sum) = (*values + 1, *sum + value);
        }
    }
}

pub(crate) type Totals = BTreeMap<String, Total>;

/// The totals of lines of text.
fn of_lines(text: &str) -> Totals {
    let mut totals = Totals::new();
    for line in parse_lines(text).map(Result::unwrap) {
        let total = totals.entry(line.series.measurement.to_string()).or_default();
        total.rows += 1;
        for (name, value) in &line.field_set {
            if let FieldValue::F64(value) = value {
                total.add(name.as_str(), *value);
            }
        }
    }
    totals
}

/// Finished files: `DIR/MEASUREMENT/date=DAY/part-….parquet`.
fn files(dir: &Path) -> Vec<PathBuf> {
    let below = |dir: &Path| {
        let entries = std::fs::read_dir(dir).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let all = below(dir).into_iter().flat_map(|m| below(&m)).flat_map(|day| below(&day));
    let is_part = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("part-") && name.ends_with(".parquet")
    };
    all.filter(is_part).collect()
}

/// The totals of Parquet files, read with the crate of that name.
pub(crate) fn of_parquet(dir: &Path) -> Totals {
    let mut totals = Totals::new();
    for path in files(dir) {
        let measurement = path.strip_prefix(dir).unwrap().iter().next().unwrap().to_string_lossy();
        let total = totals.entry(measurement.into_owned()).or_default();
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).expect("a whole file");
        for row in reader.get_row_iter(None).unwrap() {
            total.rows += 1;
            for (name, value) in row.expect("a whole row").get_column_iter() {
                if let Field::Double(value) = value {
                    total.add(name, *value);
                }
            }
        }
    }
    totals
}

const READER: &str = r#"
import glob, json, math, os, sys
from datetime import datetime, timezone
import pyarrow as pa, pyarrow.parquet as pq

prices = set(sys.argv[2].split(","))
values, totals = {}, {}
for path in glob.glob(os.path.join(sys.argv[1], "*", "date=*", "part-*.parquet")):
    table = pq.ParquetFile(path).read()
    assert table.schema.field("time").type == pa.timestamp("ns", tz="UTC"), table.schema
    assert table.schema.field("recv_ns").type == pa.int64(), table.schema
    assert pa.types.is_dictionary(table.schema.field("exchange").type), table.schema
    measurement = os.path.relpath(path, sys.argv[1]).split(os.sep)[0]
    total = totals.setdefault(measurement, {"rows": 0, "prices": {}})
    total["rows"] += table.num_rows
    day = os.path.basename(os.path.dirname(path)).removeprefix("date=")
    days = {datetime.fromtimestamp(t // 10**9, timezone.utc).date() for t in table["time"].cast(pa.int64()).to_pylist()}
    assert {str(found) for found in days} == {day}, (days, day)
    for name in prices & set(table.column_names):
        values.setdefault((measurement, name), []).extend(v for v in table[name].to_pylist() if v is not None)
for (measurement, name), all in values.items():
    totals[measurement]["prices"][name] = [len(all), math.fsum(all)]
print(json.dumps(totals))
"#;

/// The totals of Parquet files, read with pyarrow.
fn of_pyarrow(python: &str, dir: &Path) -> Totals {
    let output = Command::new(python).args(["-c", READER]).arg(dir).arg(PRICES.join(",")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Equal rows and values; sums that differ by no more than their order explains.
fn assert_agree(found: &Totals, expected: &Totals, reader: &str) {
    assert!(found.keys().eq(expected.keys()), "{reader}: {found:#?}");
    for (measurement, total) in expected {
        let of = &found[measurement];
        assert_eq!(of.rows, total.rows, "{reader}: {measurement}");
        assert!(of.prices.keys().eq(total.prices.keys()), "{reader}: {measurement}: {of:#?}");
        for (column, (values, sum)) in &total.prices {
            let (found_values, found_sum) = of.prices[column];
            assert_eq!(found_values, *values, "{reader}: {measurement}.{column}");
            let differs = (found_sum - sum).abs();
            assert!(differs <= sum.abs() * 1e-9, "{reader}: {measurement}.{column}: {found_sum} {sum}");
        }
    }
}

#[test]
fn rows_and_sums_of_parquet_files_agree_with_the_ledger_for_two_readers() {
    let dir = tempfile::tempdir().unwrap();
    let load = |name| {
        let load = FeedLoad::new(name, "127.0.0.1", Rate::PerSecond(500.0)).unwrap();
        FeedLoad { endpoint: "tcp://127.0.0.1:*".to_owned(), ..load }
    };
    let plan = LoadPlan {
        feeds: FEEDS.map(load).into(),
        duration: Some(Duration::from_secs(4)),
        wait_timeout: Some(PATIENCE),
        ..LoadPlan::default()
    };
    let running = tickline_loadgen::run::start(plan, OsClock::start()).unwrap();
    let mut sets: Vec<String> =
        running.endpoints().flat_map(|(name, endpoint)| feed(name, endpoint)).collect();
    // Both sinks take every point; small files, so that there are several a measurement.
    for set in ["lines.kind=\"file\"", "lines.path=\"all.lp\"", "files.kind=\"parquet\"", "files.dir=\"all\""]
    {
        sets.push(format!("sinks.{set}"));
    }
    sets.push("sinks.files.file_bytes_max=\"64KiB\"".to_owned());
    let engine = Engine::start(dir.path(), &sets);
    wait_for("the load is sent", || running.is_finished().then_some(()));
    let sent: u64 =
        running.finish().unwrap().feeds.iter().map(|feed| feed.sent + u64::from(feed.ended)).sum();
    engine.wait("all received", |report| report.ledger.received == sent);
    let ended = engine.stop();
    ended.assert_clean();
    let written = |sink: &str| ended.report.sinks[sink].ledger.written;
    assert_eq!((written("files"), written("lines")), (ended.report.ledger.points_made, written("files")));

    let lines = of_lines(&std::fs::read_to_string(dir.path().join("all.lp")).unwrap());
    assert_eq!(lines.values().map(|total| total.rows).sum::<u64>(), written("files"));
    let parquet = dir.path().join("all");
    assert!(files(&parquet).len() > lines.len(), "several files a measurement");
    assert_agree(&of_parquet(&parquet), &lines, "parquet");
    println!("{} rows in {} files", written("files"), files(&parquet).len());
    if let Some(python) = python() {
        assert_agree(&of_pyarrow(&python, &parquet), &lines, "pyarrow");
    }
}

#[test]
fn a_killed_demo_leaves_only_files_that_can_be_read() {
    // Killed after different amounts of work, so at different points of writing and renaming.
    for wanted in [1, 8, 20] {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let mut demo = Command::new(env!("CARGO_BIN_EXE_tickline"))
            .args(["demo", "--sink", "parquet", "--duration", "10m", "--rate", "300/s", "--dir", "data"])
            .args(["--set", "sinks.parquet.file_age_max=\"1s\""])
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for("finished files", || (files(&data).len() >= wanted).then_some(()));
        demo.kill().unwrap(); // SIGKILL
        demo.wait().unwrap();
        let totals = of_parquet(&data);
        let rows: u64 = totals.values().map(|total| total.rows).sum();
        assert!(rows > 0 && totals.values().all(|total| total.rows > 0), "{totals:#?}");
        println!("killed at {} files: {rows} rows can be read", files(&data).len());
        if let Some(python) = python() {
            assert_agree(&of_pyarrow(&python, &data), &totals, "pyarrow");
        }
    }
}
