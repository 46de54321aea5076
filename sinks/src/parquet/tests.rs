//! What is read back is what was written, and a commit is all or nothing whatever operation of the disk fails.

use super::*;
use crate::disk::faulty::FaultyDisk;
use crate::retry::{Step, next_step};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};
use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn settings(dir: &Path) -> model::Parquet {
    model::Parquet {
        dir: dir.to_owned(),
        file_bytes_max: 64 << 20,
        file_age_max: Duration::from_secs(60),
        held_bytes_max: 64 << 20,
        open_files_max: 64,
    }
}

fn sink(dir: &Path) -> ParquetSink {
    ParquetSink::open("files", "host-1", 17, &settings(dir)).unwrap()
}

fn request(lines: &str) -> Request {
    Request { lines: Bytes::from(lines.to_owned()), points: lines.lines().count() as u64 }
}

/// Every file below `dir`, relative, sorted, without the lock.
fn files(dir: &Path) -> Vec<String> {
    fn walk(root: &Path, dir: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else if path.extension().is_none_or(|e| e != "lock") {
                found.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, dir, &mut found);
    found.sort();
    found
}

/// Each row as sorted line protocol of our own, from the files alone.
fn rows(dir: &Path) -> Vec<String> {
    let mut rows = Vec::new();
    for file in files(dir) {
        let measurement = file.split('/').next().unwrap().to_owned();
        let open = File::open(dir.join(&file)).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(open).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            rows.extend((0..batch.num_rows()).map(|row| format!("{measurement} {}", cells(&batch, row))));
        }
    }
    rows.sort();
    rows
}

fn cells(batch: &RecordBatch, row: usize) -> String {
    let schema = batch.schema();
    let mut cells = Vec::new();
    for (column, field) in batch.columns().iter().zip(schema.fields()) {
        if column.is_null(row) {
            continue;
        }
        let name = field.name();
        cells.push(match field.data_type().to_string().as_str() {
            "Float64" => format!("{name}={:?}", column.as_primitive::<Float64Type>().value(row)),
            "Int64" => format!("{name}={}i", column.as_primitive::<Int64Type>().value(row)),
            "UInt64" => format!("{name}={}u", column.as_primitive::<UInt64Type>().value(row)),
            "Boolean" => format!("{name}={}", column.as_boolean().value(row)),
            "Utf8" => format!("{name}={:?}", column.as_string::<i32>().value(row)),
            "Timestamp(ns, \"UTC\")" => {
                format!("@{}", column.as_primitive::<TimestampNanosecondType>().value(row))
            }
            "Dictionary(Int32, Utf8)" => {
                let tags = column.as_dictionary::<arrow_array::types::Int32Type>();
                let key = tags.keys().value(row) as usize;
                format!("{name}:{}", tags.values().as_string::<i32>().value(key))
            }
            other => panic!("{name} is {other}"),
        });
    }
    cells.sort();
    cells.join(" ")
}

#[test]
fn rows_come_back_typed_and_partitioned_by_their_own_utc_day() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(dir.path());
    let lines = "kraken_tick,pair=BTC/USD bid=1.5,trades=7i,live=true,name=\"a \\\"b\\\"\" 1767225599999999999\n\
                 kraken_tick,pair=ETH/USD bid=2,big=18446744073709551615u 1767225600000000000\n\
                 oanda_tick bid=3 -1\n";
    assert_eq!(sink.write(&request(lines)), Outcome::Held);
    assert!(files(dir.path()).iter().all(|name| name.contains("/.") && name.ends_with(".tmp")), "hidden");
    assert_eq!(sink.commit(), Outcome::accepted());
    let names = files(dir.path());
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names[0].starts_with("kraken_tick/date=2025-12-31/part-host-1-files-17-"), "{names:?}");
    assert!(names[1].starts_with("kraken_tick/date=2026-01-01/part-host-1-files-17-"), "{names:?}");
    assert!(names[2].starts_with("oanda_tick/date=1969-12-31/part-host-1-files-17-"), "{names:?}");
    let expected = [
        "kraken_tick @1767225599999999999 bid=1.5 live=true name=\"a \\\"b\\\"\" pair:BTC/USD trades=7i",
        "kraken_tick @1767225600000000000 bid=2.0 big=18446744073709551615u pair:ETH/USD",
        "oanda_tick @-1 bid=3.0",
    ];
    assert_eq!(rows(dir.path()), expected);
}

