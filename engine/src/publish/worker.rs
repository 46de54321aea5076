//! The publisher's thread: one poll over its connections, its socket and what is done beside it. A message is read,
//! told to the connector, and what follows from it sent, before the next one is looked at.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use tickline_feeds::clock::{Clock, MonoNanos};
use tickline_feeds::connect::{Command, Connector, Event, Link, Now, Outbox, State, TopicId};
use tickline_feeds::envelope::Envelope;
use tickline_feeds::publisher::Publisher;

use super::link::{Came, Channel, Slot};
use super::outside::{Done, Outside};
use super::{Shown, Spec};
use crate::stop::{LOOK_EVERY, Stop};

const WAKE: Token = Token(usize::MAX);
const SUBSCRIBERS: Token = Token(usize::MAX - 1);

/// Messages that are read from one connection before the others are looked at.
const BURST_MAX: usize = 256;

/// How long it waits for a subscriber before it looks for a stop.
const LOOK_MS: i64 = 10;

/// How long the last words of a source are waited for.
const HEAR_OUT_NS: u64 = 500_000_000;

/// A poll and its waker.
pub(super) fn poll() -> io::Result<(Poll, Arc<Waker>)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    Ok((poll, waker))
}

/// Whether a publisher says with this payload that it ends.
fn is_end(payload: &[u8]) -> bool {
    let mut envelope = Envelope::default();
    envelope.read_front(payload);
    envelope.end
}

/// One connection.
#[derive(Default)]
struct Held {
    channel: Option<Channel>,
    /// How often it was opened or closed: what comes late of an earlier one is dropped.
    turn: u64,
    /// It may have more than was read.
    ready: bool,
}

/// A publisher's thread.
pub(super) struct Worker<C> {
    connector: C,
    publisher: Publisher,
    outbox: Outbox,
    clock: Arc<dyn Clock>,
    stop: Arc<Stop>,
    shown: Arc<Shown>,
    outside: Outside,
    poll: Poll,
    held: Vec<Held>,
    slot: Slot,
    joined: Vec<TopicId>,
    next_beat: MonoNanos,
    bundles: bool,
    subscriber_wait: (Duration, u64),
    /// Sources on the bus that have said, since the stop, that they end.
    ended: usize,
    name: String,
}

impl<C: Connector> Worker<C> {
    /// A thread to be; its waker is already in use by `outside`.
    #[expect(clippy::too_many_arguments, reason = "the parts of one thread, put together in one place")]
    pub(super) fn new(
        connector: C,
        publisher: Publisher,
        spec: &Spec,
        clock: Arc<dyn Clock>,
        stop: Arc<Stop>,
        shown: Arc<Shown>,
        outside: Outside,
        poll: Poll,
    ) -> io::Result<Self> {
        let fd = publisher.socket().get_fd().map_err(io::Error::from)?;
        poll.registry().register(&mut SourceFd(&fd), SUBSCRIBERS, Interest::READABLE)?;
        Ok(Self {
            connector,
            publisher,
            outbox: Outbox::new(spec.decimals),
            clock,
            stop,
            shown,
            outside,
            poll,
            held: Vec::new(),
            slot: Slot::default(),
            joined: Vec::new(),
            next_beat: MonoNanos(0),
            bundles: spec.options.bundle_max > 1,
            subscriber_wait: spec.subscriber_wait,
            ended: 0,
            name: spec.name.clone(),
        })
    }

    /// The loop; ends when the run ends.
    pub(super) fn run(mut self) {
        if let Err(error) = self.serve().and_then(|()| self.hear_out()).and_then(|()| self.end()) {
            self.stop.fail(format!("publishers.{}: {error}", self.name));
        }
        *self.shown.state.lock().unwrap_or_else(PoisonError::into_inner) =
            (State::Stopped, "the run has ended".to_owned());
    }

    /// Who is there before the first word misses none.
    fn await_subscribers(&mut self) -> io::Result<()> {
        let (began, (longest, wanted)) = (self.clock.mono(), self.subscriber_wait);
        while self.stop.running()
            && self.publisher.sent().joined < wanted
            && u128::from(self.clock.mono().since(began)) < longest.as_nanos()
        {
            self.publisher.socket().poll(zmq::POLLIN, LOOK_MS)?;
            self.publisher.look(&mut self.joined)?;
        }
        Ok(())
    }

