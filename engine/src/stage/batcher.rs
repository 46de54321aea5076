//! The open batch of one encoder and one set of sinks, and the rule that closes it: an idle sink after the
//! linger, or size, lines or age. The rule is a pure function; the batcher only carries it out.

use std::sync::Arc;

use tickline_feeds::clock::MonoNanos;
use tickline_sinks::batch::{Batch, BatchNumber, Position};

use crate::queue::{BatchPool, BatchSender};
use crate::stats::SinkIn;
use crate::stop::Stop;

/// When batches are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Shortest age at which an idle sink closes a batch, ns.
    pub linger_ns: u64,
    /// Size at which it is closed.
    pub bytes_max: usize,
    /// Lines at which it is closed.
    pub lines_max: u64,
    /// Age at which it is closed, ns.
    pub age_max_ns: u64,
}

/// An open batch as the rule sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenBatch {
    /// Its bytes.
    pub bytes: usize,
    /// Its lines.
    pub lines: u64,
    /// Time since its first line, ns.
    pub age_ns: u64,
    /// Whether some sink waits for work and no other would be held up by small batches.
    pub wanted: bool,
}

/// Why a batch is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// A sink is idle and the linger is over.
    Idle,
    /// `batch_bytes_max`
    Bytes,
    /// `batch_lines_max`
    Lines,
    /// `batch_age_max`
    Age,
}

/// Whether an open batch must be closed now.
pub fn close_now(open: OpenBatch, limits: &BatchLimits) -> Option<Close> {
    if open.lines == 0 {
        None
    } else if open.bytes >= limits.bytes_max {
        Some(Close::Bytes)
    } else if open.lines >= limits.lines_max {
        Some(Close::Lines)
    } else if open.age_ns >= limits.age_max_ns {
        Some(Close::Age)
    } else if open.wanted && open.age_ns >= limits.linger_ns {
        Some(Close::Idle)
    } else {
        None
    }
}

/// How long nothing can change about [`close_now`] but through a new line or a sink, ns; none: as long as no
/// line comes.
pub fn look_again_ns(open: OpenBatch, limits: &BatchLimits) -> Option<u64> {
    // A sink that becomes idle wakes no one: it is looked at once a linger.
    let linger_left = limits.linger_ns.saturating_sub(open.age_ns);
    let next = if linger_left == 0 { limits.linger_ns.max(1) } else { linger_left };
    (open.lines > 0).then(|| next.min(limits.age_max_ns.saturating_sub(open.age_ns)))
}

/// The open batch for one set of sinks.
#[derive(Debug)]
pub struct Batcher {
    sinks: Vec<(usize, BatchSender)>,
    open: Arc<Batch>,
    first_line: MonoNanos,
    pool: BatchPool,
    limits: BatchLimits,
    /// Number of the open batch.
    number: BatchNumber,
}

impl Batcher {
    /// A batcher for these sinks, each with its position in the plan.
    pub fn new(sinks: Vec<(usize, BatchSender)>, pool: BatchPool, limits: BatchLimits, lane: u32) -> Self {
        let number = BatchNumber { lane, number: 0 };
        Self { sinks, open: pool.take(), first_line: MonoNanos(0), pool, limits, number }
    }

    /// Whether it serves exactly these sinks.
    pub fn serves(&self, sinks: &[usize]) -> bool {
        self.sinks.iter().map(|(sink, _)| sink).eq(sinks)
    }

    /// Calls `each` with the position of every sink that it serves.
    pub fn for_each_sink(&self, mut each: impl FnMut(usize)) {
        self.sinks.iter().for_each(|(sink, _)| each(*sink));
    }

    /// Points that no sink has been given yet.
    pub fn open_points(&self) -> u64 {
        self.open.points
    }

    /// The batch to append to. What was first appended since the last close counts as begun at `now`.
    pub fn writable(&mut self, now: MonoNanos) -> &mut Batch {
        if self.open.points == 0 {
            self.first_line = now;
        }
        if Arc::get_mut(&mut self.open).is_none() {
            // The pool gives batches that no one else holds; if one ever is held, it is left to its reader.
            self.open = Arc::default();
        }
        Arc::get_mut(&mut self.open).unwrap_or_else(|| unreachable!("a fresh batch has one holder"))
    }

    /// Whether the batch is full.
    pub fn is_full(&self) -> bool {
        self.open.lines.len() >= self.limits.bytes_max || self.open.points >= self.limits.lines_max
    }

    /// Whether the rule says that the batch must be closed.
    pub fn is_due(&self, now: MonoNanos) -> bool {
        close_now(self.look(now), &self.limits).is_some()
    }

    /// See [`look_again_ns`].
    pub fn look_again_ns(&self, now: MonoNanos) -> Option<u64> {
        if self.open.points == 0 { None } else { look_again_ns(self.look(now), &self.limits) }
    }

