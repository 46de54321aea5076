//! The one connection to a venue that should always stand: a GET whose body never ends. It promises an event for each
//! time that it goes and for each refusal, at most two attempts a second, and that it remembers since when the source
//! may have a hole. It refuses to read lines: what the venue says is the connector's.

use crate::clock::{MonoNanos, WallNanos};
use crate::connect::unread::Unread;
use crate::connect::{Backoff, Event, Link, Note, Now, Outbox, State, Target, TopicId};
use tickline_config::secret::Secret;

const SECOND_NS: u64 = 1_000_000_000;

/// A connection that stood this long was a good one: the waits begin anew.
const STEADY_NS: u64 = 30 * SECOND_NS;

/// Attempts where the venue has refused and the operator wants it tried again.
pub(super) const REFUSED_WAIT_NS: u64 = 300 * SECOND_NS;

/// Suspicions are told at most so often.
const SUSPECT_EVERY_NS: u64 = 60 * SECOND_NS;

/// Characters of a venue's own words that are told.
const SAID_CHARS_MAX: usize = 200;

/// A venue's clock may be so far from ours; a price of old, or a time out of the blue, says nothing about now.
const SKEW_MAX_NS: i64 = 60_000_000_000;

/// The usual waits: from a second to half a minute. The first is never under half a second, so there are at most two
/// attempts in one.
pub(super) const fn waits(seed: u64) -> Backoff {
    Backoff::new(SECOND_NS, 30 * SECOND_NS, seed)
}

/// The waits of who asked too often: never under half a minute.
pub(super) const fn long_waits(seed: u64) -> Backoff {
    Backoff::new(60 * SECOND_NS, 300 * SECOND_NS, seed)
}

/// What is done when a venue refuses credentials, account or instruments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRefused {
    /// The publisher gives up and says why.
    #[default]
    Fail,
    /// It stays, degraded, and tries again every five minutes.
    Degrade,
}

/// The front of what a venue wrote: an error page can be long.
pub(super) fn front(text: &str) -> &str {
    let end = text.char_indices().nth(SAID_CHARS_MAX).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default().trim()
}

/// What a connection is made from.
#[derive(Debug)]
pub(super) struct Plan {
    /// Its number.
    pub(super) link: Link,
    /// Address with path and query.
    pub(super) url: String,
    /// Sent as `Authorization: Bearer`.
    pub(super) token: Secret,
    /// No line for so long: dead.
    pub(super) silence_ns: u64,
    /// How long the venue may keep a message before it sends it.
    pub(super) delivery_ns: i64,
    /// What a refusal may be about, beside everything.
    pub(super) scopes: Vec<String>,
    /// After a refusal.
    pub(super) on_refused: OnRefused,
    /// Tells the waits of processes apart.
    pub(super) seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not wanted yet, or any more.
    Off,
    Waiting {
        until: MonoNanos,
    },
    Opening {
        since: MonoNanos,
    },
    Open {
        since: MonoNanos,
        last_line: Option<MonoNanos>,
    },
}

/// The connection.
#[derive(Debug)]
pub(super) struct Upstream {
    plan: Plan,
    topics: Vec<TopicId>,
    waits: Backoff,
    long_waits: Backoff,
    phase: Phase,
    /// Whether `up` was told since it last went.
    told_up: bool,
    /// Nothing was missing up to here.
    heard: WallNanos,
    /// The same before the last line.
    heard_before: WallNanos,
    /// Since when something may be missing.
    hole: Option<WallNanos>,
    suspect_again: MonoNanos,
    unread: Unread,
    opened: u64,
}

