//! The queue in front of one sink, and the pool of empty batches: batches travel as `Arc<Batch>`, several
//! sinks read one, and the last to finish puts it back. Bounded in batches, with the sink's own policy.

use std::sync::Arc;

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, TrySendError, bounded};
use tickline_config::model::WhenFull;
use tickline_sinks::batch::{Batch, reclaim};

use crate::accepted::Accepted;
use crate::stats::SinkIn;
use crate::stop::{LOOK_EVERY, Stop};

/// A batch on its way to a writer.
#[derive(Debug)]
pub struct Job {
    /// The batch.
    pub batch: Arc<Batch>,
    /// Which one it is to the spooler that has sent it; 0 where there is none.
    pub ticket: u64,
}

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
    batches: Sender<Job>,
    /// The other end, to take the oldest batch out again.
    oldest: Receiver<Job>,
    /// What writers take from: the same queue, or the one behind the spooler.
    writers: Receiver<Job>,
    when_full: WhenFull,
    pool: BatchPool,
    accepted: Arc<Accepted>,
}

/// Both ends of the queue in front of one sink.
pub fn batch_queue(
    batches_max: usize,
    when_full: WhenFull,
    pool: &BatchPool,
    accepted: &Arc<Accepted>,
) -> (BatchSender, Receiver<Job>) {
    let (batches, oldest) = bounded(batches_max);
    let (pool, accepted) = (pool.clone(), Arc::clone(accepted));
    let writers = oldest.clone();
    (BatchSender { batches, oldest: oldest.clone(), writers, when_full, pool, accepted }, oldest)
}

impl BatchSender {
    /// The same, where writers take from another queue, behind a spooler.
    #[must_use]
    pub fn before(self, writers: Receiver<Job>) -> Self {
        Self { writers, ..self }
    }

    /// Whether a writer would wait for the next batch.
    pub fn idle(&self) -> bool {
        self.writers.is_empty() && self.batches.is_empty()
    }

    /// Whether the sink lags so far that its encoder, or the disk, is next: small batches would only make it worse.
    pub fn crowded(&self) -> bool {
        let half_full = self.writers.len() * 2 >= self.writers.capacity().unwrap_or(1);
        self.when_full == WhenFull::Block && half_full
    }

    /// Puts a batch, which is counted in `points` already, into the queue by the sink's policy.
    pub fn send(&self, batch: Arc<Batch>, counters: &mut SinkIn, stop: &Stop) {
        let points = batch.points;
        let job = Job { batch, ticket: 0 };
        match self.when_full {
            WhenFull::Block => self.send_or_wait(job, counters, stop),
            WhenFull::DropNewest => match self.batches.try_send(job) {
                Ok(()) => counters.enqueued += points,
                Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                    counters.queue_full += points;
                    self.lose(job);
                }
            },
            WhenFull::DropOldest => self.send_and_drop_oldest(job, counters, stop),
        }
    }

    fn lose(&self, job: Job) {
        self.accepted.lose(&job.batch);
        self.pool.give(job.batch);
    }

    fn send_or_wait(&self, mut job: Job, counters: &mut SinkIn, stop: &Stop) {
        let points = job.batch.points;
        loop {
            match self.batches.send_timeout(job, LOOK_EVERY) {
                Ok(()) => return counters.enqueued += points,
                Err(SendTimeoutError::Timeout(back) | SendTimeoutError::Disconnected(back))
                    if stop.aborted() =>
                {
                    counters.shutdown += points;
                    return self.lose(back);
                }
                Err(SendTimeoutError::Timeout(back) | SendTimeoutError::Disconnected(back)) => job = back,
            }
        }
    }

    fn send_and_drop_oldest(&self, mut job: Job, counters: &mut SinkIn, stop: &Stop) {
        let points = job.batch.points;
        loop {
            match self.batches.try_send(job) {
                Ok(()) => return counters.enqueued += points,
                Err(TrySendError::Disconnected(back)) => {
                    counters.shutdown += points;
                    return stop
                        .fail(format!("queue: the writers are gone, {} lines left", back.batch.points));
                }
                Err(TrySendError::Full(back)) => job = back,
            }
            if let Ok(oldest) = self.oldest.try_recv() {
                counters.popped += oldest.batch.points;
                counters.queue_full += oldest.batch.points;
                self.lose(oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(sender: &BatchSender, points: u64, counters: &mut SinkIn, stop: &Stop) {
        counters.points += points;
        sender.send(Arc::new(Batch { points, ..Batch::default() }), counters, stop);
    }

    fn fill(when_full: WhenFull) -> (SinkIn, Vec<u64>) {
        let (pool, stop, mut counters) = (BatchPool::new(4), Stop::default(), SinkIn::default());
        let (sender, writers) = batch_queue(2, when_full, &pool, &Arc::default());
        for points in [1, 20, 300] {
            if points == 300 && when_full == WhenFull::Block {
                stop.abort();
            }
            send(&sender, points, &mut counters, &stop);
        }
        (counters, writers.try_iter().map(|job| job.batch.points).collect())
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
        let first = Arc::new(Batch { lines: Vec::with_capacity(4096), points: 3, ..Batch::default() });
        let second = Arc::clone(&first);
        pool.give(first);
        assert_eq!(pool.take().lines.capacity(), 0, "still read by the second sink");
        pool.give(second);
        let again = pool.take();
        assert_eq!((again.lines.capacity(), again.points), (4096, 0));
    }
}
