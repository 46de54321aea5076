//! What is told beside the changes: that the source went, came back, is suspect, or does not do what was asked for. It
//! promises that what may be missing between two changes is told as a hole, with its span in the venue's time, before
//! the second one. It refuses to publish changes.

use super::message::Head;
use crate::clock::WallNanos;
use crate::connect::{Note, Now, Outbox, State, TopicId};

/// A venue's clock may be so far from ours; a time of old, or out of the blue, says nothing about now.
const SKEW_MAX_NS: i64 = 60_000_000_000;

/// What the venue may say of its heartbeats, ms: the request's bounds are 500 to 5000, the answer's 500 to 30000.
const HEARTBEATS_MS: std::ops::RangeInclusive<u64> = 500..=30_000;

/// A number that was asked for, and what the venue says it is.
#[derive(Clone, Copy, Debug)]
struct Asked {
    key: &'static str,
    ms: u64,
    is: u64,
}

impl Asked {
    /// What is to be told of it, if the venue now says something else than before.
    fn differs(&self, is: Option<u64>) -> Option<String> {
        let is = is.filter(|is| *is != self.is && *is != self.ms)?;
        Some(format!("{}: must be {}, found {is}", self.key, self.ms))
    }
}

/// What was told so far.
#[derive(Debug)]
pub(super) struct Telling {
    topic: TopicId,
    conflate: Asked,
    heartbeat: Asked,
    /// Whether changes ever came.
    is_up: bool,
    is_suspect: bool,
    state: State,
    /// Nothing was missing up to here.
    heard: WallNanos,
    /// Since when something may be missing.
    hole: Option<WallNanos>,
    last_pt: Option<i64>,
}

impl Telling {
    pub(super) const fn new(conflate_ms: u64, heartbeat_ms: u64) -> Self {
        Self {
            topic: TopicId(0),
            conflate: Asked { key: "conflateMs", ms: conflate_ms, is: conflate_ms },
            heartbeat: Asked { key: "heartbeatMs", ms: heartbeat_ms, is: heartbeat_ms },
            is_up: false,
            is_suspect: false,
            state: State::Starting,
            heard: WallNanos(0),
            hole: None,
            last_pt: None,
        }
    }

    pub(super) fn topic(&self) -> TopicId {
        self.topic
    }

    pub(super) fn set_topic(&mut self, topic: TopicId) {
        self.topic = topic;
    }

    /// The venue is dead when it says nothing for two heartbeats, ns.
    pub(super) fn silence_ns(&self) -> u64 {
        let Asked { ms, is, .. } = self.heartbeat;
        2_000_000 * if HEARTBEATS_MS.contains(&is) { is } else { ms }
    }

    /// Tells an event.
    pub(super) fn event(&self, kind: &str, detail: &str, now: Now, out: &mut Outbox) {
        out.event(self.topic, now.wall, &Note { kind, scope: "*", detail, ..Note::default() });
    }

    fn hole(&self, kind: &str, span: (WallNanos, WallNanos), detail: &str, now: Now, out: &mut Outbox) {
        let span = Some((span.0, span.1.max(span.0)));
        out.event(self.topic, now.wall, &Note { kind, scope: "*", span, detail, ..Note::default() });
    }

    /// Something does not come.
    pub(super) fn degraded(&mut self, why: String, out: &mut Outbox) {
        self.state = State::Degraded;
        out.state(State::Degraded, why);
    }

    /// Changes came and come no more.
    pub(super) fn down(&mut self, why: &str, now: Now, out: &mut Outbox) {
        self.hole.get_or_insert(self.heard);
        self.event("down", why, now, out);
    }

    /// What stands before a change: whether it is the first one of its connection, and whether that goes on from a clock.
    /// Nothing is taken as told until the change is published.
    pub(super) fn before(
        &self,
        head: &Head<'_>,
        (is_first, is_resumed): (bool, bool),
        now: Now,
        out: &mut Outbox,
    ) {
        let at = venue_time(head, now);
        if !self.is_up {
            self.event("up", "connected", now, out);
        } else if head.begins_image() {
            // Also where the venue begins anew of its own accord.
            let from = self.hole.unwrap_or(self.heard);
            self.hole("resync", (from, at), "image: what happened before it is not told", now, out);
        } else if is_resumed
            && is_first
            && let Some(from) = self.hole
        {
            self.hole("gap", (from, at), "resumed: what happened meanwhile comes conflated", now, out);
        }
        let asked = [(&self.conflate, head.conflate_ms), (&self.heartbeat, head.heartbeat_ms)];
        for detail in asked.into_iter().filter_map(|(asked, is)| asked.differs(is)) {
            self.event("refused", &detail, now, out);
        }
        match (self.is_suspect, head.is_suspect()) {
            (false, true) => self.event("suspect", "status 503: the venue's data are late", now, out),
            (true, false) => self.event("clean", "status 503 is over", now, out),
            _ => {}
        }
    }

    /// A change was published. Returns whether it is older than the one before.
    pub(super) fn after(
        &mut self,
        head: &Head<'_>,
        (is_first, is_resumed): (bool, bool),
        now: Now,
        out: &mut Outbox,
    ) -> bool {
        if !self.is_up || head.begins_image() || is_first && is_resumed {
            self.hole = None;
        }
        self.is_up = true;
        self.heard = venue_time(head, now);
        for (asked, is) in [(&mut self.conflate, head.conflate_ms), (&mut self.heartbeat, head.heartbeat_ms)]
        {
            asked.is = is.unwrap_or(asked.is);
        }
        let is_late = head.is_suspect() && !self.is_suspect;
        self.is_suspect = head.is_suspect();
        if is_late {
            self.degraded("status 503".to_owned(), out);
        } else if self.hole.is_none() && !self.is_suspect && self.state != State::Ready {
            self.state = State::Ready;
            out.state(State::Ready, "");
        }
        let is_back = head.pt.is_some_and(|pt| self.last_pt.is_some_and(|last| pt < last));
        self.last_pt = head.pt.or(self.last_pt);
        is_back
    }

    /// The run ends: what is still missing is told.
    pub(super) fn stop(&mut self, now: Now, out: &mut Outbox) {
        if let Some(from) = self.hole.take() {
            self.hole("gap", (from, now.wall), "stopped before changes came again", now, out);
        }
    }
}

/// When the venue sent a message; when it came, where that cannot be.
fn venue_time(head: &Head<'_>, now: Now) -> WallNanos {
    let near = |time: &WallNanos| time.0.saturating_sub(now.wall.0).saturating_abs() <= SKEW_MAX_NS;
    head.time().filter(near).unwrap_or(now.wall)
}