    /// What is made of others says what they said last: until each has ended, or for a moment.
    fn hear_out(&mut self) -> io::Result<()> {
        let (began, mut events) = (self.clock.mono(), Events::with_capacity(8));
        let is_source = |held: &&Held| matches!(held.channel, Some(Channel::Bus(_)));
        while !self.stop.aborted()
            && self.ended < self.held.iter().filter(is_source).count()
            && self.clock.mono().since(began) < HEAR_OUT_NS
        {
            self.poll.poll(&mut events, Some(Duration::from_millis(LOOK_MS as u64)))?;
            for at in 0..self.held.len() {
                if let (Ok(at), true) = (u8::try_from(at), self.held.get(at).as_ref().is_some_and(is_source))
                {
                    self.burst(Link(at))??;
                }
            }
            self.obey()?;
        }
        Ok(())
    }

    fn now(&self) -> Now {
        Now { wall: self.clock.wall(), mono: self.clock.mono() }
    }

    fn serve(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(64);
        self.await_subscribers()?;
        self.tell(Event::Start)?;
        while self.stop.running() {
            self.take_done()?;
            self.look_at_subscribers()?;
            self.visit_ready()?;
            let now = self.now();
            if self.connector.due().is_some_and(|due| now.mono >= due) {
                self.tell(Event::Due)?;
            }
            if now.mono >= self.next_beat {
                self.next_beat = self.publisher.beat(now)?;
                self.show();
            }
            match self.poll.poll(&mut events, Some(self.wait())) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in events.iter().filter(|event| event.token() != WAKE && event.token() != SUBSCRIBERS) {
                if let Some(held) = self.held.get_mut(event.token().0) {
                    held.ready = true;
                }
            }
        }
        Ok(())
    }

    /// Until the next deadline, but not longer than a stop may go unseen.
    fn wait(&self) -> Duration {
        if self.held.iter().any(|held| held.ready) {
            return Duration::ZERO;
        }
        let until = self.connector.due().map_or(self.next_beat, |due| due.min(self.next_beat));
        // Rounded up: a wait of 0 ms would spin until the time has come.
        let ms = until.since(self.clock.mono()).div_ceil(1_000_000);
        Duration::from_millis(ms).min(LOOK_EVERY)
    }

    /// Tells the connector, and does what follows.
    fn tell(&mut self, event: Event<'_>) -> io::Result<()> {
        let now = self.now();
        self.connector.on(event, now, &mut self.outbox);
        self.follow(now)
    }

    fn follow(&mut self, now: Now) -> io::Result<()> {
        self.publisher.send(&mut self.outbox, now)?;
        self.obey()
    }

    fn obey(&mut self) -> io::Result<()> {
        let commands: Vec<Command> = self.outbox.take_commands().collect();
        for command in commands {
            match command {
                Command::Open(link, target) => {
                    tracing::debug!("{}: connecting to {target:?}", self.name);
                    let turn = self.close(link)?;
                    self.outside.dial(link, turn, target);
                }
                Command::Send(link, text) => {
                    let channel =
                        self.held.get_mut(usize::from(link.0)).and_then(|held| held.channel.as_mut());
                    if let Some(Err(error)) = channel.map(|channel| channel.send(text)) {
                        self.lost(link, &error)?;
                    }
                }
                Command::Close(link) => drop(self.close(link)?),
                Command::Ask(id, request) => self.outside.ask(id, request),
                Command::State(state, why) => self.become_state(state, why),
                Command::Fail(why) => self.stop.fail(format!("publishers.{}: {why}", self.name)),
            }
        }
        Ok(())
    }

    fn become_state(&self, state: State, why: String) {
        let mut shown = self.shown.state.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.0 != state || shown.1 != why {
            match state {
                State::Degraded => tracing::warn!("{}: degraded: {why}", self.name),
                _ if why.is_empty() => tracing::info!("{}: {}", self.name, state.name()),
                _ => tracing::info!("{}: {}: {why}", self.name, state.name()),
            }
            *shown = (state, why);
        }
    }

    /// Forgets the connection and returns the number of the next one.
    fn close(&mut self, link: Link) -> io::Result<u64> {
        let at = usize::from(link.0);
        if self.held.len() <= at {
            self.held.resize_with(at + 1, Held::default);
        }
        let Some(held) = self.held.get_mut(at) else { return Ok(0) };
        held.turn += 1;
        held.ready = false;
        let turn = held.turn;
        if let Some(channel) = held.channel.take()
            && let Some(fd) = channel.fd()?
        {
            self.poll.registry().deregister(&mut SourceFd(&fd))?;
        }
        Ok(turn)
    }

