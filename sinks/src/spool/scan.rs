//! Reads which records a segment has, by their heads alone, and steps over damage: the next head behind it is
//! found by its mark and its sum. Lines hold UTF-8, in which the mark's first byte cannot stand.

use std::io;

use super::record::{HEAD_BYTES, HEADER_BYTES, Head, RECORD_MAGIC};
use super::store::StoreFile;

/// Bytes looked through at once behind damage.
const WINDOW_BYTES: usize = 64 * 1024;

/// A record and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its head.
    pub head: Head,
    /// Where its head begins.
    pub at: u64,
}

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// Where they begin.
    pub from: u64,
    /// Where the next record or the end is.
    pub to: u64,
    /// Points that stood there, by the ids around them; those at the end are not known from here.
    pub points: u64,
}

/// What is in a segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// Whole records, in order.
    pub records: Vec<Found>,
    /// What stands between and behind them.
    pub damages: Vec<Damage>,
    /// The id behind the last record.
    pub next_id: u64,
}

/// Scans a segment whose first record has `first_id`.
pub(super) fn scan(file: &dyn StoreFile, first_id: u64) -> io::Result<Contents> {
    let end = file.bytes()?;
    let mut contents = Contents { next_id: first_id, ..Contents::default() };
    let mut at = (HEADER_BYTES as u64).min(end);
    while at < end {
        if let Some(head) = head_at(file, at, end, contents.next_id)? {
            contents.records.push(Found { head, at });
            contents.next_id = head.next_id();
            at += head.record_bytes();
            continue;
        }
        let next = find(file, at + 1, end, contents.next_id)?;
        let (to, id) = next.map_or((end, contents.next_id), |found| (found.at, found.head.id));
        contents.damages.push(Damage { from: at, to, points: id - contents.next_id });
        contents.next_id = id;
        at = to;
    }
    Ok(contents)
}

/// The record at `at`, if a whole one begins there that was not there before.
fn head_at(file: &dyn StoreFile, at: u64, end: u64, next_id: u64) -> io::Result<Option<Head>> {
    let mut bytes = [0; HEAD_BYTES];
    let read = file.read_at(at, &mut bytes)?;
    let head = bytes.get(..read).and_then(Head::parse);
    Ok(head.filter(|head| head.id >= next_id && head.record_bytes() <= end - at))
}

/// The first record from `from` on.
fn find(file: &dyn StoreFile, mut from: u64, end: u64, next_id: u64) -> io::Result<Option<Found>> {
    let mut window = vec![0; WINDOW_BYTES];
    while from < end {
        let read = file.read_at(from, &mut window)?;
        let bytes = window.get(..read).unwrap_or_default();
        let marks = bytes.windows(RECORD_MAGIC.len()).enumerate();
        for (offset, _) in marks.filter(|(_, bytes)| *bytes == RECORD_MAGIC) {
            let at = from + offset as u64;
            if let Some(head) = head_at(file, at, end, next_id)? {
                return Ok(Some(Found { head, at }));
            }
        }
        if read < WINDOW_BYTES {
            break;
        }
        // A mark may stand across two windows.
        from += (read - (RECORD_MAGIC.len() - 1)) as u64;
    }
    Ok(None)
}
