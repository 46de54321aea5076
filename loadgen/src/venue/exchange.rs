//! What all simulated venues have in common: streams that are made message by message, the connections that have
//! subscribed to them, faults, and the account of both. One lock orders everything; under it nothing ever waits for a
//! client, so that what a fault keeps back is exact.

mod state;
mod strike;
mod turn;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use tickline_feeds::clock::{Clock, WallNanos};

pub(super) use state::{Beat, State};

use super::duplex::Line;
use super::fault::{Fault, FaultError, FaultKind};
use super::journal::Record;
use super::outbox::{Framing, Outbox, send_all};
use super::pace::Plan;
use crate::clock::OsClock;
use crate::spawn::spawn;

/// Longest sleep of the thread that makes messages.
const NAP_MAX: Duration = Duration::from_millis(100);

/// What a venue adds to what all have.
pub(super) trait Market: Send + 'static {
    /// What a client asked for with one stream.
    type Terms: Send + 'static;
    /// What the venue knows of a connection.
    type Profile: Default + Send + 'static;
    /// The faults that it can do.
    const FAULTS: &'static [FaultKind];
    /// Its streams, for people.
    const STREAMS: &'static str;
    /// How its messages travel.
    const FRAMING: Framing;

    /// Whether it has this stream.
    fn has(&mut self, stream: &str) -> bool;

    /// Makes the next message of a stream and counts what is numbered in it; none: the stream is over.
    fn make(&mut self, stream: &str, at: WallNanos) -> Option<u64>;
    /// That message for one of its subscribers; none: it does not concern this one.
    fn text(&mut self, stream: &str, terms: &mut Self::Terms) -> Option<String>;
    /// That message was sent to it, which is not so where a fault has kept it back.
    fn sent(&mut self, _terms: &mut Self::Terms) {}
    /// A connection's heartbeats.
    fn beat(&mut self, profile: &mut Self::Profile, at: WallNanos) -> Vec<String>;
    /// The message as a fault of the venue's own kind leaves it.
    fn spoil(&self, _kind: FaultKind, text: String) -> String {
        text
    }
    /// When the next message of a recorded stream came, ns after its first one, and where there is none, when the last
    /// one came; none if it was not recorded.
    fn recorded_ns(&self, stream: &str) -> Option<u64>;
    /// What is said to all when maintenance begins and when it ends.
    fn notice(&self, _is_closed: bool) -> Option<String> {
        None
    }
}

/// A venue that runs.
pub(super) struct Exchange<M: Market> {
    state: Mutex<State<M>>,
    changed: Condvar,
    stop: Arc<AtomicBool>,
    making: OnceLock<Thread>,
    clock: OsClock,
}

impl<M: Market> Exchange<M> {
    /// Starts the thread that makes messages.
    pub(super) fn start(
        market: M,
        plan: Plan,
        faults: Vec<Fault>,
    ) -> Result<(Arc<Self>, JoinHandle<()>), super::VenueError> {
        let (clock, stop) = (OsClock::start(), Arc::<AtomicBool>::default());
        let mut state = State::new(market, plan, clock);
        for fault in faults {
            state.inject(fault)?;
        }
        let exchange = Arc::new(Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            stop: Arc::clone(&stop),
            making: OnceLock::new(),
            clock,
        });
        let own = Arc::clone(&exchange);
        let thread = spawn("venue-market".to_owned(), stop, move || own.run())?;
        exchange.making.set(thread.thread().clone()).ok();
        Ok((exchange, thread))
    }

    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the state; whoever waits for a change looks again.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State<M>) -> T) -> T {
        let done = act(&mut self.lock());
        self.changed.notify_all();
        self.wake();
        done
    }

    fn wake(&self) {
        if let Some(thread) = self.making.get() {
            thread.unpark();
        }
    }

    fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let nap_ns = self.lock().step();
            self.changed.notify_all();
            if nap_ns > 0 {
                std::thread::park_timeout(Duration::from_nanos(nap_ns).min(NAP_MAX));
            }
        }
    }

    /// Runs a streaming connection until the client is gone: `greet` comes before anything else, `read` takes what the
    /// client says, one thing at a time, and says whether there is more to come. The sending half has its own thread.
    pub(super) fn serve(
        self: &Arc<Self>,
        line: &Line,
        profile: M::Profile,
        greet: impl FnOnce(&mut State<M>, u64),
        mut read: impl FnMut(u64) -> bool,
    ) -> std::io::Result<()> {
        let outbox = Arc::<Outbox>::default();
        let id = self.with(|state| {
            let id = state.join(Arc::clone(&outbox), profile);
            greet(state, id);
            id
        });
        let (own, to) = (Arc::clone(self), line.clone());
        let queue = Arc::clone(&outbox);
        let sending = spawn("venue-send".to_owned(), Arc::clone(&self.stop), move || {
            send_all(&queue, &to.0, M::FRAMING, id, || own.wake());
        })?;
        while read(id) {}
        self.with(|state| state.leave(id));
        line.0.close();
        sending.join().ok();
        Ok(())
    }
}

/// What a simulator's user may do, whatever the venue.
pub(super) trait Control: Send + Sync {
    fn inject(&self, fault: Fault) -> Result<(), FaultError>;
    fn record(&self) -> Record;
    fn wait(&self, limit: Duration, is: &mut dyn FnMut(&Record) -> bool) -> bool;
    fn stop(&self);
}

impl<M: Market> Control for Exchange<M> {
    fn inject(&self, fault: Fault) -> Result<(), FaultError> {
        self.with(|state| state.inject(fault))
    }

    fn record(&self) -> Record {
        self.lock().record().clone()
    }

    fn wait(&self, limit: Duration, is: &mut dyn FnMut(&Record) -> bool) -> bool {
        let end_ns = self.clock.mono().0.saturating_add(limit.as_nanos() as u64);
        let mut state = self.lock();
        loop {
            if is(state.record()) {
                return true;
            }
            let left_ns = end_ns.saturating_sub(self.clock.mono().0);
            if left_ns == 0 {
                return false;
            }
            let waited = self.changed.wait_timeout(state, Duration::from_nanos(left_ns));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake();
    }
}