impl Upstream {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            waits: waits(plan.seed),
            long_waits: long_waits(plan.seed),
            plan,
            topics: Vec::new(),
            phase: Phase::Off,
            told_up: false,
            heard: WallNanos(0),
            heard_before: WallNanos(0),
            hole: None,
            suspect_again: MonoNanos(0),
            unread: Unread::default(),
            opened: 0,
        }
    }

    /// Where events go.
    pub(super) fn set_topics(&mut self, topics: Vec<TopicId>) {
        self.topics = topics;
    }

    /// Connections that stood.
    pub(super) fn opened(&self) -> u64 {
        self.opened
    }

    /// A line could not be read.
    pub(super) fn unread(&mut self, why: &str, now: Now) {
        self.unread.add(why, self.heard_before, now);
    }

    /// Takes an event, and returns the line if it is one of this connection; an empty one only shows that it lives.
    pub(super) fn on<'a>(&mut self, event: Event<'a>, now: Now, out: &mut Outbox) -> Option<&'a [u8]> {
        self.unread.tell(&self.topics, matches!(event, Event::Stop), now, out);
        match event {
            Event::Start => {
                out.state(State::Starting, "");
                self.open(now, out);
            }
            Event::Due => self.wake(now, out),
            Event::Opened(link) if link == self.plan.link && self.is_wanted() => {
                self.phase = Phase::Open { since: now.mono, last_line: None };
                self.heard = self.earliest_missing(now);
                self.opened += 1;
            }
            Event::Message(link, line) if link == self.plan.link => return self.line(line, now, out),
            Event::Closed { link, status, why } if link == self.plan.link && self.is_wanted() => {
                self.lost(status, why, now, out);
            }
            Event::Stop => {
                self.close(out);
                self.phase = Phase::Off;
                out.state(State::Stopped, "");
            }
            _ => {}
        }
        None
    }

    /// When to ask again.
    pub(super) fn due(&self) -> Option<MonoNanos> {
        [self.own_due(), self.unread.due()].into_iter().flatten().min()
    }

    fn own_due(&self) -> Option<MonoNanos> {
        let dead_at = |heard: MonoNanos| MonoNanos(heard.0.saturating_add(self.plan.silence_ns));
        match self.phase {
            Phase::Off => None,
            Phase::Waiting { until } => Some(until),
            Phase::Opening { since } => Some(dead_at(since)),
            Phase::Open { since, last_line } => Some(dead_at(last_line.unwrap_or(since))),
        }
    }

    fn open(&mut self, now: Now, out: &mut Outbox) {
        self.phase = Phase::Opening { since: now.mono };
        let headers = vec![self.authorization()];
        out.open(self.plan.link, Target::Stream { url: self.plan.url.to_owned(), headers });
    }

    /// The header that says who asks.
    pub(super) fn authorization(&self) -> (&'static str, String) {
        ("Authorization", format!("Bearer {}", self.plan.token.expose()))
    }

    /// Takes the token as it stands in its file now; false: it is the one that we have.
    pub(super) fn renew_token(&mut self) -> bool {
        let renewed = self.plan.token.renewed();
        let is_new = renewed.is_some();
        self.plan.token = renewed.unwrap_or_else(|| std::mem::take(&mut self.plan.token));
        is_new
    }

    /// Asked for and not closed since.
    fn is_wanted(&self) -> bool {
        matches!(self.phase, Phase::Opening { .. } | Phase::Open { .. })
    }

    fn close(&self, out: &mut Outbox) {
        if self.is_wanted() {
            out.close(self.plan.link);
        }
    }

    fn wake(&mut self, now: Now, out: &mut Outbox) {
        if self.own_due().is_none_or(|due| now.mono < due) {
            return;
        }
        if let Phase::Waiting { .. } = self.phase {
            self.open(now, out);
        } else {
            self.close(out);
            let why = format!("no line for {} s", self.plan.silence_ns / SECOND_NS);
            self.lost(None, &why, now, out);
        }
    }

    fn line<'a>(&mut self, line: &'a [u8], now: Now, out: &mut Outbox) -> Option<&'a [u8]> {
        let Phase::Open { since, last_line } = self.phase else { return None };
        if last_line.is_none() {
            out.state(State::Ready, "");
        }
        self.phase = Phase::Open { since, last_line: Some(now.mono) };
        self.heard_before = self.heard;
        self.heard = self.earliest_missing(now);
        (!line.trim_ascii().is_empty()).then_some(line)
    }

    fn earliest_missing(&self, now: Now) -> WallNanos {
        WallNanos(now.wall.0.saturating_sub(self.plan.delivery_ns))
    }

    /// The last line carries this venue time: what comes later may still be on its way when the connection goes.
    pub(super) fn heard_at(&mut self, venue: WallNanos) {
        let behind_ns = self.heard.0.saturating_sub(venue.0);
        if (0..SKEW_MAX_NS).contains(&behind_ns) {
            self.heard = venue;
        }
    }

    /// Until when nothing was missing, as far as the connection can tell.
    pub(super) fn heard(&self) -> WallNanos {
        self.heard
    }

    /// Since when something may be missing; who takes it must tell it.
    pub(super) fn take_hole(&mut self) -> Option<WallNanos> {
        self.hole.take()
    }

    /// The source speaks again, at the venue's time if that is known; told once a connection, with the hole before it.
    pub(super) fn up(&mut self, venue: Option<WallNanos>, now: Now, out: &mut Outbox) {
        if std::mem::replace(&mut self.told_up, true) {
            return;
        }
        let ahead = |venue: &WallNanos| (0..SKEW_MAX_NS).contains(&venue.0.saturating_sub(now.wall.0));
        let to = venue.filter(ahead).unwrap_or(now.wall);
        let span = self.hole.take().map(|from| (from, to));
        let detail = if span.is_some() { "connected again" } else { "connected" };
        out.tell(&self.topics, now.wall, &Note { kind: "up", scope: "*", span, detail, ..Note::default() });
    }

    /// Something cannot be right; told once a minute at most.
    pub(super) fn suspect(&mut self, detail: &str, now: Now, out: &mut Outbox) {
        if now.mono >= self.suspect_again {
            self.suspect_again = now.after(SUSPECT_EVERY_NS);
            let note = Note { kind: "suspect", scope: "*", detail, ..Note::default() };
            out.tell(&self.topics, now.wall, &note);
        }
    }

    fn lost(&mut self, status: Option<u16>, why: &str, now: Now, out: &mut Outbox) {
        let why = front(why);
        if let Phase::Open { since, .. } = self.phase {
            self.hole.get_or_insert(self.heard);
            self.told_up = false;
            let note = Note { kind: "down", scope: "*", detail: why, ..Note::default() };
            out.tell(&self.topics, now.wall, &note);
            if now.mono.since(since) >= STEADY_NS {
                self.waits.reset();
                self.long_waits.reset();
            }
        }
        let said = status.map_or_else(|| why.to_owned(), |status| format!("{status}: {why}"));
        let wait_ns = match status {
            Some(401 | 403) if !self.renew_token() => {
                return self.refused(&format!("token: must be accepted, found {said}"), now, out);
            }
            Some(429) => self.long_waits.next_ns(),
            // A request that came too slowly (408) is no refusal.
            Some(400 | 402 | 404..=407 | 409..=499) => return self.refused(&said, now, out),
            _ => self.waits.next_ns(),
        };
        self.phase = Phase::Waiting { until: now.after(wait_ns) };
        out.state(State::Degraded, said);
    }

    fn refused(&mut self, detail: &str, now: Now, out: &mut Outbox) {
        let named = self.plan.scopes.iter().find(|scope| detail.contains(scope.as_str()));
        let scope = named.map_or("*", String::as_str);
        out.tell(&self.topics, now.wall, &Note { kind: "refused", scope, detail, ..Note::default() });
        match self.plan.on_refused {
            OnRefused::Fail => {
                self.phase = Phase::Off;
                out.fail(detail);
            }
            OnRefused::Degrade => {
                self.phase = Phase::Waiting { until: now.after(REFUSED_WAIT_NS) };
                out.state(State::Degraded, detail);
            }
        }
    }
}
