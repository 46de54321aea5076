//! The spool: batches on disk that a sink has not taken yet. It always starts, whatever it finds: damaged bytes are
//! copied to `quarantine/` and counted in points, and no file has to be deleted by hand. A record goes when it
//! is acknowledged, its segment when all of its records are; after a crash what was not is sent again. It owns
//! no thread and reads no clock; who calls it decides when to sync and what to do when it is full.

mod cursor;
mod expire;
pub mod fingerprint;
pub mod inspect;
pub mod positions;
pub mod record;
mod recover;
mod scan;
pub mod store;
mod sync;
mod take;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use crate::batch::Batch;
use cursor::Cursor;
use positions::Positions;
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
    #[error("spool.max_bytes is reached: {bytes} of {bytes_max} bytes")]
    Full {
        /// Bytes in it.
        bytes: u64,
        /// Its bound.
        bytes_max: u64,
    },
    /// The disk would have less than `free_bytes_min` left.
    #[error("its disk is nearly full: {free_bytes} bytes free, spool.min_free_bytes: {free_bytes_min}")]
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
    /// Of these, points that no one has been given.
    pub waiting: u64,
    /// Points found at the start.
    pub recovered: u64,
    /// Points that were found missing or damaged at the start.
    pub damaged_before: u64,
    /// Points that were found damaged when their turn came; they are in `recovered`.
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
    /// Records before this one are done.
    first_left: usize,
    /// Wall time of the last append.
    written_ns: i64,
}

impl Segment {
    fn new(
        name: String,
        file: Box<dyn StoreFile>,
        bytes: u64,
        records: Vec<Record>,
        written_ns: i64,
    ) -> Self {
        let left = records.iter().filter(|record| record.state != State::Done).count();
        Self { name, file, bytes, records, left, first_waiting: 0, first_left: 0, written_ns }
    }

    /// Id of the first record that is not done.
    fn first_left(&mut self) -> Option<u64> {
        let rest = self.records.get(self.first_left..).unwrap_or_default();
        self.first_left += rest.iter().take_while(|record| record.state == State::Done).count();
        self.records.get(self.first_left).map(|record| record.head.id)
    }
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
    /// Records written since the last sync, with all their bytes: a failed sync loses them in the kernel.
    unsynced: Vec<(RecordId, Vec<u8>)>,
    /// Segments of an earlier process that were not synced by this one.
    found: BTreeSet<u64>,
    /// Segments whose sync has failed and whose records are not all written again yet.
    suspects: BTreeSet<u64>,
    /// Where records stand now that a failed sync had written again.
    moved: HashMap<RecordId, RecordId>,
    cursor: Cursor,
    positions: Positions,
    /// Id of the first record of this process.
    begun_id: u64,
    stats: SpoolStats,
}

/// What the name of a segment says: `00000000000000000007-00000000000000001234-1f2e3d4c.spool`. It says it once more
/// should the header be damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    /// Number of the segment.
    number: u64,
    /// Id of its first record.
    first_id: u64,
    /// The first bytes of the sink's fingerprint.
    owner: u32,
}

impl Name {
    fn text(self) -> String {
        let Self { number, first_id, owner } = self;
        format!("{number:020}-{first_id:020}-{owner:08x}{SEGMENT_ENDING}")
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.strip_suffix(SEGMENT_ENDING)?.splitn(3, '-');
        let (number, first_id) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        // Behind the last number there could be no further segment.
        (number < u64::MAX).then_some(())?;
        Some(Self { number, first_id, owner: u32::from_str_radix(parts.next()?, 16).ok()? })
    }
}

/// The first bytes of a fingerprint.
fn owner(fingerprint: &[u8; 16]) -> u32 {
    fingerprint.first_chunk().map_or(0, |short| u32::from_be_bytes(*short))
}

