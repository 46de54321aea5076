//! What stands before the writers of each sink: its queue and, unless its durability is `memory`, its spool, which
//! is opened before anything else so that what it knows of the sources is known to their decoders.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded, never, unbounded};
use tickline_config::model::{Durability, Sink, SinkKind, WhenFull};
use tickline_feeds::sequence::{SequencePoint, Untold};
use tickline_sinks::batch::Position;
use tickline_sinks::spool::fingerprint::fingerprint;
use tickline_sinks::spool::inspect::segments;
use tickline_sinks::spool::store::LocalStore;
use tickline_sinks::spool::{Limits, Spool};

use super::{Run, Setup, Source, StartError};
use crate::accepted::Accepted;
use crate::plan::{SinkPlan, ThreadPlan, spool_dir};
use crate::queue::{BatchPool, BatchSender, Job, batch_queue};
use crate::stage::archive;
use crate::stage::spool::{Spooler, SpoolerSpec};
use crate::stage::write::{Finished, Word};
use crate::state::Resume;
use crate::stats::SpoolCell;

/// Batches that may wait for a spooler, which takes them at once unless the disk stalls.
pub const SPOOLER_BATCHES: usize = 4;
/// Bytes of a segment; a small spool has smaller ones, so that a full one can give some away.
const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

/// A spool that is open, with the queues behind it.
struct Spooled {
    spool: Spool,
    lock: File,
    /// From the encoders.
    batches: Receiver<Job>,
    fresh: Sender<Job>,
    backlog: Option<Sender<Job>>,
    words: Receiver<Word>,
    /// Everything received is in it.
    journal: bool,
}

/// What stands before the writers of one sink.
pub(super) struct SinkQueues {
    /// The encoders' end.
    pub(super) sender: BatchSender,
    /// The writers' ends.
    pub(super) fresh: Receiver<Job>,
    pub(super) backlog: Receiver<Job>,
    /// Where writers give batches when they are done with them.
    pub(super) finished: Finished,
    pub(super) accepted: Arc<Accepted>,
    /// The age at which it wants a batch at the latest, ns.
    pub(super) age_max_ns: Option<u64>,
    spooled: Option<Spooled>,
}

/// Opens the spool of a sink.
pub fn open_spool(dir: &Path, sink: &Sink) -> io::Result<(Spool, File)> {
    let store = LocalStore::new(dir)?;
    let lock = store.lock()?;
    let limits = Limits {
        bytes_max: sink.spool.bytes_max,
        free_bytes_min: sink.spool.free_bytes_min,
        segment_bytes: SEGMENT_BYTES.min(sink.spool.bytes_max / 8),
    };
    let quarantine = Box::new(LocalStore::at(&dir.join("quarantine")));
    Ok((Spool::open(Box::new(store), quarantine, fingerprint(sink), limits)?, lock))
}

/// Makes the queues of a sink.
pub(super) fn open(
    plan: &SinkPlan,
    state_dir: &Path,
    pool: &BatchPool,
    live: bool,
) -> Result<SinkQueues, StartError> {
    let sink = &plan.sink;
    let accepted = Arc::<Accepted>::default();
    if sink.durability == Durability::Memory {
        // A replay stands beside the engine whose spool it is.
        if live {
            refuse_if_left(plan, state_dir)?;
        }
        let (sender, fresh) = batch_queue(sink.queue_batches_max, sink.when_full, pool, &accepted);
        let finished = Finished::Here(pool.clone(), Arc::clone(&accepted));
        let (backlog, age_max_ns) = (never(), None);
        return Ok(SinkQueues { sender, fresh, backlog, finished, accepted, age_max_ns, spooled: None });
    }
    let dir = spool_dir(state_dir, &plan.name, sink);
    let (spool, lock) = open_spool(&dir, sink).map_err(|error| {
        let (name, dir) = (&plan.name, dir.display());
        StartError::Sink(format!(
            "sinks.{name}.spool.dir: must be a folder that only this process writes to, found \"{dir}\": {error}; \
             what is in it is kept"
        ))
    })?;
    let (sender, batches) = batch_queue(SPOOLER_BATCHES, WhenFull::Block, pool, &accepted);
    let (fresh_in, fresh) = bounded(sink.queue_batches_max);
    let sender = sender.before(fresh.clone());
    let (backlog_in, backlog) = if keeps_order(sink) {
        (None, never())
    } else {
        let (send, receive) = bounded(plan.connections);
        (Some(send), receive)
    };
    let (words_in, words) = unbounded();
    let journal = matches!(sink.durability, Durability::Journal | Durability::JournalSync);
    let age_max_ns = journal.then(|| u64::try_from(sink.spool.sync_every.as_nanos()).unwrap_or(u64::MAX));
    let spooled = Spooled { spool, lock, batches, fresh: fresh_in, backlog: backlog_in, words, journal };
    let finished = Finished::Spooler(words_in);
    Ok(SinkQueues { sender, fresh, backlog, finished, accepted, age_max_ns, spooled: Some(spooled) })
}

