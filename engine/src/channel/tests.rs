use tickline_feeds::clock::WallNanos;
use tickline_feeds::frame::Frame;

use super::*;
use crate::stats::FeedIn;

struct Rig {
    sender: FrameSender,
    receiver: FrameReceiver,
    counters: RxCounters,
    cell: RxCell,
    stop: Stop,
}

impl Rig {
    fn new(when_full: WhenFull) -> Self {
        let queue = FrameQueue::new(FrameLimits { frames_max: 4, bytes_max: 1_000, when_full });
        let (sender, receiver) = (queue.sender(0), queue.receiver());
        Self {
            sender,
            receiver,
            counters: RxCounters::default(),
            cell: RxCell::default(),
            stop: Stop::default(),
        }
    }

    fn send(&mut self, feed: u16, frames: usize) {
        let mut block = self.sender.take_empty();
        for _ in 0..frames {
            block.frames.push(&Frame {
                feed,
                endpoint: 0,
                recv: WallNanos(1),
                topic: b"t",
                payload: b"payload",
                oversized: false,
            });
        }
        self.counters.feed(feed).received += frames as u64;
        self.sender.send(block, &mut self.counters, &self.cell, &self.stop);
    }

    fn take(&mut self) -> Option<(u64, Vec<FeedDrop>)> {
        match self.receiver.take(Duration::ZERO) {
            Take::Block(block) => {
                let seen = (block.frames.len() as u64, block.drops.clone());
                self.receiver.give_back(block);
                Some(seen)
            }
            Take::Nothing | Take::End => None,
        }
    }
}

fn drops(feed: u16, frames: u64) -> FeedDrop {
    FeedDrop { feed, frames }
}

#[test]
fn newest_frames_dropped_are_announced_in_the_head_of_the_next_block() {
    let mut rig = Rig::new(WhenFull::DropNewest);
    rig.send(7, 3);
    rig.send(7, 2);
    rig.send(8, 2);
    assert_eq!(rig.take(), Some((3, vec![])));
    rig.send(7, 1);
    assert_eq!(rig.take(), Some((1, vec![drops(7, 2), drops(8, 2)])));
    let seven = *rig.counters.feed(7);
    assert_eq!((seven.received, seven.handed, seven.queue_full, seven.popped), (6, 4, 2, 0));
}

#[test]
fn newest_frames_dropped_last_are_announced_at_the_end() {
    let mut rig = Rig::new(WhenFull::DropNewest);
    rig.send(7, 4);
    rig.send(7, 1);
    assert_eq!(rig.take(), Some((4, vec![])));
    rig.sender.finish(&rig.stop);
    assert_eq!(rig.take(), Some((0, vec![drops(7, 1)])));
    rig.sender.finish(&rig.stop);
    assert_eq!(rig.take(), None);
}

#[test]
fn oldest_frames_dropped_are_announced_before_the_block_that_followed_them() {
    let mut rig = Rig::new(WhenFull::DropOldest);
    rig.send(7, 2);
    rig.send(8, 2);
    rig.send(7, 3);
    assert_eq!(rig.take(), Some((3, vec![drops(7, 2), drops(8, 2)])));
    let seven = *rig.counters.feed(7);
    assert_eq!((seven.received, seven.handed, seven.queue_full, seven.popped), (5, 5, 2, 2));
    assert_eq!(rig.receiver.last_drops(), vec![]);
}

#[test]
fn a_drop_in_a_block_that_is_dropped_itself_is_still_announced() {
    let mut rig = Rig::new(WhenFull::DropOldest);
    rig.send(7, 4);
    assert_eq!(rig.take(), Some((4, vec![])));
    rig.send(7, 4);
    rig.send(7, 4);
    rig.send(7, 4);
    assert_eq!(rig.take(), Some((4, vec![drops(7, 8)])));
}

#[test]
fn however_long_an_encoder_is_held_what_is_announced_stays_small() {
    let mut newest = Rig::new(WhenFull::DropNewest);
    let mut oldest = Rig::new(WhenFull::DropOldest);
    for _ in 0..10_000 {
        for feed in [7, 8] {
            newest.send(feed, 2);
            oldest.send(feed, 2);
        }
    }
    assert_eq!(newest.sender.unannounced, [drops(7, 19_998), drops(8, 19_998)]);
    let notices = oldest.receiver.shared.notices();
    assert_eq!(notices.iter().map(|notice| notice.drops.len()).collect::<Vec<_>>(), [2]);
    drop(notices);
    assert_eq!(oldest.take(), Some((2, vec![drops(7, 19_998), drops(8, 19_998)])));
}

