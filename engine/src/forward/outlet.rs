//! Numbers of our own, for what is handed on by choice: to a route's topic or to one worker. A publisher's numbers would have
//! holes there that are no loss; with these, who receives finds loss as from any publisher, heartbeats and end included.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use tickline_feeds::clock::WallNanos;
use tickline_feeds::news::Gap;
use tickline_feeds::payload::{ControlKey, PayloadWriter, Reserved, Times};
use tickline_feeds::rewrite::renumbered;

use super::topics::TOPICS_MAX;

#[derive(Debug, Default)]
struct Line {
    /// The last number given.
    last: u64,
    /// Whether something was sent since heartbeats were last looked at.
    sent: bool,
}

/// One source: its `_src` and the numbers of its topics.
#[derive(Debug)]
pub(super) struct Outlet {
    src: u32,
    lines: HashMap<Box<[u8]>, Line>,
}

impl Outlet {
    pub(super) fn new() -> Self {
        // Keyed at random by the operating system, as a source must be at each start.
        let src = RandomState::new().build_hasher().finish() as u32;
        Self { src, lines: HashMap::new() }
    }

    fn line(&mut self, topic: &[u8]) -> Option<&mut Line> {
        if !self.lines.contains_key(topic) {
            if self.lines.len() >= TOPICS_MAX {
                return None;
            }
            self.lines.insert(Box::from(topic), Line::default());
        }
        self.lines.get_mut(topic)
    }

    /// The payload with the next number; none where it has none, or has too many topics beside it.
    pub(super) fn number(&mut self, topic: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
        let src = self.src;
        let line = self.line(topic)?;
        line.sent = true;
        let numbered = renumbered(payload, src, line.last + 1)?;
        line.last += 1;
        Some(numbered)
    }

    /// A heartbeat if nothing was sent on the topic since this was last asked.
    pub(super) fn heartbeat(&mut self, topic: &[u8], now: WallNanos) -> Option<Vec<u8>> {
        let src = self.src;
        let line = self.line(topic)?;
        if std::mem::replace(&mut line.sent, false) {
            return None;
        }
        Some(control(ControlKey::Heartbeat, src, line.last, now))
    }

    /// The last word on each topic.
    pub(super) fn ends(&self, now: WallNanos) -> impl Iterator<Item = (&[u8], Vec<u8>)> {
        let src = self.src;
        self.lines.iter().map(move |(topic, line)| (&**topic, control(ControlKey::End, src, line.last, now)))
    }

    /// The event that says what was missing before it was handed on.
    pub(super) fn gap(&mut self, topic: &[u8], gap: &Gap, now: WallNanos) -> Option<Vec<u8>> {
        let src = self.src;
        let line = self.line(topic)?;
        (line.last, line.sent) = (line.last + 1, true);
        let times = Times { sent: now, ..Times::default() };
        let (from, to) = gap.seqs.unwrap_or_default();
        let mut out = PayloadWriter::default();
        out.begin(&Reserved { src, seq: line.last, times, tie: 0 }, 5);
        for (key, text) in [
            ("_event", "gap"),
            ("scope", gap.scope.as_str()),
            ("detail", &format!("before the forwarder: {}, numbers {from} to {to}", gap.detail)),
        ] {
            out.text(key);
            out.text(text);
        }
        for (key, ns) in [("from", gap.from_ns), ("to", gap.to_ns)] {
            out.text(key);
            out.int(ns);
        }
        Some(out.bytes().to_vec())
    }
}

fn control(key: ControlKey, src: u32, last: u64, now: WallNanos) -> Vec<u8> {
    let mut out = PayloadWriter::default();
    out.control(key, src, last, now);
    out.bytes().to_vec()
}
