//! The spool stage: one thread a sink, between its queue and its writers. It puts batches on disk, all of them or
//! those that the sink does not take in time, hands them to the writers, fresh ones first, and hears what became
//! of them. Every point that it has taken is with the writers, on disk, or counted as dropped.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, never};
use tickline_config::model::{Durability, Spool as SpoolConfig};
use tickline_feeds::clock::{Clock, MonoNanos};
use tickline_sinks::batch::{Batch, BatchNumber, Position};
use tickline_sinks::spool::{RecordId, Spool};

use crate::accepted::Accepted;
use crate::log_limit::LogLimit;
use crate::queue::{BatchPool, Job};
use crate::stage::write::Word;
use crate::stats::{MergeTimer, SpoolCell, SpoolCounters};
use crate::stop::{LOOK_EVERY, Stop};

mod disk;
mod end;
mod say;

/// With durability `spill`, a batch that is not stored after this time goes to disk: what a kill may cost.
pub const SPILL_AFTER: Duration = Duration::from_millis(500);

/// How long lines wait that the server cannot store for a reason of its own.
pub const PARKED_FOR: Duration = Duration::from_secs(60);

/// How often `max_age` is looked at.
const EXPIRE_EVERY_NS: u64 = 1_000_000_000;

/// What a spooler is made from.
#[derive(Debug)]
pub struct SpoolerSpec {
    /// Thread name, for the log.
    pub name: String,
    /// Batches from the encoders.
    pub batches: Receiver<Job>,
    /// To the writers: what has just come.
    pub fresh: Sender<Job>,
    /// To the writers: what has waited on disk. None where the order of batches must stay as it is.
    pub backlog: Option<Sender<Job>>,
    /// From the writers.
    pub words: Receiver<Word>,
    /// Empty batches.
    pub pool: BatchPool,
    /// When batches go to disk.
    pub durability: Durability,
    /// Bounds and policy.
    pub config: SpoolConfig,
    /// Whether a batch that is late goes to disk; not for sinks that hold what they take.
    pub spill_late: bool,
    /// What is accepted.
    pub accepted: Arc<Accepted>,
    /// Where the numbers are published.
    pub cell: Arc<SpoolCell>,
}

/// A batch that is with the writers, or about to be.
#[derive(Debug)]
struct Outstanding {
    batch: Arc<Batch>,
    record: Option<RecordId>,
    since: MonoNanos,
    accepted: bool,
}

/// What must be known of a spilled batch once it is stored.
#[derive(Debug)]
struct Told {
    number: Option<BatchNumber>,
    positions: Vec<Position>,
}

/// Lines that must wait for long.
#[derive(Debug)]
struct Parked {
    until: MonoNanos,
    points: u64,
    /// The lines, until they are on disk.
    batch: Option<Batch>,
    record: Option<RecordId>,
    /// The records that they came from: they go once the lines are synced.
    originals: Vec<RecordId>,
    told: Vec<Told>,
}

/// The spool stage of one sink.
#[derive(Debug)]
pub struct Spooler {
    spec: SpoolerSpec,
    spool: Spool,
    /// The folder is ours as long as this is open.
    _lock: File,
    clock: Arc<dyn Clock>,
    stop: Arc<Stop>,
    /// By ticket, which is the order in which they came.
    outstanding: BTreeMap<u64, Outstanding>,
    next_ticket: u64,
    /// Tickets that wait for the next sync before they are sent.
    unsent: Vec<u64>,
    /// A batch for which there is no room.
    stuck: Option<Arc<Batch>>,
    /// Batches on disk that are not accepted yet, by the id of their record.
    told: HashMap<u64, Vec<Told>>,
    /// Lines that must wait for long: until when, and where they stand on disk, if they do.
    parked: Vec<Parked>,
    /// Whether the last word of the writers was of trouble.
    trouble: bool,
    /// That was said in the log, and not yet that it is over.
    told_outage: bool,
    /// Bytes appended since the last sync, and when that began.
    dirty: (u64, Option<MonoNanos>),
    /// Not before then is the disk asked to sync again, after it has refused.
    sync_again: Option<MonoNanos>,
    expired_at: MonoNanos,
    /// Something was lost that an earlier run had left: nothing is said to be accepted.
    behind_for_good: bool,
    /// Wall time at the start, and the time since then: a clock that is set does not age what waits.
    begun: (i64, MonoNanos),
    counters: SpoolCounters,
    merge: MergeTimer,
    log: LogLimit,
}

