//! A receiver's end of the archive: copies bursts into a queue that is bounded in bytes, and keeps to its policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use tickline_config::model::WhenFull;
use tickline_feeds::frame::FrameBlock;

use super::QUEUE_BYTES;
use crate::stats::ArchiveCell;
use crate::stop::Stop;

/// How soon a receiver that waits for room looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A receiver's end.
#[derive(Clone, Debug)]
pub struct Tap {
    pub(super) blocks: Sender<FrameBlock>,
    /// To take the oldest out again.
    pub(super) oldest: Receiver<FrameBlock>,
    pub(super) empty: Receiver<FrameBlock>,
    /// Bytes in the queue.
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) when_full: WhenFull,
    pub(super) cell: Arc<ArchiveCell>,
}

impl Tap {
    /// Copies a burst.
    pub fn copy(&mut self, frames: &FrameBlock, stop: &Stop) {
        if frames.is_empty() {
            return;
        }
        let mut block = self.empty.try_recv().unwrap_or_default();
        block.copy_from(frames);
        let lost = match self.when_full {
            WhenFull::Block => return self.wait(block, stop),
            WhenFull::DropNewest => self.offer(block).map_or_else(|block| block.len(), |()| 0),
            WhenFull::DropOldest => {
                let mut lost = 0;
                while let Err(again) = self.offer(block) {
                    let Ok(oldest) = self.oldest.try_recv() else {
                        // Larger than the queue, and alone in it.
                        lost += again.len();
                        break;
                    };
                    self.waiting.fetch_sub(oldest.bytes(), Ordering::Relaxed);
                    lost += oldest.len();
                    block = again;
                }
                lost
            }
        };
        if lost > 0 {
            self.cell.counters.lock().queue_full += lost as u64;
        }
    }

    /// Puts a block into the queue, or gives it back where there is no room. A large one passes when it is alone.
    fn offer(&self, block: FrameBlock) -> Result<(), FrameBlock> {
        let bytes = block.bytes();
        let before = self.waiting.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before + bytes > QUEUE_BYTES {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            return Err(block);
        }
        self.blocks.try_send(block).map_err(|error| {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            error.into_inner()
        })
    }

    fn wait(&self, mut block: FrameBlock, stop: &Stop) {
        while !stop.aborted() {
            match self.offer(block) {
                Ok(()) => return,
                Err(again) => block = again,
            }
            std::thread::park_timeout(LOOK_AGAIN);
        }
        self.cell.counters.lock().queue_full += block.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::{bounded, unbounded};
    use tickline_feeds::clock::WallNanos;
    use tickline_feeds::frame::Frame;

    use super::*;

    /// A burst of one frame of half the queue; its receive time says which.
    fn half(n: i64) -> FrameBlock {
        let payload = vec![0; QUEUE_BYTES / 2];
        let mut block = FrameBlock::default();
        let (recv, topic) = (WallNanos(n), &b""[..]);
        block.push(&Frame { feed: 0, endpoint: 0, recv, topic, payload: &payload, oversized: false });
        block
    }

    /// What is in the queue after four such bursts, and what was counted as lost.
    fn after_four(when_full: WhenFull) -> (Vec<i64>, u64) {
        let ((blocks, oldest), (_back, empty)) = (unbounded(), bounded(1));
        let cell = Arc::<ArchiveCell>::default();
        let (waiting, own) = (Arc::default(), Arc::clone(&cell));
        let mut tap = Tap { blocks, oldest, empty, waiting, when_full, cell: own };
        (1..=4).for_each(|n| tap.copy(&half(n), &Stop::default()));
        let left =
            tap.oldest.try_iter().flat_map(|block| block.frames().map(|f| f.recv.0).collect::<Vec<_>>());
        (left.collect(), cell.counters.lock().queue_full)
    }

    #[test]
    fn a_full_queue_gives_up_its_oldest_or_its_newest_bursts_and_counts_them() {
        assert_eq!(after_four(WhenFull::DropOldest), (vec![3, 4], 2));
        assert_eq!(after_four(WhenFull::DropNewest), (vec![1, 2], 2));
    }

    #[test]
    fn a_receiver_that_waits_for_room_goes_on_when_the_run_is_aborted() {
        let ((blocks, oldest), (_back, empty)) = (unbounded(), bounded(1));
        let (cell, stop) = (Arc::<ArchiveCell>::default(), Stop::default());
        let own = Arc::clone(&cell);
        let mut tap =
            Tap { blocks, oldest, empty, waiting: Arc::default(), when_full: WhenFull::Block, cell: own };
        tap.copy(&half(1), &stop);
        tap.copy(&half(2), &stop);
        stop.abort();
        tap.copy(&half(3), &stop);
        assert_eq!((tap.oldest.len(), cell.counters.lock().queue_full), (2, 1));
    }
}
