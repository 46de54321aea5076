//! One publisher's loop: waits for its subscriber, sends each message of a source when it is due, says once a
//! second that it lives when there is nothing to say, and says when it ends. It promises that every message it
//! counts as sent was taken by ZeroMQ's queue. Sources are straight lines; time and stop are here.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use tickline_feeds::clock::{Clock, MonoNanos, WallNanos};
use tickline_feeds::payload::{Decimals, PayloadWriter, Times, set_times};

use crate::clock::wake_on_time;
use crate::generator::Slot;
use crate::pacing::{Punctuality, WallOffset};
use crate::result::{FeedResult, LoadError, distribution};
use crate::sender::{Attempt, Sender};

/// Longest sleep, so that a stop and the heartbeat are seen.
const SLEEP_MAX_NS: u64 = 20_000_000;

/// How long a publisher that has said its end stays connected. Closed sooner, what TCP still holds for a slow
/// subscriber would be thrown away when the next word of that subscriber, its ZMTP heartbeat, meets a closed port.
const STAY_NS: u64 = 1_000_000_000;

/// Silence after which a heartbeat is sent.
const HEARTBEAT_NS: u64 = 1_000_000_000;

/// When the next message should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// This many ns after the start.
    At(u64),
    /// As soon as the queue takes it.
    AtOnce,
    /// There is none.
    Never,
}

/// Where a publisher's messages come from.
pub(crate) trait Source: Send {
    /// When the next message should go.
    fn due(&mut self) -> Result<Due, LoadError>;

    /// Writes that message into the cleared buffer. `slot.venue` is the time of now.
    fn write(&mut self, slot: &Slot, out: &mut PayloadWriter) -> Written;

    /// Messages in all, where that is known before.
    fn planned(&self) -> Option<u64>;

    /// How long sending all of them should take, ns; 0 where it is not known.
    fn lasts_ns(&self) -> u64;
}

/// What a source has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Our reserved keys, with the slot's number; `_recv` is to be this.
    Numbered(WallNanos),
    /// Someone else's payload, to be sent as it is.
    Foreign,
}

/// What a running publisher lets others see.
#[derive(Debug, Default)]
pub struct Progress {
    /// Messages sent.
    pub sent: AtomicU64,
    /// Whether its subscriber has come, or was not waited for.
    pub started: AtomicBool,
    /// Whether ZeroMQ has taken its end.
    pub end_said: AtomicBool,
    /// Whether everything is sent that will be.
    pub ended: AtomicBool,
    /// How late it was lately.
    pub lateness: Lateness,
}

/// How late messages were since someone looked: handed over by swapping, so that the publisher neither waits nor
/// copies.
#[derive(Debug)]
pub struct Lateness {
    /// Whether what was handed over last has been taken.
    taken: AtomicBool,
    handed: Mutex<Histogram<u64>>,
}

impl Default for Lateness {
    fn default() -> Self {
        Self { taken: AtomicBool::new(true), handed: Mutex::new(distribution()) }
    }
}

impl Lateness {
    /// Adds what is new, ns: up to about the last time that this was asked.
    pub fn take(&self, into: &mut Histogram<u64>) {
        if !self.taken.load(Ordering::Acquire) {
            let mut handed = self.handed.lock().unwrap_or_else(PoisonError::into_inner);
            *into += &*handed;
            handed.reset();
            self.taken.store(true, Ordering::Release);
        }
    }

    /// Hands over what the publisher has gathered if the last of it was taken.
    fn hand(&self, recent: &mut Histogram<u64>) {
        if self.taken.load(Ordering::Acquire)
            && let Ok(mut handed) = self.handed.try_lock()
        {
            std::mem::swap(&mut *handed, recent);
            self.taken.store(false, Ordering::Release);
        }
    }

    /// Hands over the rest.
    fn hand_all(&self, recent: &Histogram<u64>) {
        *self.handed.lock().unwrap_or_else(PoisonError::into_inner) += recent;
        self.taken.store(false, Ordering::Release);
    }
}

/// Where the publishers of a run wait for each other, so that their schedules begin at one time.
#[derive(Debug)]
pub(crate) struct StartLine {
    missing: AtomicUsize,
    start: OnceLock<MonoNanos>,
}