impl Spooler {
    /// A spooler over an open spool.
    pub fn new(spec: SpoolerSpec, spool: Spool, lock: File, clock: Arc<dyn Clock>, stop: Arc<Stop>) -> Self {
        let begun = (clock.wall().0, clock.mono());
        let mut spooler = Self {
            spec,
            spool,
            _lock: lock,
            clock,
            stop,
            outstanding: BTreeMap::new(),
            next_ticket: 1,
            unsent: Vec::new(),
            stuck: None,
            told: HashMap::new(),
            parked: Vec::new(),
            trouble: false,
            told_outage: false,
            dirty: (0, None),
            sync_again: None,
            expired_at: MonoNanos(0),
            behind_for_good: false,
            begun,
            counters: SpoolCounters::default(),
            merge: MergeTimer::default(),
            log: LogLimit::default(),
        };
        spooler.say_what_was_found();
        spooler.publish();
        spooler
    }

    /// The loop; ends with the encoders, the writers, and everything else on disk.
    pub fn run(mut self) {
        let none = never();
        loop {
            let batches = if self.stuck.is_none() { &self.spec.batches } else { &none };
            let wait = self.wait();
            let came = crossbeam_channel::select! {
                recv(self.spec.words) -> word => { word.into_iter().for_each(|word| self.hear(word)); Ok(None) }
                recv(batches) -> job => job.map(Some).map_err(|_| RecvTimeoutError::Disconnected),
                default(wait) => Ok(None),
            };
            match came {
                Ok(Some(job)) => self.take_all(job.batch),
                Ok(None) => {}
                Err(_) => break,
            }
            if let Some(batch) = self.stuck.take() {
                self.take(batch);
            }
            if self.stop.aborted() && self.stuck.is_some() {
                break;
            }
            self.look();
        }
        self.end();
    }

    /// Everything that is due, whatever has come.
    fn look(&mut self) {
        while let Ok(word) = self.spec.words.try_recv() {
            self.hear(word);
        }
        let now = self.clock.mono();
        self.spill_late(now);
        self.unpark(now);
        self.sync_if_due(now);
        self.expire(now);
        self.feed_backlog();
        self.say_how_it_goes();
        self.publish();
    }

    fn wait(&self) -> Duration {
        // A disk that refuses to sync is left alone for a while: there is nothing to be early for.
        let Some(since) = self.dirty.1.filter(|_| self.sync_again.is_none()) else { return LOOK_EVERY };
        let age = Duration::from_nanos(self.clock.mono().since(since));
        self.spec.config.sync_every.saturating_sub(age).min(LOOK_EVERY)
    }

    /// Takes a batch and, where they are synced before they are sent, those behind it: one sync serves all.
    fn take_all(&mut self, first: Arc<Batch>) {
        self.take(first);
        while self.spec.durability == Durability::JournalSync && self.stuck.is_none() {
            let full = self.dirty.0 >= self.spec.config.sync_bytes;
            let Some(job) = (!full).then(|| self.spec.batches.try_recv().ok()).flatten() else { break };
            self.take(job.batch);
        }
    }

    fn take(&mut self, batch: Arc<Batch>) {
        let record = if self.must_be_on_disk() {
            match self.append(&batch) {
                Ok(record) => Some(record),
                Err(error) => return self.not_appended(batch, &error),
            }
        } else {
            None
        };
        let journal = self.spec.durability == Durability::Journal;
        if journal {
            self.spec.accepted.accept(batch.number, &batch.positions);
        }
        self.give(batch, record, journal);
    }

