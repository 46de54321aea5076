//! What a spooler puts on disk and takes back from it.

use std::io;
use std::sync::Arc;

use tickline_config::model::{Durability, WhenFull};
use tickline_feeds::clock::MonoNanos;
use tickline_sinks::batch::Batch;
use tickline_sinks::spool::{AppendError, RecordId};

use super::{Outstanding, PARKED_FOR, Parked, SPILL_AFTER, Spooler, Told};
use crate::queue::Job;

impl Spooler {
    pub(super) fn append(&mut self, batch: &Batch) -> Result<RecordId, AppendError> {
        loop {
            match self.spool.append(batch, self.clock.wall().0) {
                Ok(record) => {
                    self.counters.appended += batch.points;
                    self.dirty.0 += batch.lines.len() as u64;
                    self.dirty.1.get_or_insert(self.clock.mono());
                    return Ok(record);
                }
                Err(error) => {
                    self.counters.append_failures += 1;
                    let dropped = if is_full(&error) && self.spec.config.when_full == WhenFull::DropOldest {
                        self.spool.drop_oldest()
                    } else {
                        0
                    };
                    self.counters.spool_full += dropped;
                    if dropped == 0 {
                        return Err(error);
                    }
                    self.break_told();
                }
            }
        }
    }

    /// The disk does not take a batch: it goes without where it can, else the policy decides.
    pub(super) fn not_appended(&mut self, batch: Arc<Batch>, error: &AppendError) {
        let policy = self.spec.config.when_full;
        self.counters.trouble = Some(error.to_string());
        if let Some(suppressed) = self.log.admit(self.clock.mono()) {
            let what = match policy {
                WhenFull::Block => "receiving waits until there is room; nothing is lost here",
                WhenFull::DropOldest | WhenFull::DropNewest => "what finds no room is dropped and counted",
            };
            tracing::error!(suppressed, "{}: {error}: {what}", self.spec.name);
        }
        let promised = self.spec.durability != Durability::Spill;
        if self.writers_have_room() && (!promised || policy != WhenFull::Block) {
            return self.give(batch, None, false);
        }
        if policy == WhenFull::Block {
            self.stuck = Some(batch);
        } else {
            self.counters.spool_full += batch.points;
            self.spec.accepted.lose(&batch);
            self.spec.pool.give(batch);
        }
    }

    /// Spilled batches have been dropped: nothing behind them will be accepted.
    pub(super) fn break_told(&mut self) {
        for (_, Told { number, .. }) in self.told.drain() {
            self.spec.accepted.lose(&Batch { number, ..Batch::default() });
        }
    }

    /// Lines that the writers cannot store now and that must not stand in the way of others.
    pub(super) fn park(&mut self, batch: Arc<Batch>) {
        self.counters.parked += batch.points;
        if let Some(suppressed) = self.log.admit(self.clock.mono()) {
            let (name, all) = (&self.spec.name, self.counters.parked);
            let wait = PARKED_FOR.as_secs();
            tracing::error!(suppressed, "{name}: {all} points are put aside and tried again every {wait} s");
        }
        let record = self.append(&batch).ok();
        let until = MonoNanos(self.clock.mono().0 + PARKED_FOR.as_nanos() as u64);
        self.parked.push(Parked { until, batch, record });
    }

    /// Lets lines wait with the others whose time has come; `now` is the end of time at the end.
    pub(super) fn unpark(&mut self, now: MonoNanos) {
        for Parked { until, batch, record } in std::mem::take(&mut self.parked) {
            let record = record.or_else(|| self.append(&batch).ok());
            match record.filter(|_| until.0 <= now.0) {
                Some(record) => {
                    self.counters.parked -= batch.points;
                    self.spool.give_back(record);
                }
                None => self.parked.push(Parked { until, batch, record }),
            }
        }
    }

    pub(super) fn spill_late(&mut self, now: MonoNanos) {
        if self.spec.spill_late {
            let late = SPILL_AFTER.as_nanos() as u64;
            self.spill(|outstanding| now.since(outstanding.since) >= late);
        }
    }

    /// Puts batches on disk that are with the writers.
    pub(super) fn spill(&mut self, which: impl Fn(&Outstanding) -> bool) {
        if self.spec.durability != Durability::Spill {
            return;
        }
        let chosen = self.outstanding.iter().filter(|(_, one)| one.record.is_none() && which(one));
        let chosen: Vec<(u64, Arc<Batch>)> =
            chosen.map(|(ticket, one)| (*ticket, Arc::clone(&one.batch))).collect();
        for (ticket, batch) in chosen {
            // What cannot be written now is tried again at the next look; meanwhile it is with the writers.
            let Ok(record) = self.append(&batch) else { return };
            if let Some(outstanding) = self.outstanding.get_mut(&ticket) {
                outstanding.record = Some(record);
            }
        }
    }

    /// Reads what waits on disk while the writers have room for it.
    pub(super) fn feed_backlog(&mut self) {
        while self.stop.running() && self.spec.backlog.as_ref().is_none_or(|backlog| !backlog.is_full()) {
            if self.spec.backlog.is_none() && self.spec.fresh.is_full() {
                return;
            }
            let mut batch = self.spec.pool.take();
            let Some(into) = Arc::get_mut(&mut batch) else { return };
            let record = match self.spool.take_oldest(into) {
                Ok(Some(record)) => record,
                Ok(None) => return self.spec.pool.give(batch),
                Err(error) => {
                    self.counters.trouble = Some(error.to_string());
                    if let Some(suppressed) = self.log.admit(self.clock.mono()) {
                        tracing::error!(suppressed, "{}: reading what waits: {error}", self.spec.name);
                    }
                    return self.spec.pool.give(batch);
                }
            };
            // Before a writer can have stored it: else it would be counted twice.
            self.publish();
            let ticket = self.next_ticket;
            self.next_ticket += 1;
            let since = self.clock.mono();
            let job = Job { batch: Arc::clone(&batch), ticket };
            self.outstanding
                .insert(ticket, Outstanding { batch, record: Some(record), since, accepted: true });
            let to = self.spec.backlog.as_ref().unwrap_or(&self.spec.fresh);
            // There is room and no one else sends; writers that are gone are found out at the end.
            to.try_send(job).ok();
        }
    }
}

/// Whether room could be made.
fn is_full(error: &AppendError) -> bool {
    match error {
        AppendError::Full { .. } | AppendError::LowDisk { .. } => true,
        AppendError::Io(error) => {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        }
    }
}
