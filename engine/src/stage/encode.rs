//! The encode stage: frames in, finished lines into the open batch of the feed's sinks. It runs on a thread of
//! its own behind a queue, or inline on a receiver's. One feed belongs to one encoder, which keeps the order of
//! a symbol without locks.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use tickline_config::model::Feed;
use tickline_feeds::clock::{Clock, MonoNanos, WallNanos};
use tickline_feeds::decoder::{Decoder, FrameClass};
use tickline_feeds::frame::Frame;
use tickline_sinks::batch::{Mark, Position};

use crate::channel::{Block, FeedDrop, FrameReceiver, Take};
use crate::latency::EncLatencies;
use crate::plan::FeedPlan;
use crate::quarantine::Suspect;
use crate::queue::{BatchPool, BatchSender};
use crate::stage::batcher::{BatchLimits, Batcher};
use crate::stats::{ArchiveCell, EncCell, EncCounters, FeedOut, MergeTimer, SinkIn};
use crate::stop::{LOOK_EVERY, Stop};

mod own;
mod publish;
mod silence;

pub use own::run_ordinal;
use own::{FEEDS_APART, Own};
use silence::Watch;
pub use silence::{LastTick, Silence};

/// A feed given to an encoder, before its first frame.
#[derive(Debug)]
pub struct NewFeed {
    /// Its position in the plan.
    pub feed: u16,
    /// Its name.
    pub name: Arc<str>,
    /// Its endpoint, as configured.
    pub endpoint: Arc<str>,
    /// As configured.
    pub config: Feed,
    /// Its decoder, without history.
    pub decoder: Decoder,
    /// The sinks its points go to, by position.
    pub sinks: Vec<usize>,
    /// The feed whose sources it continues, after a change of the configuration.
    pub replaces: Option<u16>,
    /// Whether it is still configured.
    pub active: Arc<AtomicBool>,
    /// Whether its publisher is connected.
    pub up: Arc<AtomicBool>,
}

impl NewFeed {
    /// Feed number `feed`, as planned.
    pub fn new(
        feed: u16,
        plan: &FeedPlan,
        decoder: Decoder,
        replaces: Option<u16>,
        up: Arc<AtomicBool>,
    ) -> Self {
        let active = Arc::new(AtomicBool::new(true));
        let (name, endpoint) = (plan.name.as_str().into(), plan.feed.endpoint.as_str().into());
        Self {
            feed,
            name,
            endpoint,
            config: plan.feed.clone(),
            decoder,
            sinks: plan.sinks.clone(),
            replaces,
            active,
            up,
        }
    }
}

/// What an encoder is made from.
#[derive(Debug)]
pub struct EncoderSpec {
    /// The queues of all sinks, by position.
    pub queues: Vec<BatchSender>,
    /// Empty batches.
    pub pool: BatchPool,
    /// When batches are closed.
    pub limits: BatchLimits,
    /// By sink, the age of a batch at which it wants it at the latest, ns.
    pub age_max_ns: Vec<Option<u64>>,
    /// Where undecodable frames go.
    pub quarantine: Sender<Suspect>,
    /// Where the numbers are published.
    pub cell: Arc<EncCell>,
    /// New feeds come here.
    pub feeds: Receiver<NewFeed>,
    /// Whether frames come from a socket now, so that latencies mean something.
    pub live: bool,
    /// Whether it has a thread of its own, whose CPU time it publishes.
    pub own_thread: bool,
    /// Position among the encoders.
    pub at: u16,
    /// `[engine] instance`
    pub instance: Arc<str>,
    /// What tells the rows of `tickline_points` of one run from another's, ns.
    pub run_ordinal: i64,
    /// Its flight recorder is told of alarms.
    pub archive: Arc<ArchiveCell>,
    /// How often `tickline_ledger` and `tickline_points` are written, ns; none: never.
    pub ledger_every_ns: Option<u64>,
}

#[derive(Debug)]
struct FeedSlot {
    decoder: Decoder,
    batcher: usize,
    touched: bool,
    /// The feed whose sources it takes over at its first frame, when that one has had its last.
    replaces: Option<u16>,
    name: Arc<str>,
    endpoint: Arc<str>,
    /// Which sources batches have told of.
    told: u64,
    own: Own,
    watch: Watch,
    active: Arc<AtomicBool>,
}

impl FeedSlot {
    /// What stood in the state file is no news of ours.
    fn skip_told(&mut self) {
        self.decoder.heard_since(&mut self.told, |_, _, _| {});
    }

    /// Tells where the sources stand that were heard since the last time.
    fn tell(&mut self, positions: &mut Vec<Position>) {
        let Self { decoder, name, endpoint, told, .. } = self;
        decoder.heard_since(told, |topic, src, last| {
            let (feed, endpoint, topic) = (Arc::clone(name), Arc::clone(endpoint), Arc::clone(topic));
            positions.push(Position { feed, endpoint, topic, src, last });
        });
    }
}