    /// A batch on its way to the writers, at once or after the next sync.
    fn give(&mut self, batch: Arc<Batch>, record: Option<RecordId>, accepted: bool) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let since = self.clock.mono();
        self.outstanding.insert(ticket, Outstanding { batch, record, since, accepted });
        if self.spec.durability == Durability::JournalSync {
            self.unsent.push(ticket);
        } else {
            self.send(ticket);
        }
    }

    fn must_be_on_disk(&self) -> bool {
        self.spec.durability != Durability::Spill || self.trouble || !self.writers_have_room()
    }

    /// Whether a batch may go to the writers now. Where order matters, not before those that wait on disk.
    fn writers_have_room(&self) -> bool {
        !self.spec.fresh.is_full() && (self.spec.backlog.is_some() || self.spool.stats().waiting == 0)
    }

    /// Hands a batch to the writers, or leaves it on disk.
    fn send(&mut self, ticket: u64) {
        let Some(outstanding) = self.outstanding.get(&ticket) else { return };
        let job = Job { batch: Arc::clone(&outstanding.batch), ticket };
        if self.writers_have_room() && self.spec.fresh.try_send(job).is_ok() {
            return;
        }
        if let Some(Outstanding { batch, record, accepted, .. }) = self.outstanding.remove(&ticket) {
            self.leave_on_disk(batch, record, accepted);
        }
    }

    fn leave_on_disk(&mut self, batch: Arc<Batch>, record: Option<RecordId>, accepted: bool) {
        let Some(record) = record else { return self.keep_at_last(batch) };
        if !accepted && let Some(id) = self.spool.id_of(record) {
            let told = Told { number: batch.number, positions: batch.positions.clone() };
            self.told.entry(id).or_default().push(told);
        }
        self.spool.give_back(record);
        self.spec.pool.give(batch);
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Settled(tickets, parked) => {
                self.trouble = false;
                let settled: Vec<Outstanding> =
                    tickets.iter().filter_map(|ticket| self.outstanding.remove(ticket)).collect();
                if parked.points > 0 {
                    self.park(settled, parked);
                } else {
                    settled.into_iter().for_each(|one| self.settled(one));
                }
                self.spec.accepted.set_behind(self.is_behind());
                if self.spec.backlog.is_none() {
                    // Here what is sent twice is stored twice.
                    self.spool.save_cursor();
                }
            }
            Word::Back(ticket) => {
                if let Some(Outstanding { batch, record, accepted, .. }) = self.outstanding.remove(&ticket) {
                    self.leave_on_disk(batch, record, accepted);
                }
            }
            Word::Trouble => {
                self.trouble = true;
                self.spill(|_| true);
            }
        }
    }

    /// The sink has stored a batch.
    fn settled(&mut self, settled: Outstanding) {
        let Outstanding { batch, record, accepted, .. } = settled;
        if let Some(record) = record {
            for Told { number, positions } in self.take_told(record) {
                self.spec.accepted.accept(number, &positions);
            }
            self.spool.acknowledge(record);
            self.dirty.1.get_or_insert(self.clock.mono()); // for the cursor
        }
        if !accepted {
            self.spec.accepted.accept(batch.number, &batch.positions);
        }
        self.spec.pool.give(batch);
    }

    fn take_told(&mut self, record: RecordId) -> Vec<Told> {
        self.spool.id_of(record).and_then(|id| self.told.remove(&id)).unwrap_or_default()
    }

    /// Points of an earlier run wait for the database, and only its answer counts as accepted.
    fn is_behind(&self) -> bool {
        let damaged = self.spool.stats().damaged > 0;
        self.spec.durability == Durability::Spill
            && (self.behind_for_good || damaged || self.spool.has_recovered())
    }

    /// Wall time that no one can set.
    fn now_ns(&self) -> i64 {
        let since = self.clock.mono().since(self.begun.1);
        self.begun.0.saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
    }
}