    /// Closes the batch, if there is one, and counts it for every sink; `tell` adds where its sources stand.
    pub fn close(
        &mut self,
        sinks: &mut [SinkIn],
        tell: impl FnOnce(&mut Vec<Position>),
    ) -> Option<Arc<Batch>> {
        if self.open.points == 0 {
            return None;
        }
        let mut batch = std::mem::replace(&mut self.open, self.pool.take());
        if let Some(batch) = Arc::get_mut(&mut batch) {
            batch.number = Some(self.number);
            tell(&mut batch.positions);
        }
        self.number.number += 1;
        for (sink, _) in &self.sinks {
            if let Some(counters) = sinks.get_mut(*sink) {
                counters.points += batch.points;
            }
        }
        Some(batch)
    }

    /// Gives a closed batch to every sink.
    pub fn give(&self, batch: Arc<Batch>, sinks: &mut [SinkIn], stop: &Stop) {
        for (sink, queue) in &self.sinks {
            if let Some(counters) = sinks.get_mut(*sink) {
                queue.send(Arc::clone(&batch), counters, stop);
            }
        }
        self.pool.give(batch);
    }

    fn look(&self, now: MonoNanos) -> OpenBatch {
        let wanted = self.sinks.iter().any(|(_, q)| q.idle()) && !self.sinks.iter().any(|(_, q)| q.crowded());
        OpenBatch {
            bytes: self.open.lines.len(),
            lines: self.open.points,
            age_ns: now.since(self.first_line),
            wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BatchLimits = BatchLimits { linger_ns: 5, bytes_max: 100, lines_max: 10, age_max_ns: 500 };

    #[test]
    fn a_batch_is_closed_by_an_idle_sink_after_the_linger_or_by_a_limit() {
        let table = [
            ("empty, however old", (0, 0, 900, true), None),
            ("young, sink idle", (10, 1, 4, true), None),
            ("lingered, sink idle", (10, 1, 5, true), Some(Close::Idle)),
            ("lingered, sinks busy", (10, 1, 499, false), None),
            ("too old, sinks busy", (10, 1, 500, false), Some(Close::Age)),
            ("too large at once", (100, 1, 0, false), Some(Close::Bytes)),
            ("too many lines at once", (99, 10, 0, false), Some(Close::Lines)),
        ];
        for (case, (bytes, lines, age_ns, wanted), close) in table {
            assert_eq!(close_now(OpenBatch { bytes, lines, age_ns, wanted }, &LIMITS), close, "{case}");
        }
    }

    #[test]
    fn an_encoder_looks_again_when_the_linger_ends_then_once_a_linger_but_never_past_the_age() {
        let table =
            [((0, 3), None), ((1, 0), Some(5)), ((1, 3), Some(2)), ((1, 5), Some(5)), ((1, 498), Some(2))];
        for ((lines, age_ns), wait) in table {
            let open = OpenBatch { bytes: 1, lines, age_ns, wanted: true };
            assert_eq!(look_again_ns(open, &LIMITS), wait, "lines {lines}, age {age_ns}");
        }
    }

    #[test]
    fn a_closed_batch_goes_to_every_sink_and_an_idle_queue_is_needed_to_close_early() {
        let (pool, stop) = (BatchPool::new(4), Stop::default());
        let policy = tickline_config::model::WhenFull::Block;
        let queue = || crate::queue::batch_queue(4, policy, &pool, &Arc::default());
        let ((slow, slow_rx), (fast, fast_rx)) = (queue(), queue());
        let mut batcher = Batcher::new(vec![(0, slow), (2, fast)], pool.clone(), LIMITS, 0);
        let mut sinks = [SinkIn::default(); 3];
        let line = |batcher: &mut Batcher, now| {
            let batch = batcher.writable(MonoNanos(now));
            batch.lines.extend_from_slice(b"m v=1 1\n");
            batch.points += 1;
        };
        let mut close = |batcher: &mut Batcher| {
            let closed = batcher.close(&mut sinks, |_| {});
            closed.map(|batch| batcher.give(batch, &mut sinks, &stop)).is_some()
        };
        line(&mut batcher, 10);
        assert!(!batcher.is_due(MonoNanos(14)));
        assert!(batcher.is_due(MonoNanos(15)) && close(&mut batcher));
        line(&mut batcher, 20);
        assert!(!batcher.is_due(MonoNanos(30)), "both queues hold a batch");
        assert_eq!(fast_rx.try_recv().unwrap().batch.points, 1);
        assert!(batcher.is_due(MonoNanos(30)) && close(&mut batcher), "the fast sink is idle again");
        assert_eq!((slow_rx.len(), fast_rx.len()), (2, 1));
        line(&mut batcher, 40);
        drop(fast_rx.try_recv());
        assert!(
            !batcher.is_due(MonoNanos(60)),
            "the slow sink's queue is half full and would block: its batches are made larger"
        );
        assert_eq!((sinks[0].enqueued, sinks[1].points, sinks[2].enqueued), (2, 0, 2));
    }
}