#[test]
fn a_new_column_or_another_type_begins_another_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(dir.path());
    let lines = "m a=1 1\nm a=2,b=2i 2\nm b=3i 3\nm a=4i 4\nm a=5 5\nm a=6i 6\n";
    assert_eq!(sink.write(&request(lines)), Outcome::Held);
    assert_eq!(sink.commit(), Outcome::accepted());
    assert_eq!(files(dir.path()).len(), 3, "narrow, wide, and integers beside them");
    assert_eq!(rows(dir.path()).len(), 6);
}

#[test]
fn bad_lines_are_counted_at_commit_and_their_neighbours_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut sink = sink(dir.path());
    let long = format!("{} v=1 1\n", "x".repeat(300));
    let lines = format!("m v=1 1\ngarbage\nm v=2\nm v=NaN 3\nm v=1,v=2 4\n\n{long}m v=5 5\n");
    assert_eq!(sink.write(&request(&lines)), Outcome::Held);
    let latin = Request { lines: Bytes::from_static(b"m v=\"\xe9\" 6\n"), points: 1 };
    assert_eq!(sink.write(&latin), Outcome::Held);
    let outcome = sink.commit();
    assert!(
        matches!(&outcome, Outcome::Stored { detail: Some(d), .. } if d.contains("garbage")),
        "{outcome:?}"
    );
    let settled = Step::Settled { written: 2, rejected: vec![(RejectReason::BadLine, 7)] };
    assert_eq!(next_step(&outcome, 0, 9, 0), settled);
    assert_eq!(rows(dir.path()), ["m @1 v=1.0", "m @5 v=5.0"]);
    assert_eq!(sink.write(&request("m v=7 7\n")), Outcome::Held);
    assert_eq!(sink.commit(), Outcome::accepted(), "counted once");
}

#[test]
fn files_are_bounded_in_size_and_in_number() {
    let dir = tempfile::tempdir().unwrap();
    let small = model::Parquet { file_bytes_max: 20_000, open_files_max: 2, ..settings(dir.path()) };
    let mut sink = ParquetSink::open("files", "h", 1, &small).unwrap();
    let text =
        |n: u64| format!("m v=\"{:x}\" {n}\n", u128::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060));
    let lines: String = (0..20_000).map(text).collect();
    for lines in [lines.as_str(), "a v=1 1\nb v=1 1\na v=1 2\nc v=1 1\n"] {
        assert_eq!(sink.write(&request(lines)), Outcome::Held);
        assert!(sink.open.len() <= 2);
    }
    assert_eq!(sink.commit(), Outcome::accepted());
    assert!(files(dir.path()).len() > 5, "{:?}", files(dir.path()));
    assert_eq!(rows(dir.path()).len(), 20_004);
}

#[test]
fn leftovers_of_a_dead_process_are_removed_and_those_of_a_living_twin_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut dead = sink(dir.path());
    assert_eq!(dead.write(&request("m v=1 1\n")), Outcome::Held);
    let hidden = files(dir.path());
    assert!(hidden.len() == 1 && hidden[0].contains("/.part-") && hidden[0].ends_with(".tmp"), "{hidden:?}");
    let twin = sink(dir.path());
    assert_eq!(files(dir.path()), hidden, "the owner lives");
    drop(twin);
    let kept = dir.path().join(&hidden[0]);
    drop(dead);
    assert_eq!(files(dir.path()).len(), 0, "an owner that ends cleans up");
    fs::write(&kept, "half a file").unwrap();
    let other = kept.with_file_name(".part-host-1-other-17-1.parquet.tmp");
    fs::write(&other, "not ours").unwrap();
    drop(sink(dir.path()));
    assert!(!kept.exists() && other.exists());
}

#[test]
fn a_name_that_is_taken_is_never_used_again() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let mut sink = sink(dir.path());
        assert_eq!(sink.write(&request("m v=1 1\n")), Outcome::Held);
        assert_eq!(sink.close(), Outcome::accepted());
    }
    assert_eq!(files(dir.path()).len(), 3);
    assert_eq!(rows(dir.path()).len(), 3);
}