impl StartLine {
    pub(crate) fn new(publishers: usize) -> Self {
        Self { missing: AtomicUsize::new(publishers), start: OnceLock::new() }
    }

    /// One publisher is ready; the last one gives the start.
    fn arrive(&self, now: impl FnOnce() -> MonoNanos) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.start.get_or_init(now);
        }
    }
}

/// Everything one publisher thread needs.
pub(crate) struct Publisher<S, C> {
    pub(crate) feed: String,
    pub(crate) sender: Sender,
    pub(crate) source: S,
    pub(crate) clock: C,
    pub(crate) stop: Arc<AtomicBool>,
    /// Everything has arrived: the connection need not be kept.
    pub(crate) leave: Arc<AtomicBool>,
    pub(crate) line: Arc<StartLine>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) decimals: Decimals,
    pub(crate) wait: bool,
    pub(crate) wait_timeout: Option<Duration>,
    /// End of a source without schedule.
    pub(crate) duration: Option<Duration>,
}

/// The loop's own state.
struct Tally {
    start: MonoNanos,
    wall: WallOffset,
    last_sent: MonoNanos,
    busy_ns: u64,
    bytes: u64,
    paced: bool,
    punctuality: Punctuality,
    lateness: Histogram<u64>,
    /// The part of it that nobody has seen yet.
    recent: Histogram<u64>,
}