impl Spool {
    /// Appends a batch; it is safe from a crash of this process at once, from one of the machine after
    /// [`Spool::sync`].
    pub fn append(&mut self, batch: &Batch, now_ns: i64) -> Result<RecordId, AppendError> {
        let points = u32::try_from(batch.points).unwrap_or(u32::MAX);
        if batch.lines.len() > LINES_BYTES_MAX || u64::from(points) != batch.points {
            return Err(io::Error::other(format!("a batch must be at most {LINES_BYTES_MAX} bytes")).into());
        }
        let mut bytes =
            Vec::with_capacity(record::HEAD_BYTES + batch.lines.len() + 64 * batch.positions.len());
        bytes.resize(record::HEAD_BYTES, 0);
        positions::write(&batch.positions, &mut bytes);
        let head = Head::of(self.next_id, points, bytes.len() - record::HEAD_BYTES, &batch.lines);
        bytes.extend_from_slice(&batch.lines);
        bytes.iter_mut().zip(head.to_bytes()).for_each(|(to, from)| *to = from);
        self.check_room(bytes.len() as u64)?;
        let id = match self.write(head, &bytes, now_ns) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                self.make_room();
                self.write(head, &bytes, now_ns)?
            }
            written => written?,
        };
        self.next_id = head.next_id();
        self.stats.points += batch.points;
        self.unsynced.push((id, bytes));
        Ok(id)
    }

    fn check_room(&mut self, wanted: u64) -> Result<(), AppendError> {
        let Limits { bytes_max, free_bytes_min, .. } = self.limits;
        if self.stats.bytes + wanted > bytes_max {
            self.make_room();
        }
        let bytes = self.stats.bytes;
        if bytes + wanted > bytes_max {
            return Err(AppendError::Full { bytes, bytes_max });
        }
        if self.store.free_bytes()? < free_bytes_min.saturating_add(wanted) {
            self.make_room();
        }
        let free_bytes = self.store.free_bytes()?;
        if free_bytes < free_bytes_min.saturating_add(wanted) {
            return Err(AppendError::LowDisk { free_bytes, free_bytes_min });
        }
        Ok(())
    }

    /// Writes one record to the active segment, and leaves nothing of it if that fails.
    fn write(&mut self, head: Head, record: &[u8], now_ns: i64) -> io::Result<RecordId> {
        let number = match self.active {
            Some(number) => number,
            None => self.begin_segment(head.id, now_ns)?,
        };
        let Some(segment) = self.segments.get_mut(&number) else {
            return Err(io::Error::other("the active segment is gone"));
        };
        let before = segment.bytes;
        if let Err(error) = segment.file.append(record) {
            // What cannot be cut off is stepped over at the next start; nothing more is written behind it.
            if segment.file.truncate(before).is_err() {
                self.active = None;
            }
            return Err(error);
        }
        segment.bytes += head.record_bytes();
        segment.left += 1;
        segment.written_ns = now_ns;
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
        let name = Name { number, first_id, owner: owner(&self.fingerprint) }.text();
        let header = Header { fingerprint: self.fingerprint, first_id, created_ns: now_ns };
        let mut file = self.store.create(&name)?;
        self.next_segment = self.next_segment.saturating_add(1);
        if let Err(error) = file.append(&header.to_bytes()) {
            self.store.remove(&name).ok();
            return Err(error);
        }
        let bytes = record::HEADER_BYTES as u64;
        self.segments.insert(number, Segment::new(name, file, bytes, Vec::new(), now_ns));
        self.stats.bytes += bytes;
        self.active = Some(number);
        Ok(number)
    }

    /// Nothing more is written to the active segment.
    fn close_segment(&mut self) {
        self.active = None;
    }

    /// Closes the spool: what is done goes, the rest is durable and is found at the next start.
    pub fn close(&mut self, now_ns: i64) -> io::Result<()> {
        let synced = self.sync(now_ns);
        self.close_segment();
        self.sweep(None);
        self.save_cursor();
        synced
    }

    /// Where the sources stood in what was found at the start, sent or not.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }

    /// Whether records of an earlier process are still there.
    pub fn has_recovered(&self) -> bool {
        self.segments.values().any(|segment| {
            let rest = segment.records.get(segment.first_left..).unwrap_or_default();
            let first = rest.iter().find(|record| record.state != State::Done);
            first.is_some_and(|record| record.head.id < self.begun_id)
        })
    }

    /// What it holds and has met.
    pub fn stats(&self) -> SpoolStats {
        SpoolStats { segments: self.segments.len() as u64, ..self.stats }
    }

    /// The id of a record, which stays the same if a failed sync has it written again.
    pub fn id_of(&self, id: RecordId) -> Option<u64> {
        let mut id = id;
        while let Some(moved) = self.moved.get(&id) {
            id = *moved;
        }
        self.record(id).map(|record| record.head.id)
    }

    /// Bytes that were appended since the last sync that succeeded.
    pub fn unsynced_bytes(&self) -> u64 {
        self.unsynced.iter().map(|(_, bytes)| bytes.len() as u64).sum()
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
        let points = u64::from(record.head.points);
        self.stats.waiting += if state == State::Waiting { points } else { 0 };
        self.stats.waiting -= if record.state == State::Waiting { points } else { 0 };
        record.state = state;
        if state == State::Waiting {
            segment.first_waiting = segment.first_waiting.min(id.at);
        }
    }

    /// A record is done with, whatever became of it.
    fn finish(&mut self, id: RecordId) {
        let Some(points) = self.record(id).filter(|record| record.state != State::Done) else { return };
        self.stats.points -= u64::from(points.head.points);
        self.set_state(id, State::Done);
    }
}
