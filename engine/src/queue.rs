//! The queue in front of one sink, and the pool of empty batches: batches travel as `Arc<Batch>`, several
//! sinks read one, and the last to finish puts it back. Bounded in batches, with the sink's own policy.

use std::sync::Arc;

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, TrySendError, bounded};
use tickline_config::model::WhenFull;
use tickline_sinks::batch::{Batch, reclaim};

use crate::stats::SinkIn;
use crate::stop::{LOOK_EVERY, Stop};

/// Empty batches for use again, shared by encoders and writers.
#[derive(Clone, Debug)]
pub struct BatchPool(Sender<Arc<Batch>>, Receiver<Arc<Batch>>);

impl BatchPool {
    /// A pool that keeps at most `batches_max`.
    pub fn new(batches_max: usize) -> Self {
        let (give, take) = bounded(batches_max);
        Self(give, take)
    }

    /// An empty batch that no one else holds.
    pub fn take(&self) -> Arc<Batch> {
        self.1.try_recv().unwrap_or_default()
    }

    /// Gives up one hold on a batch; the last one makes it usable again.
    pub fn give(&self, batch: Arc<Batch>) {
        if let Some(empty) = reclaim(batch) {
            // A full pool means enough batches: this one is freed.
            drop(self.0.try_send(empty));
        }
    }
}

/// An encoder's end of a sink's queue. All clones feed the same writers.
#[derive(Clone, Debug)]
pub struct BatchSender {
    batches: Sender<Arc<Batch>>,
    /// The writers' end, to take the oldest batch out again.
    oldest: Receiver<Arc<Batch>>,
    when_full: WhenFull,
    pool: BatchPool,
}

/// Both ends of the queue in front of one sink.
pub fn batch_queue(
    batches_max: usize,
    when_full: WhenFull,
    pool: &BatchPool,
) -> (BatchSender, Receiver<Arc<Batch>>) {
    let (batches, writers) = bounded(batches_max);
    (BatchSender { batches, oldest: writers.clone(), when_full, pool: pool.clone() }, writers)
}

impl BatchSender {
    /// Whether a writer would wait for the next batch.
    pub fn idle(&self) -> bool {
        self.batches.is_empty()
    }

    /// Whether the queue would soon hold up its encoder: small batches would only bring that nearer.
    pub fn crowded(&self) -> bool {
        self.when_full == WhenFull::Block && self.batches.len() * 2 >= self.batches.capacity().unwrap_or(1)
    }

    /// Puts a batch into the queue by the sink's policy and counts it.
    pub fn send(&self, batch: Arc<Batch>, counters: &mut SinkIn, stop: &Stop) {
        let points = batch.points;
        counters.points += points;
        match self.when_full {
            WhenFull::Block => self.send_or_wait(batch, counters, stop),
            WhenFull::DropNewest => match self.batches.try_send(batch) {
                Ok(()) => counters.enqueued += points,
                Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => {
                    counters.queue_full += points;
                    self.pool.give(batch);
                }
            },
            WhenFull::DropOldest => self.send_and_drop_oldest(batch, counters, stop),
        }
    }

    fn send_or_wait(&self, mut batch: Arc<Batch>, counters: &mut SinkIn, stop: &Stop) {
        let points = batch.points;
        loop {
            match self.batches.send_timeout(batch, LOOK_EVERY) {
                Ok(()) => return counters.enqueued += points,
                Err(SendTimeoutError::Timeout(back) | SendTimeoutError::Disconnected(back))
                    if stop.aborted() =>
                {
                    counters.shutdown += points;
                    return self.pool.give(back);
                }
                Err(SendTimeoutError::Timeout(back) | SendTimeoutError::Disconnected(back)) => batch = back,
            }
        }
    }

    fn send_and_drop_oldest(&self, mut batch: Arc<Batch>, counters: &mut SinkIn, stop: &Stop) {
        let points = batch.points;
        loop {
            match self.batches.try_send(batch) {
                Ok(()) => return counters.enqueued += points,
                Err(TrySendError::Disconnected(back)) => {
                    counters.shutdown += points;
                    return stop.fail(format!("queue: the writers are gone, {} lines left", back.points));
                }
                Err(TrySendError::Full(back)) => batch = back,
            }
            if let Ok(oldest) = self.oldest.try_recv() {
                counters.popped += oldest.points;
                counters.queue_full += oldest.points;
                self.pool.give(oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(sender: &BatchSender, points: u64, counters: &mut SinkIn, stop: &Stop) {
        sender.send(Arc::new(Batch { points, ..Batch::default() }), counters, stop);
    }

    fn fill(when_full: WhenFull) -> (SinkIn, Vec<u64>) {
        let (pool, stop, mut counters) = (BatchPool::new(4), Stop::default(), SinkIn::default());
        let (sender, writers) = batch_queue(2, when_full, &pool);
        for points in [1, 20, 300] {
            if points == 300 && when_full == WhenFull::Block {
                stop.abort();
            }
            send(&sender, points, &mut counters, &stop);
        }
        (counters, writers.try_iter().map(|batch| batch.points).collect())
    }

    #[test]
    fn each_policy_counts_exactly_what_it_drops() {
        let (newest, left) = fill(WhenFull::DropNewest);
        assert_eq!(left, [1, 20]);
        assert_eq!(newest, SinkIn { points: 321, enqueued: 21, queue_full: 300, ..SinkIn::default() });

        let (oldest, left) = fill(WhenFull::DropOldest);
        assert_eq!(left, [20, 300]);
        assert_eq!(
            oldest,
            SinkIn { points: 321, enqueued: 321, popped: 1, queue_full: 1, ..SinkIn::default() }
        );

        let (block, left) = fill(WhenFull::Block);
        assert_eq!(left, [1, 20]);
        assert_eq!(block, SinkIn { points: 321, enqueued: 21, shutdown: 300, ..SinkIn::default() });
    }

    #[test]
    fn a_batch_that_two_sinks_have_read_comes_back_empty_with_its_memory() {
        let pool = BatchPool::new(4);
        let first = Arc::new(Batch { lines: Vec::with_capacity(4096), points: 3, marks: vec![] });
        let second = Arc::clone(&first);
        pool.give(first);
        assert_eq!(pool.take().lines.capacity(), 0, "still read by the second sink");
        pool.give(second);
        let again = pool.take();
        assert_eq!((again.lines.capacity(), again.points), (4096, 0));
    }
}
