//! Parquet files, `DIR/<measurement>/date=YYYY-MM-DD/part-….parquet`. Everything written since the last commit
//! is in hidden files; [`Sink::commit`] closes, syncs and renames them all, or removes them all and says
//! NotSent. So a reader never meets a file without its footer, and a failed commit leaves no second copy.
//!
//! Memory: an open file holds at most a row group of 8 MiB; all of it is emptied at each commit.

pub mod compact;
mod folder;
mod part;
mod shape;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use influxdb_line_protocol::{ParsedLine, parse_lines};
use tickline_config::model;

use crate::disk::{Disk, LocalDisk, fault};
use crate::open::OpenError;
use crate::sink::{Fault, Outcome, RejectReason, Request, Sink};
use folder::{Folder, Hidden};
use part::Part;
use shape::{Fit, Shape};

const DAY_NS: i64 = 86_400_000_000_000;

/// Writes typed columns, one open file a measurement, shape and UTC day.
pub struct ParquetSink {
    folder: Folder,
    file_bytes_max: u64,
    open_files_max: usize,
    /// Shapes of the lines of each measurement, kept as long as the sink lives.
    measurements: HashMap<String, usize>,
    shapes: Vec<Shapes>,
    open: HashMap<PartKey, Part>,
    opened: u64,
    slots: Vec<usize>,
    epoch: Epoch,
}

/// One measurement: a shape more for each line whose types contradict the others.
struct Shapes {
    measurement: String,
    shapes: Vec<Shape>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct PartKey {
    measurement: usize,
    shape: usize,
    day: i64,
}

/// What was taken since the last commit.
#[derive(Default)]
struct Epoch {
    requests: u64,
    bad_lines: u64,
    bad_sample: Option<String>,
    /// Every file made since, none of them named.
    files: Vec<Hidden>,
    failed: Option<Fault>,
}

impl std::fmt::Debug for ParquetSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetSink").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl ParquetSink {
    /// Makes the folder and removes what a dead process of this sink and instance has left unfinished.
    pub fn open(
        name: &str,
        instance: &str,
        started_ns: i64,
        settings: &model::Parquet,
    ) -> Result<Self, OpenError> {
        Self::on(Box::new(LocalDisk), name, instance, started_ns, settings)
    }

    fn on(
        disk: Box<dyn Disk>,
        name: &str,
        instance: &str,
        started_ns: i64,
        settings: &model::Parquet,
    ) -> Result<Self, OpenError> {
        let folder =
            Folder::open(disk, settings.dir.clone(), instance, name, started_ns).map_err(|source| {
                let path = settings.dir.display().to_string();
                OpenError::Io { sink: name.to_owned(), key: "dir", path, source }
            })?;
        Ok(Self {
            folder,
            file_bytes_max: settings.file_bytes_max,
            open_files_max: settings.open_files_max.max(1),
            measurements: HashMap::new(),
            shapes: Vec::new(),
            open: HashMap::new(),
            opened: 0,
            slots: Vec::new(),
            epoch: Epoch::default(),
        })
    }

    /// Appends every line. A bad line is counted; only the disk can make this fail.
    fn append(&mut self, lines: &[u8]) -> Result<(), Fault> {
        for line in lines.split_inclusive(|b| *b == b'\n') {
            let appended = match read(line) {
                Ok(parsed) => self.append_line(&parsed)?,
                Err(why) => Err(why),
            };
            if let Err(why) = appended {
                self.epoch.bad_lines += 1;
                self.epoch.bad_sample.get_or_insert_with(|| {
                    let start = String::from_utf8_lossy(line.get(..200).unwrap_or(line)).trim().to_owned();
                    format!("{why}: {start}")
                });
            }
        }
        Ok(())
    }

    /// The outer error is the disk's, the inner one the line's.
    fn append_line(&mut self, line: &ParsedLine<'_>) -> Result<Result<(), String>, Fault> {
        let Some(time) = line.timestamp else { return Ok(Err("no time".to_owned())) };
        let measurement = line.series.measurement.as_str();
        if !Folder::can_name(measurement) {
            return Ok(Err("measurement too long for a folder".to_owned()));
        }
        let measurement = self.measurement(measurement);
        let shape = match self.shape(measurement, line) {
            Ok((shape, widened)) => {
                if widened {
                    self.finish_shape(measurement, shape)?;
                }
                shape
            }
            Err(why) => return Ok(Err(why)),
        };
        let key = PartKey { measurement, shape, day: time.div_euclid(DAY_NS) };
        if !self.open.contains_key(&key) {
            self.open_part(key)?;
        }
        let Some(part) = self.open.get_mut(&key) else { return Ok(Ok(())) };
        let grown = part.append(line, &self.slots, time).map_err(|error| fault("parquet", &error))?;
        if grown.is_some_and(|bytes| bytes >= self.file_bytes_max) {
            self.finish(key)?;
        }
        Ok(Ok(()))
    }

