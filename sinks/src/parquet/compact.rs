//! One file a measurement and day out of many: sorted by tags and time, each pair of them once. A Parquet folder is
//! at-least-once, and twins write each point twice; after this there is one of each. Of rows with equal tags and time
//! one is made, which has each value that any of them has, of several the last one: as InfluxDB keeps them.
//!
//! All rows of one measurement and day are in memory meanwhile. A kill leaves the old files, or the old files and the
//! new one, which the next run makes one again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use arrow_select::take::take;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::part;

/// What was done for one measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// Name and version of this form.
    pub schema: &'static str,
    /// Measurement, as its folder is called.
    pub measurement: String,
    /// Day, such as `2026-01-31`.
    pub day: String,
    /// The new file.
    pub file: String,
    /// Its rows.
    pub rows: u64,
    /// Rows of the files that it replaces.
    pub rows_before: u64,
    /// First and last time in it, ns since 1970.
    pub times_ns: (i64, i64),
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// The files that it replaces.
    pub replaced: Vec<String>,
}

/// Compacts a day of every measurement below `dir`. A day of one compact file is left alone. Where types contradict
/// each other, a measurement keeps a file for each kind of row.
pub fn compact(dir: &Path, day: &str, now_ns: i64) -> io::Result<Vec<Compacted>> {
    let lock = File::options().append(true).create(true).open(dir.join(".compact.lock"))?;
    lock.try_lock().map_err(|error| io::Error::other(format!("another compaction is running: {error}")))?;
    let mut done = Vec::new();
    let mut folders: Vec<PathBuf> =
        fs::read_dir(dir)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    folders.sort();
    for folder in
        folders.into_iter().map(|path| path.join(format!("date={day}"))).filter(|path| path.is_dir())
    {
        for (group, number) in groups(&folder)?.into_iter().zip(0..) {
            let alone = group.files.len() == 1 && group.files.iter().all(|file| is_compact(file));
            if !alone {
                done.push(write(&folder, day, &group, now_ns + number)?);
            }
        }
    }
    Ok(done)
}

fn is_compact(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("compact-"))
}

/// Files whose columns agree, with all of these columns.
struct Group {
    files: Vec<PathBuf>,
    schema: SchemaRef,
}

/// The files of a folder, older ones first, in as few groups as their types allow.
fn groups(folder: &Path) -> io::Result<Vec<Group>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".parquet") && (name.starts_with("part-") || name.starts_with("compact-")) {
            files.push((path.metadata()?.modified()?, path));
        }
    }
    files.sort();
    let mut groups: Vec<Group> = Vec::new();
    for (_, path) in files {
        let schema = Arc::clone(reader(&path)?.schema());
        let fits = groups.iter_mut().find_map(|group| Some((merged(&group.schema, &schema)?, group)));
        match fits {
            Some((schema, group)) => {
                group.schema = schema;
                group.files.push(path);
            }
            None => groups.push(Group { files: vec![path], schema }),
        }
    }
    Ok(groups)
}

fn reader(path: &Path) -> io::Result<ParquetRecordBatchReaderBuilder<File>> {
    let broken = |error| io::Error::other(format!("{}: {error}", path.display()));
    ParquetRecordBatchReaderBuilder::try_new(File::open(path)?).map_err(broken)
}

/// The columns of both, unless one has another type in each.
fn merged(one: &Schema, other: &Schema) -> Option<SchemaRef> {
    let mut fields: Vec<Arc<Field>> = one.fields().iter().cloned().collect();
    for field in other.fields() {
        match fields.iter().find(|known| known.name() == field.name()) {
            Some(known) if known.data_type() != field.data_type() => return None,
            Some(_) => {}
            None => fields.push(Arc::clone(field)),
        }
    }
    Some(Arc::new(Schema::new(fields)))
}

/// All rows of a group, those of older files first.
fn read(group: &Group) -> io::Result<RecordBatch> {
    let mut batches = Vec::new();
    for path in &group.files {
        let rows = reader(path)?.build().map_err(io::Error::other)?;
        for batch in rows {
            let batch = batch.map_err(io::Error::other)?;
            let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
                Some(column) => Arc::clone(column),
                None => new_null_array(field.data_type(), batch.num_rows()),
            };
            let columns: Vec<ArrayRef> = group.schema.fields().iter().map(column).collect();
            batches.push(RecordBatch::try_new(Arc::clone(&group.schema), columns).map_err(io::Error::other)?);
        }
    }
    concat_batches(&group.schema, &batches).map_err(io::Error::other)
}