    /// The connection is gone by itself.
    fn lost(&mut self, link: Link, error: &io::Error) -> io::Result<()> {
        self.close(link)?;
        let why = error.to_string();
        tracing::debug!("{}: connection lost: {why}", self.name);
        let now = self.now();
        self.connector.on(Event::Closed { link, status: None, why: &why }, now, &mut self.outbox);
        // Commands that follow are obeyed by whoever is obeying now, or with the next event.
        self.publisher.send(&mut self.outbox, now)?;
        Ok(())
    }

    fn take_done(&mut self) -> io::Result<()> {
        while let Ok(done) = self.outside.done.try_recv() {
            match done {
                Done::Answered { id, status, body } => {
                    self.tell(Event::Answer { id, status, body: &body })?
                }
                Done::Dialed { link, turn, channel } => {
                    if self.held.get(usize::from(link.0)).is_none_or(|held| held.turn != turn) {
                        continue;
                    }
                    match channel {
                        Ok(channel) => self.opened(link, channel)?,
                        Err(refusal) => {
                            tracing::debug!("{}: no connection: {}", self.name, refusal.why);
                            let (status, why) = (refusal.status, refusal.why.as_str());
                            self.tell(Event::Closed { link, status, why })?;
                        }
                    }
                }
            }
        }
        self.obey()
    }

    fn opened(&mut self, link: Link, channel: Channel) -> io::Result<()> {
        if let Some(fd) = channel.fd()? {
            let interest = match channel {
                Channel::Bus(_) => Interest::READABLE,
                _ => Interest::READABLE | Interest::WRITABLE,
            };
            self.poll.registry().register(&mut SourceFd(&fd), Token(usize::from(link.0)), interest)?;
        }
        if let Some(held) = self.held.get_mut(usize::from(link.0)) {
            held.channel = Some(channel);
            // What came before the registration raises no event.
            held.ready = true;
        }
        self.tell(Event::Opened(link))
    }

    fn look_at_subscribers(&mut self) -> io::Result<()> {
        self.publisher.look(&mut self.joined)?;
        for at in 0..self.joined.len() {
            if let Some(topic) = self.joined.get(at).copied() {
                self.tell(Event::Joined(topic))?;
            }
        }
        self.joined.clear();
        Ok(())
    }

    fn visit_ready(&mut self) -> io::Result<()> {
        for at in 0..self.held.len() {
            let Some(held) = self.held.get_mut(at) else { continue };
            // Whoever hands over lines wakes the poll and no connection of it.
            if (held.ready || matches!(held.channel, Some(Channel::Fed(_))))
                && let Ok(at) = u8::try_from(at)
                && let Err(error) = self.burst(Link(at))?
            {
                self.lost(Link(at), &error)?;
            }
        }
        self.obey()
    }

    /// Reads what is there, up to a burst. The inner error is the connection's.
    fn burst(&mut self, link: Link) -> io::Result<io::Result<()>> {
        let at = usize::from(link.0);
        for taken in 0..BURST_MAX {
            let Some(held) = self.held.get_mut(at) else { return Ok(Ok(())) };
            let Some(channel) = &mut held.channel else { return Ok(Ok(())) };
            let is_last = matches!(channel, Channel::Bus(_)) && !self.stop.running();
            if taken == 0
                && let Err(error) = channel.flush()
            {
                return Ok(Err(error));
            }
            let message = match channel.next(&mut self.slot) {
                Ok(Came::Message(message)) => message,
                Ok(Came::Other) => continue,
                Ok(Came::Nothing) => {
                    held.ready = false;
                    break;
                }
                Err(error) => return Ok(Err(error)),
            };
            self.ended += usize::from(is_last && is_end(message));
            let now = Now { wall: self.clock.wall(), mono: self.clock.mono() };
            self.connector.on(Event::Message(link, message), now, &mut self.outbox);
            self.shown.venue_messages.fetch_add(1, Ordering::Relaxed);
            if !self.bundles {
                self.follow(now)?;
            }
        }
        if self.bundles {
            self.follow(self.now())?;
        }
        Ok(Ok(()))
    }

    fn show(&self) {
        let sent = self.publisher.sent();
        self.shown.messages.store(sent.messages, Ordering::Relaxed);
        self.shown.bytes.store(sent.bytes, Ordering::Relaxed);
        self.shown.heartbeats.store(sent.heartbeats, Ordering::Relaxed);
        self.shown.subscribers_joined.store(sent.joined, Ordering::Relaxed);
        let mut counts = self.shown.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.clear();
        self.connector.counts(&mut |name, count| counts.push((name, count)));
    }

    /// Says good-bye.
    fn end(&mut self) -> io::Result<()> {
        self.tell(Event::Stop)?;
        self.publisher.end(self.now())?;
        self.show();
        Ok(())
    }
}
