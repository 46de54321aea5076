//! The feed that something is derived from: one topic of the bus. Messages that are missing by their numbers are told
//! before the next one is read, as a hole like any other; last values that a forwarder sends again are no news. Who
//! numbers sends heartbeats, so a silence of such a source is one that went away.

use super::read::{Happened, Told, read};
use crate::clock::{MonoNanos, WallNanos};
use crate::connect::{Link, Note, Now, Outbox, State, Target, TopicId};
use crate::envelope::Envelope;

/// The only connection of a derived feed.
pub(super) const BUS: Link = Link(0);

/// Publishers of the topic that are remembered; the one that was silent longest is forgotten.
const PUBLISHERS_MAX: usize = 16;

/// Five heartbeats.
const SILENCE_NS: u64 = 5_000_000_000;

/// Within two heartbeats all publishers that were there when we came have been heard: who is new later has begun anew.
const JOINING_NS: u64 = 2_000_000_000;

/// Where one publisher stood.
#[derive(Clone, Copy, Debug)]
struct Publisher {
    src: u32,
    last: u64,
    heard: WallNanos,
}

/// A topic and what was heard of it.
#[derive(Debug)]
pub(super) struct Source {
    endpoint: String,
    topic: String,
    /// The one heard last is the last.
    publishers: Vec<Publisher>,
    /// When the first message came.
    since: Option<MonoNanos>,
    /// When it will have been silent for too long; none: it has no heartbeats, or is away.
    silent_at: Option<MonoNanos>,
    is_away: bool,
    lost: u64,
    resent: u64,
    undecodable: u64,
}

impl Source {
    pub(super) fn new(endpoint: String, topic: String) -> Self {
        Self {
            endpoint,
            topic,
            publishers: Vec::new(),
            since: None,
            silent_at: None,
            is_away: false,
            lost: 0,
            resent: 0,
            undecodable: 0,
        }
    }

    pub(super) fn open(&self, out: &mut Outbox) {
        let (endpoint, topics) = (self.endpoint.clone(), vec![self.topic.clone()]);
        out.open(BUS, Target::Bus { endpoint, topics });
        out.state(State::Starting, "no message yet");
    }

    /// When to look whether it is silent.
    pub(super) fn due(&self) -> Option<MonoNanos> {
        self.silent_at
    }

    /// Tells once that it has gone.
    pub(super) fn look(&mut self, now: Now, out: &mut Outbox) -> Option<Happened<'static>> {
        self.silent_at.take_if(|silent_at| *silent_at <= now.mono)?;
        self.is_away = true;
        let detail = "no message for 5 s";
        out.state(State::Degraded, detail);
        Some(Happened { kind: "down", scope: "*", detail, from: None, to: None, lost: None })
    }

    /// Tells what a message says, and before it what is missing in front of it.
    pub(super) fn take<'a>(
        &mut self,
        payload: &'a [u8],
        now: Now,
        out: &mut Outbox,
        told: &mut dyn FnMut(Told<'a>),
    ) {
        let mut envelope = Envelope::default();
        envelope.read_front(payload);
        if envelope.resend {
            self.resent += 1;
            return;
        }
        if self.since.is_none() || self.is_away {
            self.since.get_or_insert(now.mono);
            out.state(State::Ready, "listening");
        }
        if let Some(hole) = self.missing(&envelope, now) {
            told(Told::Happened(hole));
        }
        if std::mem::take(&mut self.is_away) {
            // What was lost meanwhile has been told by its numbers.
            let (kind, detail) = ("up", "it speaks again");
            told(Told::Happened(Happened { kind, scope: "*", detail, from: None, to: None, lost: None }));
        }
        if envelope.numbered {
            self.silent_at = Some(now.after(SILENCE_NS));
        }
        if read(payload, told).is_err() {
            self.undecodable += 1;
        }
    }

    fn missing(&mut self, envelope: &Envelope, now: Now) -> Option<Happened<'static>> {
        if !envelope.numbered {
            return None;
        }
        let before = self.publishers.last().copied();
        let known = self.publishers.iter().position(|known| known.src == envelope.src);
        let known = known.map(|at| self.publishers.remove(at));
        if self.publishers.len() >= PUBLISHERS_MAX {
            self.publishers.remove(0);
        }
        let last = known.map_or(envelope.seq, |known| known.last.max(envelope.seq));
        self.publishers.push(Publisher { src: envelope.src, last, heard: now.wall });
        let joining = self.since.is_none_or(|since| now.mono.since(since) < JOINING_NS);
        // Who follows another began at 1; who was there before us is joined at its number. A heartbeat has the number of
        // the last message.
        let (since, from, detail) = match (known, before) {
            (Some(known), _) => (known.last, known.heard, "messages were lost on the bus"),
            (None, Some(_)) if joining => return None,
            (None, Some(before)) => (0, before.heard, "another publisher, or the same one again"),
            (None, None) => return None,
        };
        let lost = (envelope.seq + u64::from(envelope.silence)).saturating_sub(since + 1);
        if known.is_some() && lost == 0 {
            return None;
        }
        self.lost += lost;
        let (from, to) = (Some(from), Some(now.wall));
        Some(Happened { kind: "gap", scope: "*", detail, from, to, lost: (lost > 0).then_some(lost) })
    }

    /// What happened to the source has happened to what is made from it.
    pub(super) fn forward(&self, event: &Happened<'_>, topic: TopicId, now: Now, out: &mut Outbox) {
        // Its first word is the cause.
        let detail = format!("{} ({})", event.detail, self.topic);
        let span = event.from.zip(event.to);
        let note = Note { kind: event.kind, scope: event.scope, span, lost: event.lost, detail: &detail };
        out.event(topic, now.wall, &note);
    }

    pub(super) fn counts(&self, tell: &mut dyn FnMut(&'static str, u64)) {
        let all = [("lost", self.lost), ("resent", self.resent), ("undecodable", self.undecodable)];
        all.into_iter().for_each(|(name, count)| tell(name, count));
    }
}
