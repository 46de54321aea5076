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
        // While the disk refuses to sync, what was appended is kept in memory, too.
        if self.sync_again.is_some() && self.spool.unsynced_bytes() > UNSYNCED_BYTES_MAX {
            return Err(io::Error::other("the disk refuses to sync").into());
        }
        loop {
            match self.spool.append(batch, self.now_ns()) {
                Ok(record) => {
                    self.counters.appended += batch.points;
                    self.dirty.0 += batch.lines.len() as u64;
                    self.dirty.1.get_or_insert(self.clock.mono());
                    return Ok(record);
                }
                Err(error) => {
                    self.counters.append_failures += 1;
                    if !is_full(&error) || self.spec.config.when_full != WhenFull::DropOldest {
                        return Err(error);
                    }
                    let bytes = self.spool.stats().bytes;
                    let dropped = self.spool.drop_oldest();
                    self.lost(dropped);
                    self.counters.spool_full += dropped;
                    // A segment stays while a writer has a part of it: to drop more would make no room either.
                    if dropped == 0 || self.spool.stats().bytes >= bytes {
                        return Err(error);
                    }
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

    /// Points on disk have been dropped: nothing behind them will be accepted.
    pub(super) fn lost(&mut self, points: u64) {
        if points == 0 {
            return;
        }
        for Told { number, .. } in self.told.drain().flat_map(|(_, told)| told) {
            self.spec.accepted.lose(&Batch { number, ..Batch::default() });
        }
        self.behind_for_good |= self.spool.stats().recovered > 0;
    }

    /// These are stored but for lines that the server cannot store now and that must not stand in the way of others.
    pub(super) fn park(&mut self, settled: Vec<Outstanding>, lines: Batch) {
        self.counters.parked += lines.points;
        if let Some(suppressed) = self.log.admit(self.clock.mono()) {
            let (name, all) = (&self.spec.name, self.counters.parked);
            let wait = PARKED_FOR.as_secs();
            tracing::error!(suppressed, "{name}: {all} points are put aside and tried again every {wait} s");
        }
        let (mut originals, mut told) = (Vec::new(), Vec::new());
        for Outstanding { batch, record, accepted, .. } in settled {
            if let Some(record) = record {
                told.extend(self.take_told(record));
                originals.push(record);
            }
            if !accepted {
                told.push(Told { number: batch.number, positions: batch.positions.clone() });
            }
            self.spec.pool.give(batch);
        }
        let until = MonoNanos(self.clock.mono().0 + PARKED_FOR.as_nanos() as u64);
        let (points, batch) = (lines.points, Some(lines));
        self.parked.push(Parked { until, points, batch, record: None, originals, told });
        self.put_parked_on_disk();
    }

    /// Appends lines that are put aside; what finds no room is tried again.
    pub(super) fn put_parked_on_disk(&mut self) {
        let mut all = std::mem::take(&mut self.parked);
        for parked in all.iter_mut().filter(|parked| parked.record.is_none()) {
            parked.record = parked.batch.as_ref().and_then(|batch| self.append(batch).ok());
            if parked.record.is_some() {
                parked.batch = None;
            }
        }
        self.parked = all;
    }

    /// A sync has succeeded: what lines were put aside from may go.
    pub(super) fn let_originals_go(&mut self) {
        for parked in self.parked.iter_mut().filter(|parked| parked.record.is_some()) {
            parked.originals.drain(..).for_each(|record| self.spool.acknowledge(record));
        }
    }

    /// Lets lines wait with the others whose time has come.
    pub(super) fn unpark(&mut self, now: MonoNanos) {
        self.put_parked_on_disk();
        for parked in std::mem::take(&mut self.parked) {
            match parked.record.filter(|_| parked.until.0 <= now.0 && parked.originals.is_empty()) {
                Some(record) => {
                    self.counters.parked -= parked.points;
                    if let Some(id) = self.spool.id_of(record) {
                        self.told.entry(id).or_default().extend(parked.told);
                    }
                    self.spool.give_back(record);
                }
                None => self.parked.push(parked),
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

/// What may be written and not synced while the disk refuses to sync.
const UNSYNCED_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Whether room could be made.
fn is_full(error: &AppendError) -> bool {
    match error {
        AppendError::Full { .. } | AppendError::LowDisk { .. } => true,
        AppendError::Io(error) => {
            matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        }
    }
}
