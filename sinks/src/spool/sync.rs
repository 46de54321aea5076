//! Makes a spool durable, and what is done when the disk refuses.

use std::collections::BTreeSet;
use std::io;

use super::{Spool, State};

impl Spool {
    /// Makes everything appended durable. If the disk refuses, what was appended since the last sync is written
    /// once more, to a new segment: after a failed sync the kernel may have forgotten it and says nothing more.
    pub fn sync(&mut self, now_ns: i64) -> io::Result<()> {
        self.write_suspects_again(now_ns)?;
        if self.unsynced.is_empty() && self.found.is_empty() {
            self.sweep(Some(now_ns));
            return Ok(());
        }
        let Err(error) = self.sync_files() else {
            self.unsynced.clear();
            self.sweep(Some(now_ns));
            return Ok(());
        };
        self.suspects = self.unsynced.iter().map(|(id, _)| id.segment).collect();
        // Whether or not that is possible now: nothing is durable yet.
        self.write_suspects_again(now_ns).ok();
        Err(error)
    }

    /// Writes what stands in a file whose sync has failed to another one. Until that is done no sync succeeds: the
    /// next one of the same file would say that all is well.
    fn write_suspects_again(&mut self, now_ns: i64) -> io::Result<()> {
        if self.suspects.is_empty() {
            return Ok(());
        }
        // Ids ascend in a segment, and newer batches may stand in the active one by now.
        self.close_segment();
        let mut failed = None;
        for (old, bytes) in std::mem::take(&mut self.unsynced) {
            let found = self.record(old).map(|record| (record.head, record.state));
            let Some((head, state)) = found.filter(|(_, state)| *state != State::Done) else { continue };
            if failed.is_some() || !self.suspects.contains(&old.segment) {
                self.unsynced.push((old, bytes));
                continue;
            }
            match self.write(head, &bytes, now_ns) {
                Ok(new) => {
                    self.set_state(new, state);
                    self.set_state(old, State::Done);
                    self.moved.insert(old, new);
                    self.unsynced.push((new, bytes));
                }
                Err(error) => {
                    self.unsynced.push((old, bytes));
                    failed = Some(error);
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        self.suspects.clear();
        Ok(())
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
