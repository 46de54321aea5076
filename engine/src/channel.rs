//! The queue between receivers and one encoder: blocks of frames, bounded in frames and in bytes, with the
//! policy of `engine.when_full` and an exact account of what it drops. A drop is announced to the encoder in
//! the order of the frames: newest frames in the head of the next block, oldest ones by a notice under the
//! number of the block that was taken out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tickline_config::model::WhenFull;
use tickline_feeds::frame::FrameBlock;

use crate::stage::socket::BURST_BYTES;
use crate::stats::{RxCell, RxCounters};
use crate::stop::{LOOK_EVERY, Stop};

/// Empty blocks kept for use again.
pub const BLOCKS_KEPT: usize = 32;

/// Bytes of a block that is kept; its memory is at most twice that. One large message must not stay for ever.
pub const BLOCK_BYTES_KEPT: usize = 2 * BURST_BYTES;

/// Blocks that may wait, however few frames are in them; their slots are allocated at the start.
pub const BLOCKS_MAX: usize = 4_096;

/// Frames of one feed that were dropped before the block that carries the announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedDrop {
    /// Feed.
    pub feed: u16,
    /// Frames.
    pub frames: u64,
}

/// A burst on its way to an encoder.
#[derive(Debug, Default)]
pub struct Block {
    /// The frames.
    pub frames: FrameBlock,
    /// Receiver it came from.
    pub rx: u16,
    /// Count of that receiver's blocks to this encoder, from 0.
    pub number: u64,
    /// What was dropped before it.
    pub drops: Vec<FeedDrop>,
}

/// Adds dropped frames to a list with one entry a feed, so that it stays small however long an encoder is held.
fn add_drop(drops: &mut Vec<FeedDrop>, feed: u16, frames: u64) {
    match drops.iter_mut().find(|drop| drop.feed == feed) {
        Some(drop) => drop.frames += frames,
        None => drops.push(FeedDrop { feed, frames }),
    }
}

impl Block {
    /// Calls `each` with every feed in the block and its frames.
    pub fn each_feed(&self, mut each: impl FnMut(u16, u64)) {
        let mut run: Option<(u16, u64)> = None;
        for frame in self.frames.frames() {
            match &mut run {
                Some((feed, frames)) if *feed == frame.feed => *frames += 1,
                _ => {
                    if let Some((feed, frames)) = run.replace((frame.feed, 1)) {
                        each(feed, frames);
                    }
                }
            }
        }
        if let Some((feed, frames)) = run {
            each(feed, frames);
        }
    }
}

/// Bounds and policy of a queue of frames.
#[derive(Clone, Copy, Debug)]
pub struct FrameLimits {
    /// Frames that may wait.
    pub frames_max: usize,
    /// Their bytes.
    pub bytes_max: usize,
    /// What happens beyond.
    pub when_full: WhenFull,
}

/// Blocks that were taken out one behind the other.
#[derive(Debug)]
struct Notice {
    rx: u16,
    /// Number of the last one.
    number: u64,
    drops: Vec<FeedDrop>,
}

/// What waits.
#[derive(Clone, Copy, Debug, Default)]
struct Fill {
    blocks: usize,
    frames: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Shared {
    limits: FrameLimits,
    fill: Mutex<Fill>,
    /// What was taken out again; also held while it is taken out, so that an encoder which sees a number
    /// missing finds the notice of it.
    notices: Mutex<Vec<Notice>>,
}

impl Shared {
    fn reserve(&self, frames: usize, bytes: usize) -> bool {
        let mut fill = self.fill.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = fill.blocks < BLOCKS_MAX
            && fill.frames + frames <= self.limits.frames_max
            && fill.bytes + bytes <= self.limits.bytes_max;
        // A block larger than the whole queue still passes when it is alone.
        if fits || fill.blocks == 0 {
            *fill = Fill { blocks: fill.blocks + 1, frames: fill.frames + frames, bytes: fill.bytes + bytes };
            return true;
        }
        false
    }

    fn release(&self, frames: usize, bytes: usize) {
        let mut fill = self.fill.lock().unwrap_or_else(PoisonError::into_inner);
        *fill = Fill {
            blocks: fill.blocks.saturating_sub(1),
            frames: fill.frames.saturating_sub(frames),
            bytes: fill.bytes.saturating_sub(bytes),
        };
    }

