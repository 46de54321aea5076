//! One connection to Kraken's WebSocket and what is subscribed on it. It connects again with growing waits, asks for every
//! symbol again, counts the answers, and says with the time span what was missed meanwhile. It refuses to read data: that
//! is the connector's.

use std::collections::HashMap;

use super::wire::Frame;
use crate::clock::{MonoNanos, WallNanos};
use crate::connect::{Backoff, Event, Link, Note, Now, Outbox, State, Target, TopicId};

mod answers;
mod asking;
mod standing;

const SECOND_NS: u64 = 1_000_000_000;
/// Kraken sends a heartbeat a second: without any frame for this long the connection is dead.
const DEAD_NS: u64 = 5 * SECOND_NS;
/// A connection on which nothing is said for about a minute is dropped.
const PING_NS: u64 = 30 * SECOND_NS;
/// Longest wait for the answers to subscriptions and the first data.
const ANSWER_NS: u64 = 10 * SECOND_NS;
/// How often what was refused is asked for again.
const AGAIN_NS: u64 = 300 * SECOND_NS;
/// Waits between attempts to connect.
const WAIT_NS: (u64, u64) = (SECOND_NS / 2, 30 * SECOND_NS);
/// A connection that stood so long was a good one: the waits begin anew. Four publishers whose connections always break are
/// then below the 150 attempts in ten minutes that one address is allowed.
const STEADY_NS: u64 = 20 * SECOND_NS;
/// The venue says that there were too many attempts.
const TOO_MANY: u16 = 429;
/// Symbols in one subscription.
const SYMBOLS_MAX: usize = 100;

/// Scope and symbol that mean all of them.
const ALL: &str = "*";

/// The only connection of a connector.
pub(super) const LINK: Link = Link(0);

/// What a session subscribes to.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) url: String,
    pub(super) topic: &'static str,
    pub(super) channel: &'static str,
    /// Further parameters, each behind a comma.
    pub(super) parameters: String,
    /// Version 2 names; `*` for all of the venue; none for a channel without symbols.
    pub(super) symbols: Vec<String>,
    /// Whether each symbol begins with data, or with the answer alone.
    pub(super) begins_with_data: bool,
    pub(super) seed: u64,
}

/// What became of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Asked,
    Answered,
    Fresh,
    Refused,
}

/// What is subscribed to; a channel without symbols has one, which is `*`.
#[derive(Debug)]
struct Symbol {
    name: String,
    standing: Standing,
    /// Since when something of it may be missing, where that is longer than the connection was away.
    missing: Option<WallNanos>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed { again: MonoNanos },
    Dialing,
    Open { answers_by: MonoNanos },
}