/// What an earlier run has left on disk must not be forgotten.
fn refuse_if_left(plan: &SinkPlan, state_dir: &Path) -> Result<(), StartError> {
    let dir = spool_dir(state_dir, &plan.name, &plan.sink);
    let left = segments(&LocalStore::at(&dir)).unwrap_or_default();
    if left.is_empty() {
        return Ok(());
    }
    let (name, count, dir) = (&plan.name, left.len(), dir.display());
    Err(StartError::Sink(format!(
        "sinks.{name}.durability: must not be \"memory\" while an earlier run has left {count} segments in {dir}: \
         tickline spool replay sends them, tickline spool drop throws them away"
    )))
}

/// Warns of spools whose sink is gone.
pub(super) fn warn_of_orphans(plans: &[SinkPlan], state_dir: &Path) {
    let folders = std::fs::read_dir(state_dir.join("spool")).into_iter().flatten().flatten();
    for folder in folders {
        let (name, path) = (folder.file_name(), folder.path());
        let known = plans.iter().any(|plan| plan.name.as_str() == name);
        if !known && segments(&LocalStore::at(&path)).is_ok_and(|left| !left.is_empty()) {
            tracing::warn!(
                "{}: points wait there for a sink that is no longer configured: tickline spool ls --dir",
                path.display()
            );
        }
    }
}

/// Whether the sink stores twice what it is sent twice, so that batches must come in order.
fn keeps_order(sink: &Sink) -> bool {
    matches!(sink.kind, SinkKind::Parquet(_) | SinkKind::File(_))
}

/// Adds what the spools know of the sources to what the state file says.
pub(super) fn resume(queues: &[SinkQueues], endpoints: &[String], known: &Resume) -> Resume {
    let mut all = known.clone();
    let spools = queues.iter().filter_map(|queues| queues.spooled.as_ref());
    let told =
        spools.flat_map(|spooled| spooled.spool.positions().iter().map(|told| (told, spooled.journal)));
    for (Position { feed, endpoint, topic, src, last }, journal) in told {
        let at =
            endpoints.iter().position(|known| **known == *endpoint).and_then(|at| u16::try_from(at).ok());
        let Some(endpoint) = at else { continue };
        let points = all.entry(feed.to_string()).or_default();
        let same = |p: &&mut SequencePoint| p.endpoint == endpoint && p.src == src && *p.topic == *topic;
        match points.iter_mut().find(same) {
            Some(point) => {
                // What the state file was too old to know was received.
                point.untold.messages += last.saturating_sub(point.last);
                point.last = point.last.max(last);
                point.inexact &= !journal;
            }
            None => {
                let (topic, untold) = (topic.to_string(), Untold { first: last + 1, ..Untold::default() });
                let inexact = !journal;
                points.push(SequencePoint {
                    endpoint,
                    topic,
                    src,
                    last,
                    inexact,
                    untold,
                    ..Default::default()
                });
            }
        }
    }
    all
}

impl Run {
    /// Starts the archive, if frames come from sockets and someone wants to keep them.
    pub(super) fn start_archive(&mut self, setup: &Setup<'_>) -> Result<(), StartError> {
        let config = &setup.config.archive;
        let Some(thread) = setup.plan.archiver.as_ref().filter(|_| setup.source == Source::Sockets) else {
            return Ok(());
        };
        let (engine, cell) = (&setup.config.engine, Arc::clone(&self.view.stats.archive));
        let opened = archive::open(config, &engine.instance, &engine.state_dir, &self.view, &cell);
        let (archiver, tap, repairs) = opened
            .map_err(|source| StartError::Archive { dir: config.dir.clone().unwrap_or_default(), source })?;
        self.tap = Some(tap);
        if let Some(repairs) = repairs {
            self.spawn(&ThreadPlan { name: "arc-repair".into(), core: None }, repairs)?;
        }
        self.spawn(thread, move || archiver.run())
    }

    /// Starts the spooler of a sink, if it has one.
    pub(super) fn start_spooler(
        &mut self,
        at: usize,
        plan: &SinkPlan,
        queues: &mut SinkQueues,
    ) -> Result<(), StartError> {
        let Some((spooled, thread)) = queues.spooled.take().zip(plan.spooler.as_ref()) else {
            return Ok(());
        };
        let Spooled { spool, lock, batches, fresh, backlog, words, .. } = spooled;
        let cell = Arc::new(SpoolCell { sink: at, ..SpoolCell::default() });
        self.view.stats.sp.lock().push(Arc::clone(&cell));
        let spec = SpoolerSpec {
            name: thread.name.clone(),
            batches,
            fresh,
            backlog,
            words,
            pool: self.pool.clone(),
            durability: plan.sink.durability,
            config: plan.sink.spool.clone(),
            spill_late: !matches!(plan.sink.kind, SinkKind::Parquet(_)),
            accepted: Arc::clone(&queues.accepted),
            cell,
        };
        let spooler = Spooler::new(spec, spool, lock, self.clock(), Arc::clone(&self.view.stop));
        self.spawn(thread, move || spooler.run())
    }
}