/// The encode stage of some feeds.
#[derive(Debug)]
pub struct Encoder {
    spec: EncoderSpec,
    clock: Arc<dyn Clock>,
    stop: Arc<Stop>,
    slots: Vec<Option<FeedSlot>>,
    batchers: Vec<Batcher>,
    counters: EncCounters,
    latencies: EncLatencies,
    /// `_ts` of the messages of the block being encoded.
    marks: Vec<Mark>,
    now: MonoNanos,
    merge: MergeTimer,
    second_at: MonoNanos,
    looked_at: MonoNanos,
    ledger_at: MonoNanos,
}

impl Encoder {
    /// An encoder without feeds.
    pub fn new(spec: EncoderSpec, clock: Arc<dyn Clock>, stop: Arc<Stop>) -> Self {
        let counters =
            EncCounters { sinks: vec![SinkIn::default(); spec.queues.len()], ..EncCounters::default() };
        let now = clock.mono();
        Self {
            spec,
            clock,
            stop,
            slots: Vec::new(),
            batchers: Vec::new(),
            counters,
            latencies: EncLatencies::default(),
            marks: Vec::new(),
            now,
            merge: MergeTimer::default(),
            second_at: now,
            looked_at: now,
            ledger_at: now,
        }
    }

    /// The loop of an encoder with a thread of its own; ends with its queue.
    pub fn run(mut self, mut frames: FrameReceiver) {
        loop {
            self.take_feeds();
            match frames.take(self.wait()) {
                Take::Block(block) => {
                    self.encode(&block);
                    frames.give_back(block);
                }
                Take::Nothing => self.now = self.clock.mono(),
                Take::End => break,
            }
            self.after_burst();
        }
        self.announce(&frames.last_drops());
        self.finish();
    }

    /// Takes the feeds that have been added since.
    pub fn take_feeds(&mut self) {
        while let Ok(new) = self.spec.feeds.try_recv() {
            let at = usize::from(new.feed);
            if self.slots.len() <= at {
                self.slots.resize_with(at + 1, || None);
                self.counters.feeds.resize(at + 1, FeedOut::default());
            }
            let batcher = self.batcher_for(&new.sinks);
            // Another run's rows of the same minute stay.
            let ordinal = self.spec.run_ordinal + i64::from(new.feed) % FEEDS_APART;
            let own = Own::new(&new.name, &self.spec.instance, &new.config, ordinal);
            let watch = Watch::new(&new.config, Arc::clone(&new.up), self.clock.mono());
            let NewFeed { decoder, replaces, name, endpoint, active, .. } = new;
            let mut slot = FeedSlot {
                decoder,
                batcher,
                touched: true,
                replaces,
                name,
                endpoint,
                told: 0,
                own,
                watch,
                active,
            };
            slot.skip_told();
            self.slots[at] = Some(slot);
        }
    }

    /// Decodes a block, or counts it as dropped once the run is aborted.
    pub fn encode(&mut self, block: &Block) {
        self.take_feeds();
        if self.stop.aborted() {
            return self.discard(block);
        }
        self.announce(&block.drops);
        let mut recv = None;
        for frame in block.frames.frames() {
            self.encode_frame(&frame);
            recv = Some((frame.recv, recv.map_or(1, |(_, frames)| frames + 1)));
        }
        self.now = self.clock.mono();
        // The frames of a block share one receive time: that of its burst.
        if let Some((received, frames)) = recv.filter(|_| self.spec.live) {
            let WallNanos(done) = self.clock.wall();
            self.latencies.receive_to_encode.record(received.0, done, frames);
            self.marks.drain(..).for_each(|mark| self.latencies.encoded(mark, done));
        }
    }

    fn encode_frame(&mut self, frame: &Frame<'_>) {
        let at = usize::from(frame.feed);
        if let Some(Some(FeedSlot { replaces: Some(_), .. })) = self.slots.get(at) {
            self.take_over(at);
        }
        let Some((Some(slot), out)) = self.slots.get_mut(at).zip(self.counters.feeds.get_mut(at)) else {
            return self.stop.fail(format!("encoder: a frame of feed {at}, which it does not have"));
        };
        let Some(batcher) = self.batchers.get_mut(slot.batcher) else { return };
        let batch = batcher.writable(self.now);
        let decoded = slot.decoder.decode(frame, &mut batch.lines);
        out.taken += 1;
        slot.touched = true;
        let news = slot.decoder.news();
        if !news.is_empty() {
            // What is decoded again was told when it was received.
            if self.spec.live {
                slot.own.hear(news, self.now);
            }
            news.clear();
        }
        slot.watch.frame(self.now, decoded.class);
        let mark = Mark { sent: decoded.sent, due: decoded.due };
        if self.spec.live && mark != Mark::default() {
            self.latencies.received(mark, frame.recv.0);
            self.marks.push(mark);
        }
        match decoded.class {
            FrameClass::Points if decoded.points > 0 => {
                batch.points += u64::from(decoded.points);
                slot.watch.tick(frame.recv.0, mark.sent);
                if mark != Mark::default() {
                    batch.marks.push(mark);
                }
                if batcher.is_full() {
                    let at = slot.batcher;
                    self.close(at);
                }
            }
            FrameClass::Points | FrameClass::Control => {}
            FrameClass::Undecodable(reason) => {
                // What does not fit is counted by the decoder all the same.
                drop(self.spec.quarantine.try_send(Suspect::new(frame, reason)));
            }
        }
    }