/// For each row, where its tag stands among all values of that tag; rows without it come first.
fn ranks(tag: &dyn Array) -> Vec<u32> {
    let tag = tag.as_dictionary::<Int32Type>();
    let values = tag.values().as_string::<i32>();
    let sorted: BTreeMap<&str, u32> = values.iter().flatten().map(|value| (value, 0)).collect();
    let places: BTreeMap<&str, u32> = sorted.into_keys().zip(1..).collect();
    let place = |key: Option<i32>| {
        let value = key.and_then(|key| usize::try_from(key).ok()).filter(|key| values.is_valid(*key));
        value.and_then(|key| places.get(values.value(key)).copied()).unwrap_or(0)
    };
    tag.keys().iter().map(place).collect()
}

/// For each column the rows that its values are taken from, in order of tags and time, each of these once.
fn order(rows: &RecordBatch) -> io::Result<Vec<UInt32Array>> {
    let schema = rows.schema();
    let columns = || schema.fields().iter().zip(rows.columns());
    let tags: Vec<Vec<u32>> = columns()
        .filter(|(field, _)| matches!(field.data_type(), DataType::Dictionary(..)))
        .map(|(_, tag)| ranks(tag))
        .collect();
    let times = times(rows)?;
    let rank = |tag: &Vec<u32>, row: u32| tag.get(row as usize).copied().unwrap_or(0);
    let time = |row: u32| times.get(row as usize).copied().unwrap_or(0);
    let compare = |a: u32, b: u32| {
        let by_tags = tags.iter().map(|tag| rank(tag, a).cmp(&rank(tag, b))).find(|order| order.is_ne());
        by_tags.unwrap_or_else(|| time(a).cmp(&time(b)))
    };
    let count = u32::try_from(rows.num_rows()).map_err(io::Error::other)?;
    let mut all: Vec<u32> = (0..count).collect();
    // Equal ones stay in the order of their files.
    all.sort_by(|a, b| compare(*a, *b));
    let equal = || all.chunk_by(|a, b| compare(*a, *b).is_eq());
    let column = |column: &ArrayRef| {
        let value = |rows: &[u32]| {
            let with_value = rows.iter().rfind(|row| column.is_valid(**row as usize));
            with_value.or(rows.last()).copied()
        };
        UInt32Array::from_iter(equal().map(value))
    };
    Ok(rows.columns().iter().map(column).collect())
}

/// The times of all rows.
fn times(rows: &RecordBatch) -> io::Result<Vec<i64>> {
    let time =
        rows.column_by_name("time").and_then(|time| time.as_primitive_opt::<TimestampNanosecondType>());
    let time =
        time.ok_or_else(|| io::Error::other("a file without the column time in ns, which is none of ours"))?;
    Ok(time.values().to_vec())
}

