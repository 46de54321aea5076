//! The connection: login, authentication, subscription, and what is told when it goes. It promises that every request
//! is answered or given up, that whatever fails is tried again only after a wait, and that it remembers since when
//! changes may be missing. It refuses to read the content of changes.

use super::codes::{self, Ending};
use super::counts::Counts;
use super::message::Head;
use super::requests::{self, Clocks};
use super::session::{Answered, Session};
use super::settings::{Settings, Subscription};
use super::telling::Telling;
use crate::clock::MonoNanos;
use crate::connect::upstream::{REFUSED_WAIT_NS, front, long_waits, waits};
use crate::connect::{Backoff, Event, Link, Now, OnRefused, Outbox, State, Target, TopicId};

const SECOND_NS: u64 = 1_000_000_000;

const LINK: Link = Link(0);

/// The venue opens, greets, and answers a request within this time; after 15 s of silence it hangs up itself.
const ANSWER_NS: u64 = 10 * SECOND_NS;

/// A connection that brought data for so long was a good one: the waits begin anew.
const STEADY_NS: u64 = 30 * SECOND_NS;

/// How long the venue keeps those out who log in too often, and a minute
/// (<https://betfair-developer-docs.atlassian.net/wiki/spaces/1smk3cen4v3lu3yomq5qye0ni/pages/2687869>).
const BANNED_WAIT_NS: u64 = 21 * 60 * SECOND_NS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not wanted yet, or any more.
    Off,
    /// An attempt failed; the next one comes.
    Waiting,
    LoggingIn,
    Opening,
    /// Open; the venue speaks first.
    Greeting,
    Authenticating(i64),
    Subscribing(i64),
    Streaming,
    /// Open, but the subscription was for too many markets.
    Limited,
}

/// A change that has come.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) head: Head<'a>,
    pub(super) json: &'a str,
}

/// The connection.
#[derive(Debug)]
pub(super) struct Upstream {
    settings: Settings,
    session: Session,
    waits: Backoff,
    long_waits: Backoff,
    phase: Phase,
    /// When the phase has lasted long enough.
    until: MonoNanos,
    last_line: MonoNanos,
    requests: i64,
    clocks: Clocks,
    /// Whether the subscription goes on from a clock.
    is_resumed: bool,
    /// When the first change of this connection was published.
    fed: Option<MonoNanos>,
    telling: Telling,
    pub(super) counts: Counts,
}