    /// Continues the sources of the feed that `at` replaces.
    #[cold]
    fn take_over(&mut self, at: usize) {
        let replaced = self.slots.get_mut(at).and_then(|slot| slot.as_mut()?.replaces.take());
        let Some(old) = replaced.map(usize::from).filter(|old| *old != at) else { return };
        if let Ok([Some(old), Some(slot)]) = self.slots.get_disjoint_mut([old, at]) {
            let same = old.own.writes_the_same(&slot.own);
            old.decoder.hand_over(&mut slot.decoder, same);
            if same {
                slot.own.continue_minutes(&old.own);
            }
            slot.skip_told();
        }
    }

    /// Closes the batch of a batcher, which tells where the sources of its feeds stand.
    fn close(&mut self, at: usize) {
        let Some(batcher) = self.batchers.get_mut(at) else { return };
        let slots = self.slots.iter_mut().flatten().filter(|slot| slot.batcher == at);
        let tell = |positions: &mut Vec<Position>| slots.for_each(|slot| slot.tell(positions));
        let Some(batch) = batcher.close(&mut self.counters.sinks, tell) else { return };
        self.counters.batches += 1;
        // A sink may settle the batch, or this wait for it, before the burst is over: whoever looks must see it as given.
        self.publish();
        if let Some(batcher) = self.batchers.get(at) {
            batcher.give(batch, &mut self.counters.sinks, &self.stop);
        }
    }

    /// Closes what is due and publishes; once a burst, or when the wait is over.
    pub fn after_burst(&mut self) {
        self.look_around();
        self.write_own(false);
        for at in 0..self.batchers.len() {
            if self.batchers.get(at).is_some_and(|batcher| batcher.is_due(self.now)) {
                self.close(at);
            }
        }
        if self.merge.due(self.now) {
            self.merge_latencies();
        }
        self.publish();
    }

    /// How long nothing has to be done if no frame comes.
    pub fn wait(&self) -> Duration {
        let look = self.batchers.iter().filter_map(|batcher| batcher.look_again_ns(self.now)).min();
        look.map_or(LOOK_EVERY, |ns| Duration::from_nanos(ns).min(LOOK_EVERY))
    }

    /// Closes the last batches and publishes the last numbers.
    pub fn finish(mut self) {
        self.write_own(true);
        (0..self.batchers.len()).for_each(|at| self.close(at));
        self.merge_latencies();
        self.second_at = MonoNanos(0);
        self.now = MonoNanos(u64::MAX);
        self.publish();
    }

    fn announce(&mut self, drops: &[FeedDrop]) {
        for drop in drops {
            if let Some(Some(slot)) = self.slots.get_mut(usize::from(drop.feed)) {
                slot.decoder.announce_drops(drop.frames);
                // Behind a message that we threw away nothing is claimed.
                slot.told = u64::MAX;
                slot.touched = true;
            }
        }
    }

    fn discard(&mut self, block: &Block) {
        block.each_feed(|feed, frames| {
            if let Some(out) = self.counters.feeds.get_mut(usize::from(feed)) {
                out.taken += frames;
                out.shutdown += frames;
            }
        });
    }

    fn batcher_for(&mut self, sinks: &[usize]) -> usize {
        if let Some(at) = self.batchers.iter().position(|batcher| batcher.serves(sinks)) {
            return at;
        }
        let queues = sinks.iter().filter_map(|&sink| Some((sink, self.spec.queues.get(sink)?.clone())));
        let at = self.batchers.len();
        let lane = u32::from(self.spec.at) << 16 | at as u32;
        let mut limits = self.spec.limits;
        let within = sinks.iter().filter_map(|&sink| *self.spec.age_max_ns.get(sink)?);
        limits.age_max_ns = within.fold(limits.age_max_ns, u64::min);
        self.batchers.push(Batcher::new(queues.collect(), self.spec.pool.clone(), limits, lane));
        at
    }
}