/// Writes one group as one file and removes what it replaces.
fn write(folder: &Path, day: &str, group: &Group, stamp: i64) -> io::Result<Compacted> {
    let rows = read(group)?;
    let order = order(&rows)?;
    let columns: Result<Vec<ArrayRef>, _> =
        rows.columns().iter().zip(&order).map(|(column, from)| take(column, from, None)).collect();
    let sorted = RecordBatch::try_new(Arc::clone(&group.schema), columns.map_err(io::Error::other)?)
        .map_err(io::Error::other)?;
    let name = format!("compact-{stamp}.parquet");
    let hidden = folder.join(format!(".{name}.tmp"));
    let mut writer =
        ArrowWriter::try_new(File::create(&hidden)?, Arc::clone(&group.schema), Some(part::properties()))
            .map_err(io::Error::other)?;
    writer.write(&sorted).map_err(io::Error::other)?;
    writer.into_inner().map_err(io::Error::other)?.sync_all()?;
    let names = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let times = times(&sorted)?;
    let span = (times.iter().min().copied().unwrap_or(0), times.iter().max().copied().unwrap_or(0));
    let done = Compacted {
        schema: "tickline.compact/1",
        measurement: folder
            .parent()
            .and_then(Path::file_name)
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        day: day.to_owned(),
        rows: sorted.num_rows() as u64,
        rows_before: rows.num_rows() as u64,
        times_ns: span,
        sha256: Sha256::digest(fs::read(&hidden)?).iter().map(|byte| format!("{byte:02x}")).collect(),
        replaced: group.files.iter().map(names).collect(),
        file: name.clone(),
    };
    let mut manifest = File::create(folder.join(format!("{name}.json")))?;
    manifest.write_all(&serde_json::to_vec_pretty(&done)?)?;
    manifest.sync_all()?;
    fs::rename(&hidden, folder.join(&name))?;
    File::open(folder)?.sync_all()?;
    // Only now: whoever reads meanwhile sees some rows twice, and none is ever missing.
    for file in &group.files {
        fs::remove_file(file)?;
        fs::remove_file(file.with_extension("parquet.json")).ok();
    }
    File::open(folder)?.sync_all()?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet::ParquetSink;
    use crate::sink::{Outcome, Request, Sink};

    /// Writes lines as one commit of a sink of its own instance.
    fn commit(dir: &Path, instance: &str, lines: &str) {
        let settings = tickline_config::model::Parquet {
            dir: dir.to_owned(),
            file_bytes_max: 1 << 20,
            file_age_max: std::time::Duration::from_secs(60),
            held_bytes_max: 1 << 20,
            open_files_max: 8,
        };
        let mut sink = ParquetSink::open("files", instance, 1, &settings).unwrap();
        let points = lines.lines().count() as u64;
        assert_eq!(sink.write(&Request { lines: lines.to_owned().into(), points }), Outcome::Held);
        assert_eq!(sink.commit(), Outcome::accepted());
    }

    /// Rows as text, in the order of the file.
    fn rows(file: &Path) -> Vec<String> {
        let mut all = Vec::new();
        for batch in reader(file).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            let tag = batch.column_by_name("s").unwrap().as_dictionary::<Int32Type>().clone();
            let names = tag.values().as_string::<i32>().clone();
            let times =
                batch.column_by_name("time").unwrap().as_primitive::<TimestampNanosecondType>().clone();
            for row in 0..batch.num_rows() {
                let name = tag.keys().is_valid(row).then(|| names.value(tag.keys().value(row) as usize));
                let fields = ["a", "b"].map(|field| {
                    let column = batch.column_by_name(field)?;
                    let column = column.as_primitive::<arrow_array::types::Float64Type>();
                    column.is_valid(row).then(|| column.value(row))
                });
                all.push(format!("{:?} {} {:?}", name, times.value(row), fields));
            }
        }
        all
    }

    fn files(dir: &Path) -> Vec<PathBuf> {
        let all = fs::read_dir(dir.join("m/date=1970-01-01")).unwrap().map(|entry| entry.unwrap().path());
        let mut all: Vec<PathBuf> =
            all.filter(|path| path.extension().is_some_and(|e| e == "parquet")).collect();
        all.sort();
        all
    }

    #[test]
    fn what_twins_wrote_is_there_once_sorted_by_tags_and_time_with_all_values() {
        let dir = tempfile::tempdir().unwrap();
        commit(dir.path(), "one", "m,s=b a=1,b=2 5\nm,s=a a=3 9\nm,s=a a=4 7\nm a=0 8\n");
        commit(dir.path(), "two", "m,s=b b=7 5\nm,s=a a=3,b=6 9\nm,s=c a=9 1\n");
        let done = compact(dir.path(), "1970-01-01", 77).unwrap();
        let [done] = done.as_slice() else { panic!("{done:?}") };
        assert_eq!((done.rows, done.rows_before, done.times_ns), (5, 7, (1, 9)));
        assert_eq!(
            (done.measurement.as_str(), done.file.as_str(), done.replaced.len()),
            ("m", "compact-77.parquet", 3)
        );
        let left = files(dir.path());
        assert_eq!(left.len(), 1);
        let expected = [
            "None 8 [Some(0.0), None]",
            "Some(\"a\") 7 [Some(4.0), None]",
            "Some(\"a\") 9 [Some(3.0), Some(6.0)]",
            "Some(\"b\") 5 [Some(1.0), Some(7.0)]",
            "Some(\"c\") 1 [Some(9.0), None]",
        ];
        assert_eq!(rows(&left[0]), expected);
        let sum: String =
            Sha256::digest(fs::read(&left[0]).unwrap()).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(done.sha256, sum);
        assert_eq!(compact(dir.path(), "1970-01-01", 78).unwrap(), [], "there is nothing more to do");
        commit(dir.path(), "one", "m,s=b a=5 4\n");
        let again = compact(dir.path(), "1970-01-01", 79).unwrap();
        assert_eq!((again[0].rows, again[0].rows_before, files(dir.path()).len()), (6, 6, 1));
    }

    #[test]
    fn rows_whose_types_contradict_each_other_keep_a_file_each_and_other_days_stay() {
        let dir = tempfile::tempdir().unwrap();
        commit(dir.path(), "one", "m,s=b a=1 5\nm,s=b a=1 86400000000005\n");
        commit(dir.path(), "two", "m,s=b a=\"text\" 5\n");
        let done = compact(dir.path(), "1970-01-01", 1).unwrap();
        assert_eq!(done.iter().map(|done| done.rows).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(files(dir.path()).len(), 2);
        let other = fs::read_dir(dir.path().join("m/date=1970-01-02")).unwrap().count();
        assert_eq!(other, 1);
    }
}
