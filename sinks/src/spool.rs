//! The spool: batches on disk that a sink has not taken yet. It always starts, whatever it finds: damaged bytes are
//! copied to `quarantine/` and counted in points, and no file has to be deleted by hand. A record goes when it
//! is acknowledged, its segment when all of its records are; after a crash what was not is sent again. It owns
//! no thread and reads no clock; who calls it decides when to sync and what to do when it is full.

pub mod record;
mod recover;
mod scan;
pub mod store;
mod sync;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use record::{Head, Header, LINES_BYTES_MAX};
use store::{Store, StoreFile};

/// Ending of a segment's name.
const SEGMENT_ENDING: &str = ".spool";

/// Bounds of a spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all segments.
    pub bytes_max: u64,
    /// Bytes that the disk keeps free.
    pub free_bytes_min: u64,
    /// Bytes after which a segment is followed by the next.
    pub segment_bytes: u64,
}

/// A record of an open spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordId {
    segment: u64,
    at: usize,
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// `bytes_max` would be passed.
    #[error("the spool is full: {bytes} of {bytes_max} bytes")]
    Full {
        /// Bytes in it.
        bytes: u64,
        /// Its bound.
        bytes_max: u64,
    },
    /// The disk would have less than `free_bytes_min` left.
    #[error("the disk is nearly full: {free_bytes} bytes free, {free_bytes_min} are kept free")]
    LowDisk {
        /// Bytes free.
        free_bytes: u64,
        /// Its bound.
        free_bytes_min: u64,
    },
    /// The disk does not take it. Nothing of the batch stands in the spool.
    #[error("spool: {0}")]
    Io(#[from] io::Error),
}

/// What a spool holds and has met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolStats {
    /// Bytes of all segments.
    pub bytes: u64,
    /// Segments.
    pub segments: u64,
    /// Points that are not acknowledged.
    pub points: u64,
    /// Points found at the start.
    pub recovered: u64,
    /// Points in damaged records.
    pub damaged: u64,
    /// Damaged places.
    pub damages: u64,
    /// Segments left alone: of another sink or another version.
    pub foreign: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Taken,
    Done,
}

#[derive(Debug)]
struct Record {
    head: Head,
    at: u64,
    state: State,
}

#[derive(Debug)]
struct Segment {
    name: String,
    file: Box<dyn StoreFile>,
    bytes: u64,
    records: Vec<Record>,
    /// Records that are not done.
    left: usize,
    /// Records before this one are taken or done.
    first_waiting: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Spool {
    store: Box<dyn Store>,
    quarantine: Box<dyn Store>,
    fingerprint: [u8; 16],
    limits: Limits,
    /// By number, which is the order of their making.
    segments: BTreeMap<u64, Segment>,
    /// The segment that is written.
    active: Option<u64>,
    next_segment: u64,
    next_id: u64,
    /// Records written since the last sync, with their lines: a failed sync loses them in the kernel.
    unsynced: Vec<(RecordId, Vec<u8>)>,
    /// Segments of an earlier process that were not synced by this one.
    found: BTreeSet<u64>,
    /// Segments whose sync has failed and whose records are not all written again yet.
    suspects: BTreeSet<u64>,
    /// Where records stand now that a failed sync had written again.
    moved: HashMap<RecordId, RecordId>,
    stats: SpoolStats,
}

/// `00000000000000000007-00000000000000001234.spool`: number of the segment, id of its first record.
fn segment_name(number: u64, first_id: u64) -> String {
    format!("{number:020}-{first_id:020}{SEGMENT_ENDING}")
}

fn read_name(name: &str) -> Option<(u64, u64)> {
    let (number, first_id) = name.strip_suffix(SEGMENT_ENDING)?.split_once('-')?;
    Some((number.parse().ok()?, first_id.parse().ok()?))
}

impl Spool {
    /// Appends a batch; it is safe from a crash of this process at once, from one of the machine after
    /// [`Spool::sync`].
    pub fn append(&mut self, lines: &[u8], points: u32, now_ns: i64) -> Result<RecordId, AppendError> {
        self.check_room(lines)?;
        let head = Head::of(self.next_id, points, lines);
        let id = self.write(head, lines, now_ns)?;
        self.next_id = head.next_id();
        self.stats.points += u64::from(points);
        self.unsynced.push((id, lines.to_vec()));
        Ok(id)
    }

