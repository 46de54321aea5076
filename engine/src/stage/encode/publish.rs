//! What an encoder tells of itself: its numbers, where its feeds stand, and the rows that are the engine's own.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::{Encoder, FeedSlot};
use crate::stats::{FeedOut, Standing, thread_cpu_ns};

const SECOND_NS: u64 = 1_000_000_000;
/// After such a time without a look the encoder was held up itself, and knows nothing of silence.
const HELD_UP_NS: u64 = 3 * SECOND_NS;

impl Encoder {
    pub(super) fn publish(&mut self) {
        let cell = Arc::clone(&self.spec.cell);
        let mut shared = cell.counters.lock();
        shared.feeds.resize(self.counters.feeds.len(), FeedOut::default());
        for ((slot, own), shared) in
            self.slots.iter_mut().zip(&mut self.counters.feeds).zip(&mut shared.feeds)
        {
            if let Some(slot) = slot.as_mut().filter(|slot| slot.touched) {
                slot.touched = false;
                own.counts = *slot.decoder.counts();
                own.own_points = slot.own.points;
            }
            *shared = *own;
        }
        self.count_made();
        shared.sinks.clone_from(&self.counters.sinks);
        shared.batches = self.counters.batches;
        if self.now.since(self.second_at) >= SECOND_NS {
            self.second_at = self.now;
            let slots = self.slots.iter().zip(0u16..);
            let standing = slots.filter_map(|(slot, feed)| {
                let FeedSlot { decoder, watch, .. } = slot.as_ref()?;
                let (sources, alarm, last) = (decoder.sequence_points(), watch.alarm(), watch.last());
                Some(Standing { feed, sources, alarm, last })
            });
            shared.standing = standing.collect();
        }
    }

    /// Tells of what is silent that should not be, about once a second.
    pub(super) fn look_around(&mut self) {
        if !self.spec.live || self.now.since(self.looked_at) < SECOND_NS {
            return;
        }
        let held_up = self.now.since(self.looked_at) > HELD_UP_NS;
        self.looked_at = self.now;
        if held_up {
            // A sink that blocks keeps us from hearing: that is no publisher's silence.
            return self.slots.iter_mut().flatten().for_each(|slot| slot.watch.begin_again(self.now));
        }
        let wall = self.clock.wall();
        for slot in self.slots.iter_mut().flatten().filter(|slot| slot.active.load(Relaxed)) {
            if let Some(event) = slot.watch.look(self.now, wall) {
                if slot.watch.alarm().is_some() {
                    self.spec.archive.alarm.store(true, Relaxed);
                }
                slot.own.happened(event, self.now);
                slot.touched = true;
            }
        }
    }

    /// Writes the rows of ours that are due, at the end of a run all.
    pub(super) fn write_own(&mut self, end: bool) {
        let every = self.spec.ledger_every_ns.filter(|every| end || self.now.since(self.ledger_at) >= *every);
        if every.is_some() {
            self.ledger_at = self.now;
        }
        for slot in self.slots.iter_mut().flatten() {
            let Some(batcher) = self.batchers.get_mut(slot.batcher) else { continue };
            if !end && every.is_none() && !slot.own.is_due(self.now) {
                continue;
            }
            let batch = batcher.writable(self.now);
            batch.points += slot.own.write_news(self.now, self.clock.wall(), end, &mut batch.lines);
            if every.is_some() {
                let rows = slot.own.write_ledger(&mut slot.decoder, self.clock.wall(), &mut batch.lines);
                batch.points += rows;
            }
            slot.touched = true;
        }
    }

    /// What the decoders say they have made for each sink, which is not how the sinks' points are counted.
    fn count_made(&mut self) {
        self.counters.sinks.iter_mut().for_each(|sink| sink.made = 0);
        let slots = self.slots.iter().zip(&self.counters.feeds);
        for (batcher, at) in self.batchers.iter().zip(0..) {
            let own = slots.clone().filter(|(slot, _)| slot.as_ref().is_some_and(|slot| slot.batcher == at));
            let made: u64 = own.map(|(_, feed)| feed.counts.points_made + feed.own_points).sum();
            batcher.for_each_sink(|sink| {
                if let Some(sink) = self.counters.sinks.get_mut(sink) {
                    sink.made += made.saturating_sub(batcher.open_points());
                }
            });
        }
    }

    pub(super) fn merge_latencies(&mut self) {
        self.latencies.merge_into(&mut self.spec.cell.latencies.lock());
        if self.spec.own_thread {
            *self.spec.cell.cpu_ns.lock() = thread_cpu_ns();
        }
    }
}
