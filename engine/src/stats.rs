//! What each thread has counted. A thread owns its numbers and publishes a copy once a burst into its cell;
//! readers lock a cell for the length of a copy. Histograms are owned too and merged into the cell four times
//! a second, so that the hot path never shares one.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tickline_feeds::clock::{MonoNanos, WallNanos};
use tickline_feeds::counts::Counts;
use tickline_feeds::sequence::SequencePoint;
use tickline_sinks::sink::{FaultKind, Narrowed, RejectReason};
use tickline_sinks::spool::SpoolStats;

use crate::latency::{EncLatencies, WrLatencies};
use crate::stage::encode::{LastTick, Silence};

/// How often a thread merges its histograms into its cell.
pub const MERGE_EVERY_NS: u64 = 250_000_000;

/// A value that one thread publishes and others read.
#[derive(Debug, Default)]
pub struct Cell<T>(Mutex<T>);

impl<T> Cell<T> {
    /// The published value, locked.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One feed, as its receiver counts it: `received = handed + dropped`, less what was `popped` again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedIn {
    /// Frames taken from a socket.
    pub received: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Frames given to an encoder's queue.
    pub handed: u64,
    /// Frames taken out of that queue again to be dropped.
    pub popped: u64,
    /// Frames dropped because the queue was full.
    pub queue_full: u64,
    /// Frames dropped because the run ended.
    pub shutdown: u64,
}

/// Counters of one receiver.
#[derive(Clone, Debug, Default)]
pub struct RxCounters {
    /// By feed.
    pub feeds: Vec<FeedIn>,
    /// Messages of topics that no feed asked for.
    pub foreign: u64,
    /// Message parts after the second.
    pub further_parts: u64,
}

impl RxCounters {
    /// The counters of one feed.
    pub fn feed(&mut self, feed: u16) -> &mut FeedIn {
        let at = usize::from(feed);
        if self.feeds.len() <= at {
            self.feeds.resize(at + 1, FeedIn::default());
        }
        &mut self.feeds[at]
    }

    /// Copies everything into the published counters, without allocating once they have grown.
    pub fn publish(&self, cell: &RxCell) {
        let mut shared = cell.counters.lock();
        shared.feeds.clone_from(&self.feeds);
        (shared.foreign, shared.further_parts) = (self.foreign, self.further_parts);
    }
}

/// One feed, as its encoder counts it.
#[derive(Clone, Copy, Debug, Default)]
pub struct FeedOut {
    /// Frames taken from the queue and finished.
    pub taken: u64,
    /// Of these, frames dropped because the run ended.
    pub shutdown: u64,
    /// What the decoder did with the others.
    pub counts: Counts,
    /// Points that the engine has written itself about the feed.
    pub own_points: u64,
}

/// One sink, as an encoder counts it: `points = enqueued - popped + queue_full + shutdown`, in points, unless it is
/// just giving a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkIn {
    /// Points that the decoders of its feeds have made, less those of the open batch: each must be in `points`.
    pub made: u64,
    /// Points of closed batches that go to this sink.
    pub points: u64,
    /// Points put into its queue.
    pub enqueued: u64,
    /// Points taken out of the queue again to be dropped.
    pub popped: u64,
    /// Points dropped because the queue was full, popped ones included.
    pub queue_full: u64,
    /// Points dropped because the run ended.
    pub shutdown: u64,
}

/// Counters of one encoder.
#[derive(Clone, Debug, Default)]
pub struct EncCounters {
    /// By feed; those of other encoders are zero.
    pub feeds: Vec<FeedOut>,
    /// By sink.
    pub sinks: Vec<SinkIn>,
    /// Batches closed.
    pub batches: u64,
    /// Where each feed stands; renewed once a second.
    pub standing: Vec<Standing>,
}

/// Where a feed stands: what a restart must know.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Its position in the plan.
    pub feed: u16,
    /// Its sources.
    pub sources: Vec<SequencePoint>,
    /// What is silent that should not be.
    pub alarm: Option<Silence>,
    /// The last frame of it that made points.
    pub last: LastTick,
}

/// Counters of one writer; `settled` is counted on its own, when a batch is given back.
#[derive(Clone, Debug, Default)]
pub struct WrCounters {
    /// Points of batches that are finished with, whatever became of them.
    pub settled: u64,
    /// Points stored.
    pub written: u64,
    /// Points refused, by [`RejectReason`].
    pub rejected: [u64; RejectReason::ALL.len()],
    /// Points dropped because the run ended.
    pub shutdown: u64,
    /// Points given back because they must wait for long; they are in `settled`, too, each time.
    pub parked: u64,
    /// Refused lines that found no room in their file.
    pub rejects_left_out: u64,
    /// What the database cannot keep of what was stored.
    pub narrowed: Narrowed,
    /// Bytes of settled lines.
    pub bytes: u64,
    /// Writes made.
    pub requests: u64,
    /// Writes made again.
    pub retries: u64,
    /// Writes that failed, by HTTP status or error of the operating system, 0 where there is none.
    pub faults: Vec<(u16, u64)>,
    /// What keeps the sink from storing, if anything does.
    pub trouble: Option<Trouble>,
    /// How far the server's clock was ahead of ours in its last answer, s; it tells whole seconds.
    pub clock_ahead_s: Option<i64>,
}

