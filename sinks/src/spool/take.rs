//! What whoever drains a spool does with its records.

use std::io;

use super::{RecordId, Spool, State};
use crate::batch::Batch;

impl Spool {
    /// The oldest record that waits, with its lines in `into`, which has no positions; it is the caller's until
    /// [`Spool::acknowledge`] or [`Spool::give_back`]. Damaged ones are stepped over and counted.
    pub fn take_oldest(&mut self, into: &mut Batch) -> io::Result<Option<RecordId>> {
        into.clear();
        while let Some(id) = self.first_waiting() {
            let Some((segment, record)) = self.place(id) else { return Ok(None) };
            let head = record.head;
            into.lines.resize(head.lines_bytes as usize, 0);
            let read = segment.file.read_at(record.at + head.lines_at(), &mut into.lines)?;
            into.lines.truncate(read);
            if head.fits(&into.lines) {
                self.set_state(id, State::Taken);
                into.points = u64::from(head.points);
                return Ok(Some(id));
            }
            self.give_up(id, &into.lines);
        }
        into.clear();
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
        self.sweep(None);
        dropped
    }
}
