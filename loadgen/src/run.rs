//! A run of generated load: binds every publisher, starts its thread, and gathers what they did.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tickline_feeds::capture::{self, Record};
use tickline_feeds::clock::{Clock, WallNanos};
use tickline_feeds::payload::{Decimals, PayloadWriter};

use crate::arrivals::Schedule;
use crate::door::Porter;
use crate::generator::{self, Generator, Slot};
use crate::plan::{FeedLoad, LoadPlan, PlanError};
use crate::prng::splitmix64;
use crate::publish::{Due, Progress, Publisher, Source, StartLine, Written};
use crate::result::{FeedResult, LoadError, LoadResult};
use crate::sender::Sender;
use crate::spawn::spawn;

/// Where the times of a capture file begin: 2026-01-01T00:00:00Z.
pub const CAPTURE_EPOCH: WallNanos = WallNanos(1_767_225_600_000_000_000);

/// Bytes of a capture file that are written at once.
const CAPTURE_CHUNK_BYTES: usize = 1 << 20;

/// A run that goes on in its threads.
#[derive(Debug)]
pub struct Running {
    publishers: Vec<Thread>,
    stop: Arc<AtomicBool>,
    /// The publishers need not keep their connections.
    leave: Arc<AtomicBool>,
    plan: Option<LoadPlan>,
    /// Lets subscribers in, as long as there are publishers.
    _porter: Option<Porter>,
}

#[derive(Debug)]
struct Thread {
    feed: String,
    endpoint: String,
    progress: Arc<Progress>,
    handle: JoinHandle<Result<FeedResult, LoadError>>,
}

/// Binds all endpoints of the plan and starts its publishers. On an error nothing is left running.
pub fn start<C: Clock + Clone + 'static>(plan: LoadPlan, clock: C) -> Result<Running, LoadError> {
    let context = zmq::Context::new();
    let porter = plan.door.as_ref().map(|door| door.open(&context)).transpose()?;
    let mut bound = Vec::new();
    // Each run is a source of its own: an engine takes numbers that it knows for duplicates and would see no loss.
    let salt = splitmix64(clock.wall().0 as u64);
    for load in &plan.feeds {
        let source = Generated::new(load, &plan)?;
        let options = (generator::src(plan.seed ^ salt, &load.feed), plan.sndhwm);
        let sender =
            Sender::bind(&context, &load.feed, &load.topic, &load.endpoint, options, plan.door.as_ref())?;
        bound.push((load.feed.clone(), sender, source));
    }
    let terms = Terms {
        decimals: plan.decimals,
        wait: plan.wait,
        wait_timeout: plan.wait_timeout,
        duration: plan.duration,
    };
    let mut running = Running::start(bound, porter, &clock, terms)?;
    running.plan = Some(plan);
    Ok(running)
}

/// What all publishers of a run have in common.
pub(crate) struct Terms {
    /// How decimals travel.
    pub(crate) decimals: Decimals,
    /// Whether to wait for a subscriber before the first message.
    pub(crate) wait: bool,
    /// How long; none: until stopped.
    pub(crate) wait_timeout: Option<Duration>,
    /// End of a source without schedule.
    pub(crate) duration: Option<Duration>,
}

impl Running {
    /// Starts a publisher for each feed with its bound sender and its source. They begin together.
    pub(crate) fn start<S: Source + 'static, C: Clock + Clone + 'static>(
        bound: Vec<(String, Sender, S)>,
        porter: Option<Porter>,
        clock: &C,
        terms: Terms,
    ) -> Result<Self, LoadError> {
        let (stop, leave) = (Arc::default(), Arc::default());
        let mut running = Self { publishers: Vec::new(), stop, leave, plan: None, _porter: porter };
        let line = Arc::new(StartLine::new(bound.len()));
        for (feed, sender, source) in bound {
            running.add(Publisher {
                feed,
                sender,
                source,
                clock: clock.clone(),
                stop: Arc::clone(&running.stop),
                leave: Arc::clone(&running.leave),
                line: Arc::clone(&line),
                progress: Arc::default(),
                decimals: terms.decimals,
                wait: terms.wait,
                wait_timeout: terms.wait_timeout,
                duration: terms.duration,
            })?;
        }
        Ok(running)
    }

    fn add<S: Source + 'static, C: Clock + 'static>(
        &mut self,
        publisher: Publisher<S, C>,
    ) -> Result<(), LoadError> {
        let feed = publisher.feed.clone();
        let endpoint = publisher.sender.endpoint().to_owned();
        let progress = Arc::clone(&publisher.progress);
        let name = format!("pub-{feed}");
        let stop = Arc::clone(&self.stop);
        let body = move || publisher.run().inspect_err(|_| stop.store(true, Ordering::Relaxed));
        let handle = spawn(name.clone(), Arc::clone(&self.stop), body)
            .inspect_err(|_| self.stop())
            .map_err(|error| LoadError::Internal(format!("{name}: cannot start the thread: {error}")))?;
        self.publishers.push(Thread { feed, endpoint, progress, handle });
        Ok(())
    }