    fn measurement(&mut self, name: &str) -> usize {
        if let Some(at) = self.measurements.get(name) {
            return *at;
        }
        self.shapes.push(Shapes { measurement: name.to_owned(), shapes: Vec::new() });
        self.measurements.insert(name.to_owned(), self.shapes.len() - 1);
        self.shapes.len() - 1
    }

    /// The newest shape that the line fits, widened if need be, else a new one.
    fn shape(&mut self, measurement: usize, line: &ParsedLine<'_>) -> Result<(usize, bool), String> {
        let Some(of) = self.shapes.get_mut(measurement) else { return Err("unknown".to_owned()) };
        for (at, shape) in of.shapes.iter_mut().enumerate().rev() {
            match shape.fit(line, &mut self.slots)? {
                Fit::Same => return Ok((at, false)),
                Fit::Wider => return Ok((at, true)),
                Fit::Clash => {}
            }
        }
        let mut shape = Shape::default();
        shape.fit(line, &mut self.slots)?;
        of.shapes.push(shape);
        Ok((of.shapes.len() - 1, false))
    }

    fn open_part(&mut self, key: PartKey) -> Result<(), Fault> {
        if self.open.len() >= self.open_files_max
            && let Some(oldest) = self.open.iter().min_by_key(|(_, part)| part.opened()).map(|(key, _)| *key)
        {
            self.finish(oldest)?;
        }
        let Some(of) = self.shapes.get(key.measurement) else { return Ok(()) };
        let Some(shape) = of.shapes.get(key.shape) else { return Ok(()) };
        let (hidden, file) =
            self.folder.create(&of.measurement, key.day).map_err(|error| fault("create", &error))?;
        self.opened += 1;
        // Known to the epoch before anything can fail, so that it is removed whatever happens.
        self.epoch.files.push(hidden);
        let part = Part::new(shape, file, self.opened).map_err(|error| fault("parquet", &error))?;
        self.open.insert(key, part);
        Ok(())
    }

    fn finish_shape(&mut self, measurement: usize, shape: usize) -> Result<(), Fault> {
        let of = |key: &&PartKey| key.measurement == measurement && key.shape == shape;
        let keys: Vec<PartKey> = self.open.keys().filter(of).copied().collect();
        keys.into_iter().try_for_each(|key| self.finish(key))
    }

    fn finish(&mut self, key: PartKey) -> Result<(), Fault> {
        let Some(part) = self.open.remove(&key) else { return Ok(()) };
        part.finish().map_err(|error| fault("close", &error))
    }

    fn finish_all(&mut self) -> Result<(), Fault> {
        let keys: Vec<PartKey> = self.open.keys().copied().collect();
        keys.into_iter().try_for_each(|key| self.finish(key))
    }

    /// Removes everything since the last commit.
    fn discard(&mut self) {
        self.open.clear();
        for hidden in std::mem::take(&mut self.epoch).files {
            self.folder.remove(&hidden);
        }
    }

    fn publish(&mut self) -> Result<(), Fault> {
        if let Some(fault) = self.epoch.failed.take() {
            return Err(fault);
        }
        self.finish_all()?;
        self.folder.publish(&mut self.epoch.files).map_err(|error| fault("publish", &error))
    }
}

impl Sink for ParquetSink {
    /// After a fault the requests before it are lost with their files, so until the next commit gives all of
    /// them back, further requests are taken without being written.
    fn write(&mut self, request: &Request) -> Outcome {
        if self.epoch.failed.is_some() {
            return Outcome::Held;
        }
        if let Err(fault) = self.append(&request.lines) {
            let earlier = self.epoch.requests;
            self.discard();
            if earlier == 0 {
                return Outcome::NotSent(fault);
            }
            self.epoch.failed = Some(fault);
        }
        self.epoch.requests += 1;
        Outcome::Held
    }

    fn commit(&mut self) -> Outcome {
        if let Err(fault) = self.publish() {
            self.discard();
            return Outcome::NotSent(fault);
        }
        let done = std::mem::take(&mut self.epoch);
        if done.bad_lines == 0 {
            return Outcome::accepted();
        }
        Outcome::Stored {
            rejected: vec![(RejectReason::BadLine, done.bad_lines)],
            detail: done.bad_sample,
            lines: Vec::new(),
        }
    }
}

impl Drop for ParquetSink {
    fn drop(&mut self) {
        self.discard();
    }
}

/// Reads one line, which must be one point.
fn read(line: &[u8]) -> Result<ParsedLine<'_>, String> {
    let text = std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?;
    let mut lines = parse_lines(text);
    match (lines.next(), lines.next()) {
        (Some(Ok(line)), None) => Ok(line),
        (Some(Err(error)), _) => Err(error.to_string()),
        _ => Err("not one point".to_owned()),
    }
}