#[test]
fn a_blocked_receiver_goes_on_when_there_is_space_and_loses_nothing() {
    let mut rig = Rig::new(WhenFull::Block);
    rig.send(7, 4);
    let taken = std::thread::scope(|scope| {
        let mut receiver = std::mem::replace(
            &mut rig.receiver,
            FrameQueue::new(FrameLimits { frames_max: 1, bytes_max: 1, when_full: WhenFull::Block })
                .receiver(),
        );
        let taker = scope.spawn(move || {
            let mut frames = 0;
            while frames < 12 {
                if let Take::Block(block) = receiver.take(Duration::from_secs(10)) {
                    frames += block.frames.len();
                    receiver.give_back(block);
                }
            }
            frames
        });
        rig.send(7, 4);
        rig.send(7, 4);
        taker.join().unwrap()
    });
    assert_eq!(taken, 12);
    assert_eq!((rig.counters.feed(7).handed, rig.counters.feed(7).queue_full), (12, 0));
}

#[test]
fn an_abort_ends_the_wait_for_space_and_counts_the_frames_as_dropped() {
    let mut rig = Rig::new(WhenFull::Block);
    rig.send(7, 4);
    rig.stop.abort();
    rig.send(7, 2);
    let seven = *rig.counters.feed(7);
    assert_eq!((seven.handed, seven.popped, seven.shutdown), (6, 2, 2));
}

#[test]
fn a_block_larger_than_the_queue_passes_when_it_is_alone() {
    let mut rig = Rig::new(WhenFull::Block);
    rig.send(7, 9);
    assert_eq!(rig.take(), Some((9, vec![])));
}

#[test]
fn two_receivers_and_a_slow_encoder_account_for_every_frame() {
    let queue =
        FrameQueue::new(FrameLimits { frames_max: 16, bytes_max: 10_000, when_full: WhenFull::DropOldest });
    let senders = [queue.sender(0), queue.sender(1)];
    let mut receiver = queue.receiver();
    let totals: Vec<FeedIn> = std::thread::scope(|scope| {
        let threads: Vec<_> = senders
            .into_iter()
            .zip(0u16..)
            .map(|(sender, feed)| scope.spawn(move || flood(sender, feed)))
            .collect();
        let (mut taken, mut announced) = ([0u64; 2], [0u64; 2]);
        loop {
            match receiver.take(Duration::from_secs(10)) {
                Take::Block(block) => {
                    block.each_feed(|feed, frames| taken[usize::from(feed)] += frames);
                    for drop in &block.drops {
                        announced[usize::from(drop.feed)] += drop.frames;
                    }
                    receiver.give_back(block);
                }
                Take::Nothing => continue,
                Take::End => break,
            }
        }
        for drop in receiver.last_drops() {
            announced[usize::from(drop.feed)] += drop.frames;
        }
        assert_eq!([taken[0] + announced[0], taken[1] + announced[1]], [6_000, 6_000]);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (handed, popped): (u64, u64) = totals.iter().fold((0, 0), |t, f| (t.0 + f.handed, t.1 + f.popped));
    let dropped: u64 = totals.iter().map(|feed| feed.queue_full).sum();
    assert_eq!((handed, popped), (12_000, dropped));
}

fn flood(mut sender: FrameSender, feed: u16) -> FeedIn {
    let (mut counters, cell, stop) = (RxCounters::default(), RxCell::default(), Stop::default());
    for _ in 0..2_000 {
        let mut block = sender.take_empty();
        for _ in 0..3 {
            block.frames.push(&Frame {
                feed,
                endpoint: 0,
                recv: WallNanos(1),
                topic: b"t",
                payload: b"p",
                oversized: false,
            });
        }
        sender.send(block, &mut counters, &cell, &stop);
    }
    sender.finish(&stop);
    // A sender may pop the other one's blocks, so only sums over both feeds are compared.
    let mut all = FeedIn::default();
    for one in &counters.feeds {
        all.handed += one.handed;
        all.popped += one.popped;
        all.queue_full += one.queue_full;
    }
    all
}