impl Upstream {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            session: Session::new(),
            waits: waits(settings.seed),
            long_waits: long_waits(settings.seed),
            phase: Phase::Off,
            until: MonoNanos(0),
            last_line: MonoNanos(0),
            requests: 0,
            clocks: Clocks::default(),
            is_resumed: false,
            fed: None,
            telling: Telling::new(settings.conflate_ms, settings.heartbeat_ms),
            settings,
            counts: Counts::default(),
        }
    }

    /// Where everything goes.
    pub(super) fn topic(&self) -> TopicId {
        self.telling.topic()
    }

    /// Whether changes may come.
    pub(super) fn is_subscribed(&self) -> bool {
        matches!(self.phase, Phase::Subscribing(_) | Phase::Streaming | Phase::Limited)
    }

    /// Takes an event, and returns the change if it brings one.
    pub(super) fn on<'a>(&mut self, event: Event<'a>, now: Now, out: &mut Outbox) -> Option<Change<'a>> {
        match event {
            Event::Start => {
                self.telling.set_topic(out.topic(&self.settings.topic));
                out.state(State::Starting, "");
                self.begin(now, out);
            }
            Event::Due => self.wake(now, out),
            Event::Opened(LINK) if self.phase == Phase::Opening => {
                self.counts.connections += 1;
                self.last_line = now.mono;
                self.enter(Phase::Greeting, ANSWER_NS, now);
            }
            Event::Message(LINK, line) => return self.line(line, now, out),
            Event::Closed { link: LINK, why, .. } if self.is_connected() => {
                self.lost(Ending::Retry, why, now, out);
            }
            Event::Answer { id, status, body } => self.answer((id, status, body), now, out),
            Event::Stop => {
                self.hang_up(out);
                self.telling.stop(now, out);
                out.state(State::Stopped, "");
            }
            _ => {}
        }
        None
    }

    /// When to ask again.
    pub(super) fn due(&self) -> Option<MonoNanos> {
        [self.deadline(), self.session.due()].into_iter().flatten().min()
    }

    fn deadline(&self) -> Option<MonoNanos> {
        match self.phase {
            Phase::Off | Phase::LoggingIn => None,
            Phase::Streaming => {
                let silence_ns = self.telling.silence_ns();
                // The first image takes its time.
                let most_ns = if self.fed.is_some() { silence_ns } else { silence_ns.max(ANSWER_NS) };
                Some(MonoNanos(self.last_line.0.saturating_add(most_ns)))
            }
            _ => Some(self.until),
        }
    }

    fn enter(&mut self, phase: Phase, wait_ns: u64, now: Now) {
        (self.phase, self.until) = (phase, now.after(wait_ns));
    }

    fn is_connected(&self) -> bool {
        !matches!(self.phase, Phase::Off | Phase::Waiting | Phase::LoggingIn)
    }

    fn wake(&mut self, now: Now, out: &mut Outbox) {
        self.session.wake(&self.settings, now, out);
        if self.deadline().is_none_or(|deadline| now.mono < deadline) {
            return;
        }
        let silence_ms = self.telling.silence_ns() / 1_000_000;
        let why = match self.phase {
            Phase::Waiting => return self.begin(now, out),
            Phase::Limited => return self.subscribe(now, out),
            Phase::Streaming => format!("no line for {silence_ms} ms"),
            Phase::Authenticating(_) => "authentication: no answer in 10 s".to_owned(),
            Phase::Subscribing(_) => "subscription: no answer in 10 s".to_owned(),
            _ => "no connection in 10 s".to_owned(),
        };
        self.cut(Ending::Retry, &why, now, out);
    }

    fn begin(&mut self, now: Now, out: &mut Outbox) {
        if self.session.is_there(&self.settings, now, out) {
            self.enter(Phase::Opening, ANSWER_NS, now);
            out.open(LINK, Target::Lines { address: self.settings.address.to_owned(), plain: false });
        } else {
            self.phase = Phase::LoggingIn;
        }
    }

    fn answer(&mut self, answer: (u32, Option<u16>, &[u8]), now: Now, out: &mut Outbox) {
        match self.session.answer(answer, &self.settings, now) {
            Answered::Fine => {}
            Answered::LoggedIn => self.begin(now, out),
            Answered::Failed(ending, why) => self.lost(ending, &why, now, out),
            Answered::NotKept(why) => {
                self.counts.not_kept_alive += 1;
                self.telling.event("suspect", &why, now, out);
            }
        }
    }

    fn next_id(&mut self) -> i64 {
        self.requests += 1;
        self.requests
    }

    fn authenticate(&mut self, now: Now, out: &mut Outbox) {
        let id = self.next_id();
        let token = self.session.token().unwrap_or_default();
        out.send(LINK, requests::authentication(id, self.settings.app_key.expose(), token));
        self.enter(Phase::Authenticating(id), ANSWER_NS, now);
    }

    fn subscribe(&mut self, now: Now, out: &mut Outbox) {
        let id = self.next_id();
        self.is_resumed = self.clocks.clk.is_some();
        out.send(LINK, requests::subscription(id, &self.settings, &self.clocks));
        self.enter(Phase::Subscribing(id), ANSWER_NS, now);
    }

    fn line<'a>(&mut self, line: &'a [u8], now: Now, out: &mut Outbox) -> Option<Change<'a>> {
        if !self.is_connected() {
            return None;
        }
        self.last_line = now.mono;
        if line.trim_ascii().is_empty() {
            return None;
        }
        let (head, json) = match Head::read(line) {
            Ok(read) => read,
            Err(why) => {
                self.malformed(&why, now, out);
                return None;
            }
        };
        let changes = match self.settings.subscription {
            Subscription::Markets(_) => "mcm",
            Subscription::Orders => "ocm",
        };
        match &*head.op {
            "connection" if self.phase == Phase::Greeting => self.authenticate(now, out),
            "status" => self.status(&head, now, out),
            op if op == changes && self.is_subscribed() => return Some(Change { head, json }),
            _ => self.counts.unknown += 1,
        }
        None
    }

    fn status(&mut self, head: &Head<'_>, now: Now, out: &mut Outbox) {
        let is_answer = match self.phase {
            Phase::Authenticating(id) | Phase::Subscribing(id) => head.id == Some(id),
            _ => false,
        };
        let stays_open = head.connection_closed == Some(false);
        if !is_answer && (head.is_success() || stays_open) {
            self.counts.stray += 1;
            return;
        }
        if head.is_success() {
            match self.phase {
                Phase::Authenticating(_) => self.subscribe(now, out),
                _ => self.phase = Phase::Streaming,
            }
            return;
        }
        self.counts.errors += 1;
        let said = head.said();
        match codes::of_error(head.error()) {
            Ending::Limited if head.connection_closed != Some(true) => {
                self.telling.event("refused", &said, now, out);
                self.telling.degraded(said, out);
                self.enter(Phase::Limited, REFUSED_WAIT_NS, now);
            }
            Ending::Afresh if stays_open && self.is_resumed => {
                self.clocks = Clocks::default();
                self.subscribe(now, out);
            }
            ending => self.cut(ending, &said, now, out),
        }
    }

    /// A line that nothing can be made of: what it said comes again, because the clock before it still holds. If it was
    /// the first one, it may be the clock that brings it.
    pub(super) fn malformed(&mut self, why: &str, now: Now, out: &mut Outbox) {
        self.counts.malformed += 1;
        self.again(&format!("malformed: {why}"), now, out);
    }

    /// Parts of a message that do not fit together.
    pub(super) fn torn(&mut self, why: &str, now: Now, out: &mut Outbox) {
        self.counts.torn += 1;
        self.again(why, now, out);
    }

    fn again(&mut self, why: &str, now: Now, out: &mut Outbox) {
        if self.fed.is_none() {
            self.clocks = Clocks::default();
        }
        self.cut(Ending::Retry, why, now, out);
    }

    /// A change is about to be published: tells what must stand before it.
    pub(super) fn before(&self, head: &Head<'_>, now: Now, out: &mut Outbox) {
        self.telling.before(head, (self.fed.is_none(), self.is_resumed), now, out);
    }

    /// A change was published: the stream can go on from here.
    pub(super) fn after(&mut self, head: &Head<'_>, now: Now, out: &mut Outbox) {
        let place = (self.fed.is_none(), self.is_resumed);
        let of_kind =
            if head.is_heartbeat() { &mut self.counts.heartbeats } else { &mut self.counts.published };
        *of_kind += 1;
        self.counts.suspect += u64::from(head.is_suspect());
        self.counts.time_back += u64::from(self.telling.after(head, place, now, out));
        self.fed.get_or_insert(now.mono);
        self.session.is_taken();
        if head.part().ends {
            let Clocks { initial, clk } = &mut self.clocks;
            for (known, new) in [(initial, &head.initial_clk), (clk, &head.clk)] {
                if let Some(new) = new {
                    known.get_or_insert_default().replace_range(.., new);
                }
            }
        }
    }

    fn hang_up(&mut self, out: &mut Outbox) {
        if self.is_connected() {
            out.close(LINK);
        }
        self.phase = Phase::Off;
        self.session.forget();
    }

    fn cut(&mut self, ending: Ending, why: &str, now: Now, out: &mut Outbox) {
        out.close(LINK);
        self.lost(ending, why, now, out);
    }

    /// There is no connection any more, or no session.
    fn lost(&mut self, ending: Ending, why: &str, now: Now, out: &mut Outbox) {
        let why = front(why);
        if let Some(since) = self.fed.take() {
            self.telling.down(why, now, out);
            if now.mono.since(since) >= STEADY_NS {
                self.waits.reset();
                self.long_waits.reset();
            }
        }
        let wait_ns = match ending {
            Ending::Afresh => {
                self.clocks = Clocks::default();
                self.waits.next_ns()
            }
            Ending::Retry => self.waits.next_ns(),
            Ending::RetryLater => self.long_waits.next_ns(),
            Ending::Banned => BANNED_WAIT_NS,
            Ending::LogIn if self.session.renew(&mut self.settings) => self.waits.next_ns(),
            Ending::Refused if self.settings.reload() => self.waits.next_ns(),
            Ending::Limited => {
                self.telling.event("refused", why, now, out);
                REFUSED_WAIT_NS
            }
            Ending::LogIn | Ending::Refused => return self.refused(why, now, out),
        };
        self.enter(Phase::Waiting, wait_ns, now);
        self.telling.degraded(why.to_owned(), out);
    }

    fn refused(&mut self, why: &str, now: Now, out: &mut Outbox) {
        self.telling.event("refused", why, now, out);
        self.session.forget();
        match self.settings.on_refused {
            OnRefused::Fail => {
                self.phase = Phase::Off;
                out.fail(why);
            }
            OnRefused::Degrade => {
                self.enter(Phase::Waiting, REFUSED_WAIT_NS, now);
                self.telling.degraded(why.to_owned(), out);
            }
        }
    }
}
