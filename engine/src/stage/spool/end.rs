//! What a spooler does by the clock and at the end: syncs, drops what is too old, publishes, and leaves nothing
//! in memory.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use tickline_config::model::Durability;
use tickline_feeds::clock::MonoNanos;
use tickline_sinks::batch::Batch;

use super::{EXPIRE_EVERY_NS, Spooler};
use crate::stats::MergeTimer;
use crate::stats::thread_cpu_ns;
use crate::stop::LOOK_EVERY;

/// How long a disk that refuses to sync is left alone.
const SYNC_AGAIN_NS: u64 = 1_000_000_000;
/// How long writers are heard after an abort.
const LAST_WORDS_NS: u64 = 800_000_000;

impl Spooler {
    pub(super) fn sync_if_due(&mut self, now: MonoNanos) {
        let (bytes, Some(since)) = self.dirty else { return };
        if self.sync_again.is_some_and(|again| now.0 < again.0) {
            return self.spool.save_cursor();
        }
        let late = Duration::from_nanos(now.since(since)) >= self.spec.config.sync_every;
        if late || bytes >= self.spec.config.sync_bytes || !self.unsent.is_empty() {
            self.sync();
        }
    }

    fn sync(&mut self) {
        let synced = self.spool.sync(self.now_ns());
        self.dirty = (0, None);
        // What is stored is stored, whether or not the disk takes more.
        self.spool.save_cursor();
        match synced {
            Ok(()) => {
                self.sync_again = None;
                self.let_originals_go();
                if self.stuck.is_none() {
                    self.counters.trouble = None;
                }
                for ticket in std::mem::take(&mut self.unsent) {
                    if let Some(outstanding) = self.outstanding.get_mut(&ticket) {
                        let batch = &outstanding.batch;
                        self.spec.accepted.accept(batch.number, &batch.positions);
                        outstanding.accepted = true;
                    }
                    self.send(ticket);
                }
            }
            Err(error) => {
                self.counters.sync_failures += 1;
                self.counters.trouble = Some(error.to_string());
                let now = self.clock.mono();
                self.dirty = (0, Some(now));
                self.sync_again = Some(MonoNanos(now.0 + SYNC_AGAIN_NS));
                if let Some(suppressed) = self.log.admit(self.clock.mono()) {
                    let name = &self.spec.name;
                    tracing::error!(
                        suppressed,
                        "{name}: the disk refuses to sync: {error}: what it may have lost is written once more"
                    );
                }
            }
        }
    }

    pub(super) fn expire(&mut self, now: MonoNanos) {
        let Some(age) = self.spec.config.age_max else { return };
        if now.since(self.expired_at) < EXPIRE_EVERY_NS {
            return;
        }
        self.expired_at = now;
        let age = i64::try_from(age.as_nanos()).unwrap_or(i64::MAX);
        let dropped = self.spool.expire(self.now_ns().saturating_sub(age));
        if dropped > 0 {
            self.counters.max_age += dropped;
            self.lost(dropped);
            tracing::warn!("{}: {dropped} points have waited too long and are dropped", self.spec.name);
        }
    }

    pub(super) fn publish(&mut self) {
        self.counters.stats = self.spool.stats();
        self.spec.cell.counters.lock().clone_from(&self.counters);
        if self.merge.due(self.clock.mono()) {
            *self.spec.cell.cpu_ns.lock() = thread_cpu_ns();
        }
    }

    /// The encoders have ended: lets the writers finish what they have, then leaves the rest on disk.
    pub(super) fn end(mut self) {
        self.spool.lift_limits();
        for ticket in std::mem::take(&mut self.unsent) {
            if let Some(one) = self.outstanding.remove(&ticket) {
                self.leave_on_disk(one.batch, one.record, one.accepted);
            }
        }
        // Writers end when both of their queues do.
        self.spec.fresh = crossbeam_channel::bounded(0).0;
        self.spec.backlog = self.spec.backlog.take().map(|_| crossbeam_channel::bounded(0).0);
        while !self.stop.aborted() {
            match self.spec.words.recv_timeout(LOOK_EVERY) {
                Ok(word) => self.hear(word),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = self.clock.mono();
            self.spill_late(now);
            self.sync_if_due(now);
            self.publish();
        }
        // After an abort a writer may still be in the middle of a request: what it says now counts.
        let aborted = self.clock.mono();
        while self.clock.mono().since(aborted) < LAST_WORDS_NS {
            match self.spec.words.recv_timeout(LOOK_EVERY) {
                Ok(word) => self.hear(word),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // From here on no one is heard: what a writer stores it does not count, and is sent again.
        self.spec.words = crossbeam_channel::never();
        for (_, one) in std::mem::take(&mut self.outstanding) {
            self.leave_on_disk(one.batch, one.record, one.accepted);
        }
        self.put_parked_on_disk();
        self.sync();
        for parked in std::mem::take(&mut self.parked) {
            self.counters.parked -= parked.points;
            match (parked.record, parked.batch) {
                (Some(record), _) => self.spool.give_back(record),
                (None, Some(batch)) => self.keep_at_last(Arc::new(batch)),
                (None, None) => {}
            }
        }
        if let Some(batch) = self.stuck.take() {
            self.keep_at_last(batch);
        }
        // After an abort there may be more where the encoders could not wait.
        while let Ok(job) = self.spec.batches.recv_timeout(LOOK_EVERY) {
            self.keep_at_last(job.batch);
        }
        if let Err(error) = self.spool.close(self.now_ns()) {
            self.counters.sync_failures += 1;
            tracing::error!("{}: what is on disk could not be synced: {error}", self.spec.name);
        }
        let left = self.spool.stats().points;
        if left > 0 {
            tracing::info!("{}: {left} points stay on disk and are sent at the next start", self.spec.name);
        }
        self.merge = MergeTimer::default();
        self.publish();
    }

    /// The last chance of a batch that is not on disk.
    pub(super) fn keep_at_last(&mut self, batch: Arc<Batch>) {
        match self.append(&batch) {
            Ok(record) => {
                if self.spec.durability == Durability::Journal {
                    self.spec.accepted.accept(batch.number, &batch.positions);
                }
                self.spool.give_back(record);
            }
            Err(error) => {
                tracing::error!("{}: {} points are lost: {error}", self.spec.name, batch.points);
                self.counters.shutdown += batch.points;
                self.spec.accepted.lose(&batch);
            }
        }
        self.spec.pool.give(batch);
    }
}