    fn notices(&self) -> MutexGuard<'_, Vec<Notice>> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a block weighs in the queue: one that only announces drops counts as one frame.
fn weight(block: &Block) -> (usize, usize) {
    (block.frames.len().max(1), block.frames.bytes())
}

fn recycle(free: &Sender<Box<Block>>, mut block: Box<Block>) {
    if block.frames.bytes() <= BLOCK_BYTES_KEPT {
        block.frames.clear();
        block.drops.clear();
        // A full pool means enough blocks: this one is freed.
        drop(free.try_send(block));
    }
}

/// A queue of frames, from which each receiver takes a sender; dropping it closes the queue once the senders
/// are gone.
#[derive(Clone, Debug)]
pub struct FrameQueue {
    shared: Arc<Shared>,
    blocks: (Sender<Box<Block>>, Receiver<Box<Block>>),
    free: (Sender<Box<Block>>, Receiver<Box<Block>>),
    space: (Sender<()>, Receiver<()>),
}

impl FrameQueue {
    /// An empty queue.
    pub fn new(limits: FrameLimits) -> Self {
        let shared = Shared { limits, fill: Mutex::default(), notices: Mutex::default() };
        // Reserved before they are sent, so that the channel never holds one up.
        let blocks = bounded(BLOCKS_MAX);
        Self { shared: Arc::new(shared), blocks, free: bounded(BLOCKS_KEPT), space: bounded(1) }
    }

    /// The sending end of receiver `rx`.
    pub fn sender(&self, rx: u16) -> FrameSender {
        FrameSender { queue: self.clone(), rx, next_number: 0, unannounced: Vec::new() }
    }

    /// The receiving end; there is one.
    pub fn receiver(self) -> FrameReceiver {
        FrameReceiver {
            shared: self.shared,
            blocks: self.blocks.1,
            free: self.free.0,
            space: self.space.0,
            expected: Vec::new(),
        }
    }

    /// Frames and bytes that wait now.
    pub fn gauge(&self) -> FillGauge {
        FillGauge(Arc::clone(&self.shared))
    }
}

/// Reads how full a queue of frames is, without keeping it open.
#[derive(Clone, Debug)]
pub struct FillGauge(Arc<Shared>);

impl FillGauge {
    /// Frames and bytes that wait, and the frames that may.
    pub fn read(&self) -> (usize, usize, usize) {
        let fill = self.0.fill.lock().unwrap_or_else(PoisonError::into_inner);
        (fill.frames, fill.bytes, self.0.limits.frames_max)
    }
}

/// One receiver's end.
#[derive(Debug)]
pub struct FrameSender {
    queue: FrameQueue,
    rx: u16,
    next_number: u64,
    unannounced: Vec<FeedDrop>,
}

impl FrameSender {
    /// An empty block, used before if there is one.
    pub fn take_empty(&self) -> Box<Block> {
        self.queue.free.1.try_recv().unwrap_or_default()
    }

    /// Gives a burst to the encoder by the queue's policy. Counters are published before the encoder can see
    /// the block, so that a reader who asks downstream first never finds more taken than handed.
    pub fn send(&mut self, block: Box<Block>, counters: &mut RxCounters, cell: &RxCell, stop: &Stop) {
        let weight = weight(&block);
        if self.queue.shared.limits.when_full == WhenFull::DropNewest
            && !self.queue.shared.reserve(weight.0, weight.1)
        {
            block.each_feed(|feed, frames| {
                counters.feed(feed).queue_full += frames;
                add_drop(&mut self.unannounced, feed, frames);
            });
            counters.publish(cell);
            return self.recycle(block);
        }
        block.each_feed(|feed, frames| counters.feed(feed).handed += frames);
        counters.publish(cell);
        let admitted = match self.queue.shared.limits.when_full {
            WhenFull::DropNewest => true,
            WhenFull::Block => self.wait_for_space(weight, stop),
            WhenFull::DropOldest => self.make_space(weight, counters, cell, stop),
        };
        if !admitted {
            block.each_feed(|feed, frames| {
                counters.feed(feed).popped += frames;
                counters.feed(feed).shutdown += frames;
            });
            return counters.publish(cell);
        }
        self.deliver(block, stop);
    }

    /// Announces what was dropped last, for which no further burst will come.
    pub fn finish(&mut self, stop: &Stop) {
        let block = self.take_empty();
        if !self.unannounced.is_empty() && self.wait_for_space(weight(&block), stop) {
            self.deliver(block, stop);
        }
    }