/// What a session made of an event.
#[derive(Debug)]
pub(super) enum Heard<'a> {
    /// Nothing that the connector must know.
    Quiet,
    /// Data of the channel.
    Data(Frame<'a>),
    /// The connection is gone: nothing of what was known stands.
    Down,
    /// It is time to connect again: [`Session::open`].
    Retry,
    /// A message that is none.
    Malformed,
    /// The channel as a whole is refused, for this reason.
    Refused(String),
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SessionCounts {
    pub(super) connections: u64,
    pub(super) malformed: u64,
    pub(super) refused: u64,
    pub(super) unknown: u64,
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    wanted: Subscription,
    pub(super) topic: TopicId,
    names: Vec<Symbol>,
    by_name: HashMap<String, usize>,
    backoff: Backoff,
    phase: Phase,
    /// When the connection was made.
    opened_at: MonoNanos,
    /// The last frame of any kind.
    last: Now,
    ping_at: MonoNanos,
    again_at: MonoNanos,
    /// What came until then is complete.
    hole_from: Option<WallNanos>,
    was_up: bool,
    said_down: bool,
    system: String,
    /// Since when the venue has said that it is closed.
    closed_since: Option<WallNanos>,
    requests: u64,
    /// Symbols of each request.
    asked: Vec<(u64, Vec<usize>)>,
    pub(super) counts: SessionCounts,
}

impl Session {
    pub(super) fn new(wanted: Subscription) -> Self {
        let backoff = Backoff::new(WAIT_NS.0, WAIT_NS.1, wanted.seed);
        let mut session = Self {
            wanted,
            topic: TopicId(0),
            names: Vec::new(),
            by_name: HashMap::new(),
            backoff,
            phase: Phase::Dialing,
            opened_at: MonoNanos(0),
            last: Now::default(),
            ping_at: MonoNanos(u64::MAX),
            again_at: MonoNanos(u64::MAX),
            hole_from: None,
            was_up: false,
            said_down: false,
            system: String::new(),
            closed_since: None,
            requests: 0,
            asked: Vec::new(),
            counts: SessionCounts::default(),
        };
        if session.is_channel_wide() {
            session.add(ALL);
        } else if !session.takes_all() {
            for symbol in session.wanted.symbols.clone() {
                session.add(&symbol);
            }
        }
        session
    }

    fn takes_all(&self) -> bool {
        self.wanted.symbols.iter().any(|symbol| symbol == ALL)
    }

    /// The channel has no symbols.
    fn is_channel_wide(&self) -> bool {
        self.wanted.symbols.is_empty()
    }

    fn add(&mut self, symbol: &str) -> usize {
        let at = self.names.len();
        self.by_name.insert(symbol.to_owned(), at);
        self.names.push(Symbol { name: symbol.to_owned(), standing: Standing::Asked, missing: None });
        at
    }

    /// Position of a symbol.
    pub(super) fn position(&self, symbol: &str) -> Option<usize> {
        self.by_name.get(symbol).copied()
    }

    /// Name at a position.
    pub(super) fn name(&self, at: usize) -> &str {
        self.names.get(at).map_or("", |symbol| &symbol.name)
    }

    /// Whether the connection stands and everything has begun.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.phase, Phase::Open { .. }) && self.hole_from.is_none() && self.was_up
    }

    /// When the connection was last known to be alive, if it is away.
    pub(super) fn away_since(&self) -> Option<WallNanos> {
        if self.is_whole() { None } else { Some(self.hole_from.unwrap_or(self.last.wall)) }
    }

    /// Names the topic.
    pub(super) fn name_topic(&mut self, out: &mut Outbox) {
        self.topic = out.topic(self.wanted.topic);
    }

    /// Names the topic and connects.
    pub(super) fn start(&mut self, now: Now, out: &mut Outbox) {
        self.name_topic(out);
        self.last = now;
        out.state(State::Starting, "connecting");
        self.open(out);
    }

    /// Connects.
    pub(super) fn open(&mut self, out: &mut Outbox) {
        self.phase = Phase::Dialing;
        out.open(LINK, Target::WebSocket { url: self.wanted.url.clone() });
    }

    /// Gives the connection up to begin another.
    pub(super) fn give_up(&mut self, why: &str, now: Now, out: &mut Outbox) {
        out.close(LINK);
        self.down(0, why, now, out);
    }

    /// Waits before the next attempt, at least `wait_ns`.
    pub(super) fn wait(&mut self, wait_ns: u64, now: Now) {
        let wait_ns = self.backoff.next_ns().max(wait_ns);
        self.phase = Phase::Closed { again: now.after(wait_ns) };
    }

    /// Tells what it has counted.
    pub(super) fn tell(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        tell("connections", self.counts.connections);
        tell("malformed", self.counts.malformed);
        tell("refused", self.counts.refused);
        tell("unknown_messages", self.counts.unknown);
    }

    /// When it wants to be asked.
    pub(super) fn due(&self) -> Option<MonoNanos> {
        match self.phase {
            Phase::Closed { again } => Some(again),
            Phase::Dialing => None,
            Phase::Open { answers_by } => {
                let dead = MonoNanos(self.last.mono.0.saturating_add(DEAD_NS));
                let answers = if self.awaits() { answers_by } else { dead };
                Some(dead.min(self.ping_at).min(answers).min(self.again_at))
            }
        }
    }

    /// Takes an event; data are the connector's.
    pub(super) fn on<'a>(&mut self, event: Event<'a>, now: Now, out: &mut Outbox) -> Heard<'a> {
        match event {
            Event::Opened(LINK) => {
                self.opened(now, out);
                Heard::Quiet
            }
            Event::Message(LINK, message) => self.message(message, now, out),
            Event::Closed { link: LINK, status, why } => {
                let least_ns = if status == Some(TOO_MANY) { WAIT_NS.1 } else { 0 };
                self.down(least_ns, why, now, out);
                Heard::Down
            }
            Event::Due => self.due_now(now, out),
            Event::Stop => {
                self.stop(now, out);
                Heard::Quiet
            }
            _ => Heard::Quiet,
        }
    }

    fn opened(&mut self, now: Now, out: &mut Outbox) {
        self.counts.connections += 1;
        (self.last.mono, self.opened_at) = (now.mono, now.mono);
        self.ping_at = now.after(PING_NS);
        self.again_at = MonoNanos(u64::MAX);
        self.phase = Phase::Open { answers_by: now.after(ANSWER_NS) };
        self.asked.clear();
        if self.takes_all() {
            out.send(LINK, r#"{"method":"subscribe","params":{"channel":"instrument","snapshot":true}}"#);
        }
        let every = (0..self.names.len()).collect();
        self.subscribe(every, now, out);
    }

    /// The connection is gone, or is given up.
    fn down(&mut self, least_ns: u64, why: &str, now: Now, out: &mut Outbox) {
        let is_open = matches!(self.phase, Phase::Open { .. });
        if is_open && self.was_up {
            self.hole_from.get_or_insert(self.last.wall);
        }
        if is_open && now.mono.since(self.opened_at) >= STEADY_NS {
            self.backoff.reset();
        }
        if !self.said_down {
            self.said_down = true;
            out.event(
                self.topic,
                now.wall,
                &Note { kind: "down", scope: "*", detail: why, ..Note::default() },
            );
        }
        self.wait(least_ns, now);
        self.names.iter_mut().for_each(|symbol| symbol.standing = Standing::Asked);
        out.state(State::Degraded, format!("no connection: {why}"));
    }

    fn due_now<'a>(&mut self, now: Now, out: &mut Outbox) -> Heard<'a> {
        match self.phase {
            Phase::Closed { again } if now.mono >= again => {
                self.phase = Phase::Dialing;
                return Heard::Retry;
            }
            Phase::Open { .. } if now.mono.since(self.last.mono) >= DEAD_NS => {
                self.give_up("nothing was heard for 5 s", now, out);
                return Heard::Down;
            }
            Phase::Open { answers_by } => {
                if now.mono >= answers_by && self.awaits() {
                    if self.is_channel_wide() {
                        self.give_up("no answer in 10 s", now, out);
                        return Heard::Down;
                    }
                    self.give_up_waiting(now, out);
                }
                if now.mono >= self.ping_at {
                    self.ping_at = now.after(PING_NS);
                    self.requests += 1;
                    out.send(LINK, format!(r#"{{"method":"ping","req_id":{}}}"#, self.requests));
                }
                if now.mono >= self.again_at {
                    self.again_at = MonoNanos(u64::MAX);
                    let refused = self.names.iter().enumerate();
                    let refused = refused.filter(|(_, symbol)| symbol.standing == Standing::Refused);
                    self.subscribe(refused.map(|(at, _)| at).collect(), now, out);
                }
            }
            _ => {}
        }
        Heard::Quiet
    }

    fn message<'a>(&mut self, message: &'a [u8], now: Now, out: &mut Outbox) -> Heard<'a> {
        let Ok(frame) = serde_json::from_slice::<Frame<'a>>(message) else {
            self.counts.malformed += 1;
            return Heard::Malformed;
        };
        if let Some(method) = &frame.method {
            let is_answer = method.0 == "subscribe";
            let heard = if is_answer { self.answer(&frame, now, out) } else { Heard::Quiet };
            self.last = now;
            return heard;
        }
        let heard = match frame.channel.as_ref().map(|channel| channel.0.as_ref()) {
            Some("heartbeat") => Heard::Quiet,
            Some("status") => self.status(&frame, now, out),
            Some("instrument") if self.takes_all() => self.instruments(&frame, now, out),
            Some(channel) if channel == self.wanted.channel => Heard::Data(frame),
            _ => {
                self.counts.unknown += 1;
                Heard::Quiet
            }
        };
        self.last = now;
        heard
    }
}
