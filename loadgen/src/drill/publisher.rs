//! The drill's publisher: numbers every message, keeps when each was sent, and sees who subscribes. It is the journal
//! that what is stored is held against.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use tickline_feeds::clock::{Clock, MonoNanos};
use tickline_feeds::payload::PayloadWriter;
use tickline_feeds::socket::publisher;

use super::message::{self, FEED};
use crate::clock::OsClock;
use crate::spawn::spawn;

/// Messages that may wait for a subscriber.
const SNDHWM: i32 = 1_000_000;

/// What the thread and its owner share.
#[derive(Debug, Default)]
struct Shared {
    /// Messages a second; 0: none.
    rate: AtomicU64,
    /// Send no message behind this one.
    limit: AtomicU64,
    /// Messages sent.
    sent: AtomicU64,
    /// Number of the first message after each subscription.
    joins: Mutex<Vec<u64>>,
    /// When each message was sent, ns of the drill's clock; by number, from 1.
    times: Mutex<Vec<u64>>,
    stop: Arc<AtomicBool>,
}

/// A running publisher.
#[derive(Debug)]
pub(super) struct Publisher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
    pub(super) endpoint: String,
}

impl Publisher {
    pub(super) fn start(clock: OsClock) -> Result<Self> {
        let context = zmq::Context::new();
        let socket = publisher(&context, SNDHWM, 0)?;
        socket.bind("tcp://127.0.0.1:*")?;
        let endpoint = socket.get_last_endpoint()?.ok().context("an endpoint")?;
        let shared = Arc::new(Shared { limit: AtomicU64::new(u64::MAX), ..Shared::default() });
        let own = Arc::clone(&shared);
        let body = move || {
            let _context = context;
            own.publish(&socket, clock)
        };
        let thread = spawn("drill-pub".to_owned(), Arc::clone(&shared.stop), body)?;
        Ok(Self { shared, thread: Some(thread), endpoint })
    }

    /// Messages a second from now on, as many as `limit` numbers allow.
    pub(super) fn set_rate(&self, rate: u64) {
        self.shared.limit.store(u64::MAX, Ordering::Relaxed);
        self.shared.rate.store(rate, Ordering::Relaxed);
    }

    /// Sends until message `last` and no further.
    pub(super) fn send_until(&self, last: u64, rate: u64) {
        self.shared.limit.store(last, Ordering::Relaxed);
        self.shared.rate.store(rate, Ordering::Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Acquire)
    }

    /// Number of the first message after each subscription so far.
    pub(super) fn joins(&self) -> Vec<u64> {
        self.shared.joins.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When a message was sent, ns of the drill's clock.
    pub(super) fn time_of(&self, n: u64) -> Option<u64> {
        let times = self.shared.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.get(usize::try_from(n.checked_sub(1)?).ok()?).copied()
    }

    /// The first message sent at or after a time.
    pub(super) fn first_after(&self, ns: u64) -> u64 {
        let times = self.shared.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.partition_point(|time| *time < ns) as u64 + 1
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // What it had to say is lost with the drill.
            thread.join().ok();
        }
    }
}

impl Shared {
    fn publish(&self, socket: &zmq::Socket, clock: OsClock) -> Result<()> {
        let mut writer = PayloadWriter::default();
        let (mut begun, mut rate, mut due) = (clock.mono(), 0, 0_u64);
        while !self.stop.load(Ordering::Relaxed) {
            self.see_subscribers(socket)?;
            let wanted = self.rate.load(Ordering::Relaxed);
            if wanted != rate {
                (rate, due, begun) = (wanted, 0, clock.mono());
            }
            let elapsed = clock.mono().since(begun);
            let target =
                if rate == 0 { 0 } else { (u128::from(elapsed) * u128::from(rate) / 1_000_000_000) as u64 };
            let sent = self.sent.load(Ordering::Relaxed);
            let room = self.limit.load(Ordering::Relaxed).saturating_sub(sent);
            let burst = target.saturating_sub(due).min(room).min(256);
            if burst == 0 {
                std::thread::park_timeout(Duration::from_micros(200));
                due = due.max(target.min(due + room));
                continue;
            }
            due += self.send(socket, clock, &mut writer, sent, burst)?;
        }
        Ok(())
    }

    fn see_subscribers(&self, socket: &zmq::Socket) -> Result<()> {
        loop {
            match socket.recv_bytes(zmq::DONTWAIT) {
                Ok(event) if event.first() == Some(&1) => {
                    let mut joins = self.joins.lock().unwrap_or_else(PoisonError::into_inner);
                    joins.push(self.sent.load(Ordering::Relaxed) + 1);
                }
                Ok(_) => {}
                Err(zmq::Error::EAGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends messages behind number `sent`; fewer if the queue is full.
    fn send(
        &self,
        socket: &zmq::Socket,
        clock: OsClock,
        writer: &mut PayloadWriter,
        sent: u64,
        burst: u64,
    ) -> Result<u64> {
        for done in 0..burst {
            let n = sent + done + 1;
            let MonoNanos(now) = clock.mono();
            message::write(n, clock.wall(), writer);
            match socket.send_multipart([FEED.as_bytes(), writer.bytes()], zmq::DONTWAIT) {
                Ok(()) => {}
                Err(zmq::Error::EAGAIN) => return Ok(done),
                Err(error) => return Err(error.into()),
            }
            self.times.lock().unwrap_or_else(PoisonError::into_inner).push(now);
            self.sent.store(n, Ordering::Release);
        }
        Ok(burst)
    }
}