/// What keeps a sink from storing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Of which kind it is.
    pub kind: FaultKind,
    /// What the server or the operating system says.
    pub detail: String,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.detail)
    }
}

impl WrCounters {
    /// Counts a write that failed with `code`.
    pub fn fault(&mut self, code: u16) {
        self.faults_of(code, 1);
    }

    /// Notes what the server's clock said, s since 1970, if it said anything.
    pub fn answered(&mut self, there_s: Option<i64>, here: WallNanos) {
        let ahead_s = there_s.map(|there_s| there_s - here.0.div_euclid(1_000_000_000));
        self.clock_ahead_s = ahead_s.or(self.clock_ahead_s);
    }

    /// Adds the faults of another connection.
    pub fn add_faults(&mut self, from: &[(u16, u64)]) {
        from.iter().for_each(|(code, times)| self.faults_of(*code, *times));
    }

    fn faults_of(&mut self, code: u16, times: u64) {
        match self.faults.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += times,
            None => self.faults.push((code, times)),
        }
    }
}

/// Counters of one spooler.
#[derive(Clone, Debug, Default)]
pub struct SpoolCounters {
    /// The spool itself.
    pub stats: SpoolStats,
    /// Points written to it.
    pub appended: u64,
    /// Batches that it did not take when they came.
    pub append_failures: u64,
    /// Syncs that failed.
    pub sync_failures: u64,
    /// Points that must wait for long.
    pub parked: u64,
    /// Points dropped because it was full.
    pub spool_full: u64,
    /// Points dropped because they had waited too long.
    pub max_age: u64,
    /// Points dropped because the run ended and the disk did not take them.
    pub shutdown: u64,
    /// What keeps the disk from taking batches, if anything does.
    pub trouble: Option<String>,
}

/// Says when a quarter of a second has passed.
#[derive(Clone, Copy, Debug, Default)]
pub struct MergeTimer(u64);

impl MergeTimer {
    /// Whether it is time, once a quarter of a second.
    pub fn due(&mut self, now: MonoNanos) -> bool {
        let due = now.0.saturating_sub(self.0) >= MERGE_EVERY_NS;
        if due {
            self.0 = now.0;
        }
        due
    }
}

/// CPU time of the calling thread, ns; 0 where the kernel does not tell.
pub fn thread_cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_ascii_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// What a receiver publishes.
#[derive(Debug, Default)]
pub struct RxCell {
    /// Counters.
    pub counters: Cell<RxCounters>,
    /// CPU time of the thread, ns.
    pub cpu_ns: Cell<u64>,
}

/// What an encoder publishes.
#[derive(Debug, Default)]
pub struct EncCell {
    /// Counters.
    pub counters: Cell<EncCounters>,
    /// Latencies.
    pub latencies: Cell<EncLatencies>,
    /// CPU time of the thread, ns; 0 if it encodes on the receiver's.
    pub cpu_ns: Cell<u64>,
}

/// What a writer publishes.
#[derive(Debug, Default)]
pub struct WrCell {
    /// Its sink.
    pub sink: usize,
    /// Counters.
    pub counters: Cell<WrCounters>,
    /// Latencies.
    pub latencies: Cell<WrLatencies>,
    /// CPU time of the thread, ns.
    pub cpu_ns: Cell<u64>,
}

/// What a spooler publishes.
#[derive(Debug, Default)]
pub struct SpoolCell {
    /// Its sink.
    pub sink: usize,
    /// Counters.
    pub counters: Cell<SpoolCounters>,
    /// CPU time of the thread, ns.
    pub cpu_ns: Cell<u64>,
}

/// Counters of the archive.
#[derive(Clone, Debug, Default)]
pub struct ArchiveCounters {
    /// Frames on disk.
    pub frames: u64,
    /// Files closed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files removed to make room.
    pub files_deleted: u64,
    /// Frames that found no room in the queue before the thread.
    pub queue_full: u64,
    /// Frames that the disk did not take.
    pub lost: u64,
    /// What keeps the disk from taking frames, if anything does.
    pub trouble: Option<String>,
}

/// What the archive publishes, and how it is asked for a flight recording.
#[derive(Debug, Default)]
pub struct ArchiveCell {
    /// Counters.
    pub counters: Cell<ArchiveCounters>,
    /// CPU time of the thread, ns.
    pub cpu_ns: Cell<u64>,
    /// Someone wants a flight recording.
    pub wanted: AtomicBool,
    /// There is an alarm, which wants one, too, but not all the time.
    pub alarm: AtomicBool,
}

/// Every cell of a run.
#[derive(Debug, Default)]
pub struct Stats {
    /// Receivers.
    pub rx: Cell<Vec<Arc<RxCell>>>,
    /// Encoders.
    pub enc: Cell<Vec<Arc<EncCell>>>,
    /// Spoolers.
    pub sp: Cell<Vec<Arc<SpoolCell>>>,
    /// Writers.
    pub wr: Cell<Vec<Arc<WrCell>>>,
    /// The archive; nothing in it changes where there is none.
    pub archive: Arc<ArchiveCell>,
}