    fn check_room(&self, lines: &[u8]) -> Result<(), AppendError> {
        let (bytes, bytes_max) = (self.stats.bytes, self.limits.bytes_max);
        let wanted = (record::HEAD_BYTES + lines.len()) as u64;
        if bytes + wanted > bytes_max {
            return Err(AppendError::Full { bytes, bytes_max });
        }
        let (free_bytes, free_bytes_min) = (self.store.free_bytes()?, self.limits.free_bytes_min);
        if free_bytes < free_bytes_min.saturating_add(wanted) {
            return Err(AppendError::LowDisk { free_bytes, free_bytes_min });
        }
        if lines.len() > LINES_BYTES_MAX {
            return Err(io::Error::other(format!("a batch must be at most {LINES_BYTES_MAX} bytes")).into());
        }
        Ok(())
    }

    /// Writes one record to the active segment, and leaves nothing of it if that fails.
    fn write(&mut self, head: Head, lines: &[u8], now_ns: i64) -> io::Result<RecordId> {
        let number = match self.active {
            Some(number) => number,
            None => self.begin_segment(head.id, now_ns)?,
        };
        let Some(segment) = self.segments.get_mut(&number) else {
            return Err(io::Error::other("the active segment is gone"));
        };
        let before = segment.bytes;
        let written = segment.file.append(&head.to_bytes()).and_then(|()| segment.file.append(lines));
        if let Err(error) = written {
            // What cannot be cut off is stepped over at the next start; nothing more is written behind it.
            if segment.file.truncate(before).is_err() {
                self.active = None;
            }
            return Err(error);
        }
        segment.bytes += head.record_bytes();
        segment.left += 1;
        // The sink has it already, or will be given it: whoever appends decides with `give_back`.
        segment.records.push(Record { head, at: before, state: State::Taken });
        let id = RecordId { segment: number, at: segment.records.len() - 1 };
        self.stats.bytes += head.record_bytes();
        if segment.bytes >= self.limits.segment_bytes {
            self.close_segment();
        }
        Ok(id)
    }

    fn begin_segment(&mut self, first_id: u64, now_ns: i64) -> io::Result<u64> {
        let number = self.next_segment;
        let name = segment_name(number, first_id);
        let header = Header { fingerprint: self.fingerprint, first_id, created_ns: now_ns };
        let mut file = self.store.create(&name)?;
        self.next_segment += 1;
        if let Err(error) = file.append(&header.to_bytes()) {
            self.store.remove(&name).ok();
            return Err(error);
        }
        let bytes = record::HEADER_BYTES as u64;
        let segment = Segment { name, file, bytes, records: Vec::new(), left: 0, first_waiting: 0 };
        self.segments.insert(number, segment);
        self.stats.bytes += bytes;
        self.active = Some(number);
        Ok(number)
    }

    /// Nothing more is written to the active segment.
    fn close_segment(&mut self) {
        let Some(number) = self.active.take() else { return };
        self.remove_if_done(number);
    }

    /// The oldest record that waits, with its lines in `into`; it is the caller's until [`Spool::acknowledge`] or
    /// [`Spool::give_back`]. Damaged ones are stepped over and counted.
    pub fn take_oldest(&mut self, into: &mut Vec<u8>) -> io::Result<Option<(RecordId, u32)>> {
        while let Some(id) = self.first_waiting() {
            let Some((segment, record)) = self.place(id) else { return Ok(None) };
            let head = record.head;
            into.resize(head.lines_bytes as usize, 0);
            let read = segment.file.read_at(record.at + record::HEAD_BYTES as u64, into)?;
            into.truncate(read);
            if head.fits(into) {
                self.set_state(id, State::Taken);
                return Ok(Some((id, head.points)));
            }
            self.give_up(id, into);
        }
        Ok(None)
    }