impl<S: Source, C: Clock> Publisher<S, C> {
    /// Publishes until the source is empty, time is up, or `stop` is set.
    pub(crate) fn run(mut self) -> Result<FeedResult, LoadError> {
        let started = !self.wait || self.subscriber_comes()?;
        self.progress.started.store(started, Ordering::Relaxed);
        wake_on_time();
        let start = self.wait_for_the_others();
        let mut tally = Tally {
            start,
            wall: WallOffset::new(start, self.clock.wall()),
            last_sent: start,
            busy_ns: 0,
            bytes: 0,
            paced: false,
            punctuality: Punctuality::default(),
            lateness: distribution(),
            recent: distribution(),
        };
        let mut out = PayloadWriter::new(self.decimals);
        let mut top = start;
        while let Some((due_ns, begin)) = self.next_slot(top, &mut tally)? {
            match self.publish(due_ns, begin, &mut out, &mut tally)? {
                Some(end) => top = end,
                None => break,
            }
        }
        let mut elapsed_ns = self.clock.mono().since(start);
        let sent = self.progress.sent.load(Ordering::Relaxed);
        if tally.paced && self.source.planned() == Some(sent) {
            // The last message is due before the end of the time that it stands for.
            elapsed_ns = elapsed_ns.max(self.source.lasts_ns());
        }
        let ended = self.sender.end(self.clock.wall())?;
        self.progress.end_said.store(ended, Ordering::Relaxed);
        self.progress.lateness.hand_all(&tally.recent);
        self.progress.ended.store(true, Ordering::Relaxed);
        self.stay()?;
        Ok(FeedResult {
            endpoint: self.sender.endpoint().to_owned(),
            src: self.sender.src(),
            feed: self.feed,
            planned: if tally.paced { self.source.planned().unwrap_or(sent) } else { sent },
            sent,
            last_seq: self.sender.last_seq(),
            bytes: tally.bytes,
            late: tally.punctuality.late,
            blocked: tally.punctuality.blocked,
            busy_ns: tally.busy_ns,
            elapsed_ns,
            paced: tally.paced,
            ended,
            lateness: tally.lateness,
        })
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Keeps the connection until its subscriber has gone, someone says that it may end, or its time is over.
    fn stay(&mut self) -> Result<(), LoadError> {
        let from = self.clock.mono();
        while !self.leave.load(Ordering::Relaxed) && self.clock.mono().since(from) < STAY_NS {
            if !self.sender.has_subscriber()? {
                break;
            }
        }
        Ok(())
    }

    /// Waits for a subscriber; false if stopped before.
    fn subscriber_comes(&mut self) -> Result<bool, LoadError> {
        let from = self.clock.mono();
        while !self.stopped() {
            if self.sender.subscriber_came()? {
                return Ok(true);
            }
            let waited = Duration::from_nanos(self.clock.mono().since(from));
            if self.wait_timeout.is_some_and(|limit| waited >= limit) {
                let missing = vec![format!("{} at {}", self.feed, self.sender.endpoint())];
                return Err(LoadError::NoSubscriber { missing, waited_s: waited.as_secs() });
            }
        }
        Ok(false)
    }

    /// The start of all schedules. On a stop there may be publishers that never come to it.
    fn wait_for_the_others(&self) -> MonoNanos {
        self.line.arrive(|| self.clock.mono());
        loop {
            match self.line.start.get() {
                Some(start) => return *start,
                None if self.stopped() => return self.clock.mono(),
                None => std::thread::park_timeout(Duration::from_millis(1)),
            }
        }
    }

    /// Waits for the next slot; none when there is no further one. Work from `top` on is the source's.
    fn next_slot(
        &mut self,
        top: MonoNanos,
        tally: &mut Tally,
    ) -> Result<Option<(Option<u64>, MonoNanos)>, LoadError> {
        let due = self.source.due()?;
        let mut now = self.clock.mono();
        tally.busy_ns += now.since(top);
        let due_ns = match due {
            Due::Never => return Ok(None),
            Due::AtOnce => {
                let over = self.duration.is_some_and(|d| u128::from(now.since(tally.start)) >= d.as_nanos());
                return Ok((!over && !self.stopped()).then_some((None, now)));
            }
            Due::At(due_ns) => due_ns,
        };
        tally.paced = true;
        loop {
            if self.stopped() {
                return Ok(None);
            }
            let left_ns = due_ns.saturating_sub(now.since(tally.start));
            if left_ns == 0 {
                return Ok(Some((Some(due_ns), now)));
            }
            tally.punctuality.on_time();
            if now.since(tally.last_sent) >= HEARTBEAT_NS {
                self.sender.heartbeat(self.clock.wall())?;
                tally.last_sent = now;
            }
            std::thread::park_timeout(Duration::from_nanos(left_ns.min(SLEEP_MAX_NS)));
            now = self.clock.mono();
        }
    }

    /// Builds and sends one message and says when that was done; none if stopped before the queue took it.
    fn publish(
        &mut self,
        due_ns: Option<u64>,
        begin: MonoNanos,
        out: &mut PayloadWriter,
        tally: &mut Tally,
    ) -> Result<Option<MonoNanos>, LoadError> {
        let seq = self.sender.last_seq() + 1;
        let slot = Slot::new(self.sender.src(), seq, self.clock.wall());
        out.clear();
        let written = self.source.write(&slot, out);
        let numbered = matches!(written, Written::Numbered(_));
        if let Written::Numbered(recv) = written {
            tally.wall.observe(begin, slot.venue);
            let due = due_ns.map_or(WallNanos(0), |ns| tally.wall.wall(MonoNanos(tally.start.0 + ns)));
            set_times(out.bytes_mut(), &Times { sent: self.clock.wall(), recv, due });
        }
        let mut blocked_ns = 0;
        let mut attempt = self.sender.send(out.bytes(), numbered)?;
        let met_full_queue = attempt == Attempt::Full;
        if met_full_queue {
            let from = self.clock.mono();
            while attempt == Attempt::Full {
                if self.stopped() {
                    return Ok(None);
                }
                attempt = self.sender.send_patiently(out.bytes(), numbered)?;
            }
            blocked_ns = self.clock.mono().since(from);
        }
        let end = self.clock.mono();
        tally.busy_ns += end.since(begin).saturating_sub(blocked_ns);
        tally.bytes += out.bytes().len() as u64;
        tally.last_sent = end;
        self.progress.sent.fetch_add(1, Ordering::Relaxed);
        if let Some(due_ns) = due_ns {
            let behind_ns = begin.since(tally.start).saturating_sub(due_ns);
            tally.punctuality.sent(behind_ns, met_full_queue);
            tally.lateness.saturating_record(behind_ns);
            tally.recent.saturating_record(behind_ns);
            self.progress.lateness.hand(&mut tally.recent);
        } else if met_full_queue {
            tally.punctuality.blocked += 1;
        }
        Ok(Some(end))
    }
}