    /// Feed and bound endpoint of each publisher; known before its first message.
    pub fn endpoints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.publishers.iter().map(|thread| (thread.feed.as_str(), thread.endpoint.as_str()))
    }

    /// Feed and progress of each publisher.
    pub fn progress(&self) -> impl Iterator<Item = (&str, &Progress)> {
        self.publishers.iter().map(|thread| (thread.feed.as_str(), &*thread.progress))
    }

    /// Asks every publisher to end: it says so on its topic and stops.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in &self.publishers {
            thread.handle.thread().unpark();
        }
    }

    /// Whether every publisher has sent everything that it will; it may still keep its connection for a moment.
    pub fn has_ended(&self) -> bool {
        let ended =
            |thread: &Thread| thread.progress.ended.load(Ordering::Relaxed) || thread.handle.is_finished();
        self.publishers.iter().all(ended)
    }

    /// Whether every publisher has ended.
    pub fn is_finished(&self) -> bool {
        self.publishers.iter().all(|thread| thread.handle.is_finished())
    }

    /// Waits for the end, writes the capture file if one was asked for, and says what was done. A publisher that
    /// has ended does not keep its connection any longer.
    pub fn finish(self) -> Result<LoadResult, LoadError> {
        self.leave.store(true, Ordering::Relaxed);
        let (mut feeds, mut waiting) = (Vec::new(), Vec::new());
        let mut failed = None;
        for thread in self.publishers {
            let (feed, endpoint, progress) = (&thread.feed, &thread.endpoint, Arc::clone(&thread.progress));
            let named = format!("{feed} at {endpoint}");
            let panicked = || LoadError::Internal(format!("pub-{}: the thread has panicked", thread.feed));
            match thread.handle.join().map_err(|_| panicked()).and_then(|ended| ended) {
                Ok(feed) => feeds.push(feed),
                Err(error) => failed = failed.or(Some(error)),
            }
            if !progress.started.load(Ordering::Relaxed) {
                waiting.push(named);
            }
        }
        // The first one that gave up has stopped the others.
        if let Some(LoadError::NoSubscriber { missing, .. }) = &mut failed {
            *missing = waiting;
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let result = LoadResult { feeds };
        if let Some((plan, path)) = self.plan.as_ref().and_then(|plan| Some((plan, plan.capture.as_deref()?)))
        {
            let messages: Vec<u64> = result.feeds.iter().map(|feed| feed.last_seq).collect();
            write_capture(plan, &messages, path)?;
        }
        Ok(result)
    }
}

/// A generator's messages on their schedule.
#[derive(Debug)]
struct Generated {
    generator: Generator,
    schedule: Schedule,
    slots: Option<u64>,
    lasts_ns: u64,
}

impl Generated {
    fn new(load: &FeedLoad, plan: &LoadPlan) -> Result<Self, LoadError> {
        let Some(generator) = Generator::new(load, plan.seed) else {
            return Err(PlanError::UnknownFeed {
                found: load.feed.clone(),
                known: "venues' feeds".to_owned(),
            }
            .into());
        };
        let seed = generator::feed_seed(plan.seed.wrapping_add(1), &load.feed);
        let schedule = Schedule::new(load.pace.clone(), load.arrivals, seed);
        let lasts_ns = plan.duration.map(|d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX));
        let slots = lasts_ns.and_then(|lasts_ns| schedule.messages(lasts_ns));
        Ok(Self { generator, schedule, slots, lasts_ns: lasts_ns.unwrap_or(0) })
    }
}

impl Source for Generated {
    fn due(&mut self) -> Result<Due, LoadError> {
        if self.slots.is_some_and(|slots| self.schedule.sent() >= slots) {
            return Ok(Due::Never);
        }
        Ok(self.schedule.next().due_ns.map_or(Due::AtOnce, Due::At))
    }

    fn write(&mut self, slot: &Slot, out: &mut PayloadWriter) -> Written {
        let (offset_ns, joined) = (self.schedule.offset_ns(), self.schedule.next().joined);
        self.schedule.advance();
        self.generator.write(&Slot { offset_ns, joined, ..*slot }, out);
        Written::Numbered(slot.venue)
    }

    fn planned(&self) -> Option<u64> {
        self.slots
    }

    fn lasts_ns(&self) -> u64 {
        self.lasts_ns
    }
}

/// Writes what a run of `plan` publishes, the first `messages` of each feed, as a capture that depends on plan and
/// seed alone: `_ts`, `_recv` and `_due` stand as 0, and venue and receive times are [`CAPTURE_EPOCH`] plus the
/// planned offset (flat out: 1 µs a message). Messages stand in the order of those times.
pub fn write_capture(plan: &LoadPlan, messages: &[u64], path: &Path) -> Result<(), LoadError> {
    let broken = |error| LoadError::File { path: path.display().to_string(), error };
    let mut file = BufWriter::with_capacity(CAPTURE_CHUNK_BYTES, File::create(path).map_err(broken)?);
    let mut feeds: Vec<(&FeedLoad, Generated, u64)> = Vec::new();
    for (load, messages) in plan.feeds.iter().zip(messages) {
        feeds.push((load, Generated::new(load, plan)?, *messages));
    }
    let (mut record, mut out) = (Vec::new(), PayloadWriter::new(plan.decimals));
    capture::begin(&mut record);
    loop {
        file.write_all(&record).map_err(broken)?;
        record.clear();
        let open = feeds.iter_mut().filter(|(_, source, messages)| source.schedule.sent() < *messages);
        let Some((load, source, _)) = open.min_by_key(|(_, source, _)| source.schedule.offset_ns()) else {
            break;
        };
        let recv = WallNanos(CAPTURE_EPOCH.0 + source.schedule.offset_ns() as i64);
        let (src, seq) = (generator::src(plan.seed, &load.feed), source.schedule.sent() + 1);
        let slot = Slot::new(src, seq, recv);
        source.write(&slot, &mut out);
        let frame = Record { recv, topic: load.topic.as_bytes(), payload: out.bytes() };
        capture::append(&mut record, &frame).map_err(|error| LoadError::Internal(error.to_string()))?;
    }
    file.flush().map_err(broken)
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
