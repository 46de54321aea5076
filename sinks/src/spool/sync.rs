//! Makes a spool durable, and what is done when the disk refuses.

use std::collections::BTreeSet;
use std::io;

use super::{Spool, State};

impl Spool {
    /// Makes everything appended durable. If the disk refuses, what was appended since the last sync is written
    /// once more, to a new segment: after a failed sync the kernel may have forgotten it and says nothing more.
    pub fn sync(&mut self, now_ns: i64) -> io::Result<()> {
        if self.unsynced.is_empty() && self.found.is_empty() {
            return Ok(());
        }
        let Err(error) = self.sync_files() else {
            self.unsynced.clear();
            return Ok(());
        };
        self.active = None;
        let mut again = std::mem::take(&mut self.unsynced).into_iter();
        while let Some((old, lines)) = again.next() {
            let Some((head, state)) = self.record(old).map(|record| (record.head, record.state)) else {
                continue;
            };
            if state == State::Done {
                continue;
            }
            match self.write(head, &lines, now_ns) {
                Ok(new) => {
                    self.set_state(new, state);
                    self.set_state(old, State::Done);
                    self.moved.insert(old, new);
                    self.unsynced.push((new, lines));
                }
                Err(error) => {
                    self.unsynced.push((old, lines));
                    self.unsynced.extend(again);
                    return Err(error);
                }
            }
        }
        Err(error)
    }

    fn sync_files(&mut self) -> io::Result<()> {
        let written = self.unsynced.iter().map(|(id, _)| id.segment);
        let all: BTreeSet<u64> = written.chain(self.found.iter().copied()).collect();
        for number in all {
            if let Some(segment) = self.segments.get_mut(&number) {
                segment.file.sync()?;
            }
            self.found.remove(&number);
        }
        self.store.sync_names()
    }
}