/// Writes two requests the way a writer does: what is given back is written again.
fn write_twice(dir: &Path, disk: &FaultyDisk) -> u32 {
    let mut sink = ParquetSink::on(Box::new(disk.clone()), "files", "h", 1, &settings(dir)).unwrap();
    let requests = [request("a v=1 1\nb v=1 1\n"), request("a v=2,w=1 2\nc v=1 86400000000000\n")];
    for failures in 0..4 {
        let mut taken = 0;
        while let Some(request) = requests.get(taken) {
            match sink.write(request) {
                Outcome::Held => taken += 1,
                Outcome::NotSent(_) => assert!(files(dir).is_empty(), "given back, so removed"),
                other => panic!("{other:?}"),
            }
        }
        match sink.commit() {
            Outcome::NotSent(_) => assert!(files(dir).is_empty(), "given back, so removed"),
            outcome => {
                assert_eq!(outcome, Outcome::accepted());
                return failures;
            }
        }
    }
    panic!("never stored")
}

#[test]
fn whatever_operation_fails_the_points_are_stored_exactly_once() {
    let counted = FaultyDisk::new(0);
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(write_twice(dir.path(), &counted), 0);
    let expected = rows(dir.path());
    assert_eq!(expected.len(), 4);
    assert!(counted.operations() > 20, "{}", counted.operations());
    for fails_at in 1..=counted.operations() {
        let dir = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new(fails_at);
        write_twice(dir.path(), &disk);
        assert!(disk.operations() > fails_at, "operation {fails_at} was reached");
        assert_eq!(rows(dir.path()), expected, "operation {fails_at} failed");
    }
}

#[test]
fn a_measurement_with_a_hostile_name_stays_below_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("data");
    let mut sink = sink(&below);
    assert_eq!(sink.write(&request("../../etc v=1 1\n. v=1 1\n/tmp v=1 1\n")), Outcome::Held);
    assert_eq!(sink.commit(), Outcome::accepted());
    assert_eq!(files(&below).len(), 3);
    let outside: Vec<PathBuf> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(outside, [below]);
}

/// One line and the row that must come back.
fn line() -> impl Strategy<Value = (String, String)> {
    let tag = proptest::option::of("[a-zA-Z0-9/é]{1,6}");
    let fields = (
        proptest::option::of(-1e300..1e300f64),
        proptest::option::of(any::<i64>()),
        proptest::option::of(any::<bool>()),
        proptest::option::of("[ -!#-\\[\\]-~é]{0,8}"),
    );
    ("[mn]", tag.clone(), tag, fields, -200_000_000_000_000i64..200_000_000_000_000).prop_map(
        |(measurement, a, b, (float, int, truth, text), time)| {
            let tags = [("a", a), ("b", b)];
            let tags = || tags.iter().filter_map(|(k, v)| v.as_ref().map(|v| (k, v)));
            let mut fields = vec!["z=0i".to_owned()];
            fields.extend(float.map(|v| format!("f={v:?}")));
            fields.extend(int.map(|v| format!("i={v}i")));
            fields.extend(truth.map(|v| format!("t={v}")));
            fields.extend(text.map(|v| format!("s=\"{v}\"")));
            let head: String = tags().map(|(k, v)| format!(",{k}={v}")).collect();
            let line = format!("{measurement}{head} {} {time}\n", fields.join(","));
            let mut cells: Vec<String> = tags().map(|(k, v)| format!("{k}:{v}")).collect();
            cells.push(format!("@{time}"));
            cells.extend(fields);
            cells.sort();
            (line, format!("{measurement} {}", cells.join(" ")))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn any_lines_come_back_as_they_were(lines in proptest::collection::vec(line(), 1..60), cut in 0usize..60) {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = sink(dir.path());
        let cut = cut.min(lines.len());
        for part in [&lines[..cut], &lines[cut..]] {
            let text: String = part.iter().map(|(line, _)| line.as_str()).collect();
            prop_assert_eq!(sink.write(&request(&text)), Outcome::Held);
        }
        prop_assert_eq!(sink.commit(), Outcome::accepted());
        let mut expected: Vec<String> = lines.into_iter().map(|(_, row)| row).collect();
        expected.sort();
        prop_assert_eq!(rows(dir.path()), expected);
    }
}