    /// A record whose lines are damaged: they are kept, counted, and never sent.
    fn give_up(&mut self, id: RecordId, lines: &[u8]) {
        let Some((segment, record)) = self.place(id) else { return };
        let (name, at, points) = (segment.name.clone(), record.at, u64::from(record.head.points));
        self.stats.damages += 1;
        self.stats.damaged += points;
        let kept = self.quarantine.create(&format!("{name}-{at}")).and_then(|mut file| file.append(lines));
        // Counted all the same: a full disk must not stop what is whole.
        kept.ok();
        self.finish(id);
    }

    /// The record is stored by the sink: it goes.
    pub fn acknowledge(&mut self, id: RecordId) {
        let id = self.resolve(id);
        self.finish(id);
    }

    /// The record waits again, because the sink did not take it.
    pub fn give_back(&mut self, id: RecordId) {
        let id = self.resolve(id);
        self.set_state(id, State::Waiting);
    }

    /// Throws away the oldest records that wait, until a segment goes; returns their points.
    pub fn drop_oldest(&mut self) -> u64 {
        let Some(first) = self.first_waiting() else { return 0 };
        let mut dropped = 0;
        while let Some(id) = self.first_waiting().filter(|id| id.segment == first.segment) {
            dropped += self.record(id).map_or(0, |record| u64::from(record.head.points));
            self.finish(id);
        }
        if self.active == Some(first.segment) {
            self.close_segment();
        }
        dropped
    }

    /// Closes the spool: what is done goes, the rest is durable and is found at the next start.
    pub fn close(&mut self, now_ns: i64) -> io::Result<()> {
        let synced = self.sync(now_ns);
        self.close_segment();
        synced
    }

    /// What it holds and has met.
    pub fn stats(&self) -> SpoolStats {
        SpoolStats { segments: self.segments.len() as u64, ..self.stats }
    }

    fn resolve(&mut self, mut id: RecordId) -> RecordId {
        while let Some(moved) = self.moved.remove(&id) {
            id = moved;
        }
        id
    }

    fn place(&self, id: RecordId) -> Option<(&Segment, &Record)> {
        let segment = self.segments.get(&id.segment)?;
        Some((segment, segment.records.get(id.at)?))
    }

    fn record(&self, id: RecordId) -> Option<&Record> {
        self.place(id).map(|(_, record)| record)
    }

    fn first_waiting(&mut self) -> Option<RecordId> {
        for (&number, segment) in &mut self.segments {
            let rest = segment.records.get(segment.first_waiting..).unwrap_or_default();
            let passed = rest.iter().take_while(|record| record.state != State::Waiting).count();
            segment.first_waiting += passed;
            if segment.first_waiting < segment.records.len() {
                return Some(RecordId { segment: number, at: segment.first_waiting });
            }
        }
        None
    }

    fn set_state(&mut self, id: RecordId, state: State) {
        let Some(segment) = self.segments.get_mut(&id.segment) else { return };
        let Some(record) = segment.records.get_mut(id.at) else { return };
        if record.state != State::Done && state == State::Done {
            segment.left -= 1;
        }
        record.state = state;
        if state == State::Waiting {
            segment.first_waiting = segment.first_waiting.min(id.at);
        }
        self.remove_if_done(id.segment);
    }

    /// A record is done with, whatever became of it.
    fn finish(&mut self, id: RecordId) {
        let Some(points) = self.record(id).filter(|record| record.state != State::Done) else { return };
        self.stats.points -= u64::from(points.head.points);
        self.set_state(id, State::Done);
    }

    /// Removes a segment that nobody needs. One that cannot be removed now is found, and sent again, at the next
    /// start.
    fn remove_if_done(&mut self, number: u64) {
        let done = self.segments.get(&number).is_some_and(|segment| segment.left == 0);
        if !done || self.active == Some(number) {
            return;
        }
        if let Some(segment) = self.segments.remove(&number) {
            self.stats.bytes = self.stats.bytes.saturating_sub(segment.bytes);
            self.store.remove(&segment.name).ok();
        }
    }
}