    fn deliver(&mut self, mut block: Box<Block>, stop: &Stop) {
        (block.rx, block.number) = (self.rx, self.next_number);
        self.next_number += 1;
        block.drops.append(&mut self.unannounced);
        if self.queue.blocks.0.send(block).is_err() {
            stop.fail("channel: the encoder's end is gone".into());
        }
    }

    fn recycle(&self, block: Box<Block>) {
        recycle(&self.queue.free.0, block);
    }

    fn wait_for_space(&self, (frames, bytes): (usize, usize), stop: &Stop) -> bool {
        let shared = &self.queue.shared;
        while !shared.reserve(frames, bytes) {
            if stop.aborted() {
                return false;
            }
            // Woken or not, the next look decides.
            self.queue.space.1.recv_timeout(LOOK_EVERY).ok();
        }
        // Another receiver may wait for what is still free.
        self.queue.space.0.try_send(()).ok();
        true
    }

    fn make_space(
        &self,
        (frames, bytes): (usize, usize),
        counters: &mut RxCounters,
        cell: &RxCell,
        stop: &Stop,
    ) -> bool {
        let shared = &self.queue.shared;
        while !shared.reserve(frames, bytes) {
            if stop.aborted() {
                return false;
            }
            let mut notices = shared.notices();
            let Ok(mut oldest) = self.queue.blocks.1.try_recv() else { continue };
            let weight = weight(&oldest);
            shared.release(weight.0, weight.1);
            let (rx, number, earlier) = (oldest.rx, oldest.number, std::mem::take(&mut oldest.drops));
            let before = notices.iter_mut().find(|notice| notice.rx == rx && notice.number + 1 == number);
            let notice = match before {
                Some(notice) => {
                    notice.number = number;
                    notice
                }
                None => {
                    notices.push(Notice { rx, number, drops: Vec::new() });
                    notices.last_mut().unwrap_or_else(|| unreachable!("just pushed"))
                }
            };
            earlier.iter().for_each(|drop| add_drop(&mut notice.drops, drop.feed, drop.frames));
            oldest.each_feed(|feed, frames| {
                counters.feed(feed).popped += frames;
                counters.feed(feed).queue_full += frames;
                add_drop(&mut notice.drops, feed, frames);
            });
            drop(notices);
            self.recycle(oldest);
        }
        counters.publish(cell);
        true
    }
}

/// What the encoder finds in its queue.
#[derive(Debug)]
pub enum Take {
    /// A burst. What was dropped before it stands in its head.
    Block(Box<Block>),
    /// Nothing came in time.
    Nothing,
    /// Every receiver has ended and the queue is empty.
    End,
}

/// The encoder's end.
#[derive(Debug)]
pub struct FrameReceiver {
    shared: Arc<Shared>,
    blocks: Receiver<Box<Block>>,
    free: Sender<Box<Block>>,
    space: Sender<()>,
    /// Number of the next block, by receiver.
    expected: Vec<u64>,
}

impl FrameReceiver {
    /// The next burst, waiting at most `time`.
    pub fn take(&mut self, time: Duration) -> Take {
        let mut block = match self.blocks.recv_timeout(time) {
            Ok(block) => block,
            Err(RecvTimeoutError::Timeout) => return Take::Nothing,
            Err(RecvTimeoutError::Disconnected) => return Take::End,
        };
        let (frames, bytes) = weight(&block);
        self.shared.release(frames, bytes);
        self.space.try_send(()).ok();
        let at = usize::from(block.rx);
        if self.expected.len() <= at {
            self.expected.resize(at + 1, 0);
        }
        if self.expected[at] != block.number {
            let (rx, number) = (block.rx, block.number);
            self.collect(|notice| notice.rx == rx && notice.number < number, &mut block.drops);
        }
        self.expected[at] = block.number + 1;
        Take::Block(block)
    }

    /// Gives a block back for use again.
    pub fn give_back(&self, block: Box<Block>) {
        recycle(&self.free, block);
    }

    /// Drops after the last block, at the end.
    pub fn last_drops(&self) -> Vec<FeedDrop> {
        let mut drops = Vec::new();
        self.collect(|_| true, &mut drops);
        drops
    }

    fn collect(&self, mut wanted: impl FnMut(&Notice) -> bool, drops: &mut Vec<FeedDrop>) {
        self.shared.notices().retain_mut(|notice| {
            let take = wanted(notice);
            if take {
                drops.append(&mut notice.drops);
            }
            !take
        });
    }
}

#[cfg(test)]
mod tests;
