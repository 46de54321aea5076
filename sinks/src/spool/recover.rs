//! The start of a spool: takes in every segment that it finds, whole or not.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use super::record::{HEADER_BYTES, Header, HeaderError};
use super::scan::scan;
use super::store::{Store, StoreFile};
use super::{Limits, Record, Segment, Spool, SpoolStats, State, read_name};

impl Spool {
    /// Opens the spool of one sink. Reads heads only, so that a start does not wait for lines; those are checked
    /// when they are taken. Fails only if the folder cannot be read at all.
    pub fn open(
        store: Box<dyn Store>,
        quarantine: Box<dyn Store>,
        fingerprint: [u8; 16],
        limits: Limits,
    ) -> io::Result<Self> {
        let mut found: Vec<(u64, u64, String)> = Vec::new();
        for name in store.names()? {
            if let Some((number, first_id)) = read_name(&name) {
                found.push((number, first_id, name));
            }
        }
        found.sort_unstable();
        let next_segment = found.last().map_or(0, |(number, ..)| number.saturating_add(1));
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
            stats: SpoolStats::default(),
        };
        for (number, first_id, name) in found {
            spool.recover(number, first_id, name)?;
        }
        spool.stats.recovered = spool.stats.points;
        Ok(spool)
    }

    /// Takes in one segment. Its name says the first id where its header does not.
    fn recover(&mut self, number: u64, first_id: u64, name: String) -> io::Result<()> {
        let file = self.store.open(&name)?;
        let mut bytes = [0; HEADER_BYTES];
        let read = file.read_at(0, &mut bytes)?;
        match Header::parse(bytes.get(..read).unwrap_or_default()) {
            Ok(header) if header.fingerprint != self.fingerprint => {
                self.stats.foreign += 1;
                return Ok(());
            }
            Err(HeaderError::Version(_)) => {
                self.stats.foreign += 1;
                return Ok(());
            }
            Err(HeaderError::Damaged) => self.keep_damaged(&name, file.as_ref(), 0, read as u64),
            Ok(_) => {}
        }
        // Ids that a failed sync wrote a second time stand in two segments: the later one is the good one, but
        // either has the same lines, and what is sent twice is absorbed.
        let contents = scan(file.as_ref(), first_id)?;
        if first_id > self.next_id && self.next_id > 0 {
            self.stats.damaged += first_id - self.next_id;
        }
        for damage in &contents.damages {
            self.stats.damaged += damage.points;
            self.keep_damaged(&name, file.as_ref(), damage.from, damage.to);
        }
        let state = State::Waiting;
        let records: Vec<Record> =
            contents.records.iter().map(|found| Record { head: found.head, at: found.at, state }).collect();
        self.next_id = self.next_id.max(contents.next_id);
        if records.is_empty() {
            return self.store.remove(&name);
        }
        let (left, bytes) = (records.len(), file.bytes()?);
        self.stats.points += records.iter().map(|record| u64::from(record.head.points)).sum::<u64>();
        self.stats.bytes += bytes;
        self.found.insert(number);
        self.segments.insert(number, Segment { name, file, bytes, records, left, first_waiting: 0 });
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
