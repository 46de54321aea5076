//! The start of a spool: takes in every segment that it finds, whole or not.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use super::cursor::Cursor;
use super::positions::Positions;
use super::record::{HEAD_BYTES, HEADER_BYTES, Head, Header, HeaderError};
use super::scan::{Found, scan};
use super::store::{Store, StoreFile};
use super::{Limits, Name, Record, RecordId, Segment, Spool, SpoolStats, State};

impl Spool {
    /// Opens the spool of one sink. Reads heads only, so that a start does not wait for lines; those are checked
    /// when they are taken. Fails only if the folder cannot be read at all.
    pub fn open(
        store: Box<dyn Store>,
        quarantine: Box<dyn Store>,
        fingerprint: [u8; 16],
        limits: Limits,
    ) -> io::Result<Self> {
        let names = store.names()?.into_iter();
        let mut found: Vec<(Name, String)> =
            names.filter_map(|text| Some((Name::read(&text)?, text))).collect();
        found.sort_unstable();
        let next_segment = found.last().map_or(0, |(name, _)| name.number.saturating_add(1));
        let id = Cursor::read(store.as_ref(), &fingerprint);
        let mut spool = Self {
            store,
            quarantine,
            fingerprint,
            limits,
            segments: BTreeMap::new(),
            active: None,
            next_segment,
            next_id: 0,
            unsynced: Vec::new(),
            found: BTreeSet::new(),
            suspects: BTreeSet::new(),
            moved: HashMap::new(),
            cursor: Cursor::at(id),
            positions: Positions::default(),
            begun_id: 0,
            stats: SpoolStats::default(),
        };
        let mut last = None;
        for (name, text) in found {
            // Between two segments others may have stood that are done and gone.
            let follows = last.is_some_and(|last: u64| last.checked_add(1) == Some(name.number));
            if spool.recover(name, follows, text)? {
                last = Some(name.number);
            }
        }
        // A disk that has lost what the cursor has seen must not give its ids away again.
        spool.next_id = spool.next_id.max(id);
        spool.begun_id = spool.next_id;
        spool.stats.recovered = spool.stats.points;
        spool.sweep(None);
        Ok(spool)
    }

    /// Takes in one segment, unless it is another sink's. Its name says the first id where its header does not.
    fn recover(
        &mut self,
        Name { number, first_id, owner }: Name,
        follows: bool,
        name: String,
    ) -> io::Result<bool> {
        let file = self.store.open(&name)?;
        let mut bytes = [0; HEADER_BYTES];
        let read = file.read_at(0, &mut bytes)?;
        match Header::parse(bytes.get(..read).unwrap_or_default()) {
            Ok(header) if header.fingerprint != self.fingerprint => {
                self.stats.foreign += 1;
                return Ok(false);
            }
            Err(HeaderError::Version(_)) => {
                self.stats.foreign += 1;
                return Ok(false);
            }
            Err(HeaderError::Damaged) if owner != super::owner(&self.fingerprint) => {
                self.stats.foreign += 1;
                return Ok(false);
            }
            Err(HeaderError::Damaged) => self.keep_damaged(&name, file.as_ref(), 0, read as u64),
            Ok(_) => {}
        }
        let contents = scan(file.as_ref(), first_id)?;
        if follows {
            self.stats.damaged_before += first_id.saturating_sub(self.next_id);
        }
        for damage in &contents.damages {
            self.stats.damaged_before += damage.points;
            self.keep_damaged(&name, file.as_ref(), damage.from, damage.to);
        }
        let known_id = self.next_id;
        self.next_id = self.next_id.max(contents.next_id);
        let mut records = Vec::with_capacity(contents.records.len());
        for Found { head, at } in contents.records {
            self.read_positions(file.as_ref(), at, head)?;
            let state = if head.next_id() <= self.cursor.id { State::Done } else { State::Waiting };
            let points = if state == State::Done { 0 } else { u64::from(head.points) };
            self.stats.points += points;
            self.stats.waiting += points;
            records.push(Record { head, at, state });
        }
        let (bytes, written_ns) = (file.bytes()?, file.written_ns()?);
        self.stats.bytes += bytes;
        self.found.insert(number);
        let again: Vec<u64> =
            records.iter().map(|record| record.head.id).filter(|id| *id < known_id).collect();
        again.into_iter().for_each(|id| self.forget_copy(number, id));
        self.segments.insert(number, Segment::new(name, file, bytes, records, written_ns));
        Ok(true)
    }

    /// What a failed sync had written a second time stands in two segments. The later one counts: the other may never
    /// have reached the disk, and must not be the one that is left when somebody makes room.
    fn forget_copy(&mut self, later: u64, id: u64) {
        let copy = |(number, segment): (&u64, &Segment)| {
            let at = segment.records.binary_search_by_key(&id, |record| record.head.id).ok()?;
            Some(RecordId { segment: *number, at })
        };
        let copies: Vec<RecordId> = self.segments.range(..later).filter_map(copy).collect();
        copies.into_iter().for_each(|copy| self.finish(copy));
    }

    fn read_positions(&mut self, file: &dyn StoreFile, at: u64, head: Head) -> io::Result<()> {
        let mut bytes = vec![0; head.positions_bytes as usize];
        let read = file.read_at(at + HEAD_BYTES as u64, &mut bytes)?;
        self.positions.add(bytes.get(..read).unwrap_or_default());
        Ok(())
    }

    /// Copies damaged bytes away. A disk that cannot take the copy must not keep the spool from starting: then
    /// they are only counted.
    fn keep_damaged(&mut self, name: &str, file: &dyn StoreFile, from: u64, to: u64) {
        self.stats.damages += 1;
        let copy = || {
            let mut out = self.quarantine.create(&format!("{name}-{from}"))?;
            let (mut at, mut window) = (from, vec![0; 64 * 1024]);
            while at < to {
                let wanted = window.len().min(usize::try_from(to - at).unwrap_or(usize::MAX));
                let Some(room) = window.get_mut(..wanted) else { break };
                let read = file.read_at(at, room)?;
                if read == 0 {
                    break;
                }
                out.append(room.get(..read).unwrap_or_default())?;
                at += read as u64;
            }
            io::Result::Ok(())
        };
        // A copy of the same place may stand there from an earlier start.
        copy().ok();
    }
}
