//! Takes segments away: those that are done with, and those that are too old.

use super::{Spool, State};

/// A segment that is done with stays so long after its last record: until the state file knows where the sources
/// stood, the segment does.
const KEPT_NS: i64 = 2_000_000_000;

impl Spool {
    /// At the end of a run what is in memory is taken beyond the bounds: only the disk itself refuses it.
    pub fn lift_limits(&mut self) {
        (self.limits.bytes_max, self.limits.free_bytes_min) = (u64::MAX, 0);
    }

    /// Removes segments that nobody needs; with a time, those that have rested long enough. One that cannot be
    /// removed now is found at the next start.
    pub(super) fn sweep(&mut self, now_ns: Option<i64>) {
        let (active, stats, store) = (self.active, &mut self.stats, &self.store);
        self.segments.retain(|number, segment| {
            // A clock that was set back must not keep them for ever.
            let rested = |now: i64| !(0..KEPT_NS).contains(&now.saturating_sub(segment.written_ns));
            let goes = segment.left == 0 && active != Some(*number) && now_ns.is_none_or(rested);
            if goes {
                stats.bytes = stats.bytes.saturating_sub(segment.bytes);
                store.remove(&segment.name).ok();
            }
            !goes
        });
    }

    /// Removes everything that nobody needs, the segment that is written included.
    pub(super) fn make_room(&mut self) {
        let active = self.active.and_then(|number| self.segments.get(&number));
        if active.is_some_and(|segment| segment.left == 0) {
            self.close_segment();
        }
        self.sweep(None);
    }

    /// Throws away what has waited since before `written_before_ns`, by segments; returns the points.
    pub fn expire(&mut self, written_before_ns: i64) -> u64 {
        let old = self.segments.iter().filter(|(_, segment)| segment.written_ns < written_before_ns);
        let old: Vec<u64> = old.map(|(number, _)| *number).collect();
        let mut dropped = 0;
        for number in old {
            let records = self.segments.get(&number).map_or(0, |segment| segment.records.len());
            for at in 0..records {
                let id = super::RecordId { segment: number, at };
                if let Some(record) = self.record(id).filter(|record| record.state == State::Waiting) {
                    dropped += u64::from(record.head.points);
                    self.finish(id);
                }
            }
        }
        dropped
    }
}
