//! Sequences: who sent how much, and what of it is missing. One tracker for each endpoint, topic and source.
//! `published + duplicate = sequenced + lost` holds after every call, by counting and not by difference.

use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};
use serde::{Deserialize, Serialize};

use crate::counts::Counts;

/// Holes remembered a tracker, so that a late number fills its own.
const HOLES_KEPT: usize = 256;

/// Sources followed on one endpoint and topic; the one that was silent longest gives way.
const SOURCES_KEPT: usize = 64;

/// Topics followed on all endpoints; messages of further ones count as unsequenced. Only a flood gets there.
const TOPICS_MAX: usize = 10_000;

/// Where one source stood when it was last seen; a row of the state file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequencePoint {
    /// Endpoint: its position in the plan.
    pub endpoint: u16,
    /// Topic as sent.
    pub topic: String,
    /// `_src`
    pub src: u32,
    /// Highest number known to have been sent.
    pub last: u64,
}

#[derive(Clone, Copy, Debug)]
struct Hole {
    from: u64,
    to: u64,
    overload: bool,
}

#[derive(Debug)]
struct Tracker {
    topic: Arc<str>,
    src: u32,
    last: u64,
    /// When it was last heard, in words of this feed's sources.
    heard: u64,
    holes: Vec<Hole>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Source {
    endpoint: u16,
    src: u32,
    topic: Box<[u8]>,
}

#[derive(Hash)]
struct SourceRef<'a> {
    endpoint: u16,
    src: u32,
    topic: &'a [u8],
}

impl Equivalent<Source> for SourceRef<'_> {
    fn equivalent(&self, key: &Source) -> bool {
        self.src == key.src && self.endpoint == key.endpoint && *self.topic == *key.topic
    }
}

/// The trackers of one feed.
#[derive(Debug)]
pub struct Sequences {
    trackers: Vec<Tracker>,
    by_source: HashMap<Source, usize>,
    /// Sources of each endpoint and topic.
    joined: HashMap<(u16, Box<[u8]>), Vec<u32>>,
    heard: u64,
    fan_in: bool,
    /// Frames that we dropped ourselves and that no hole has explained yet.
    announced: u64,
}

impl Sequences {
    /// No source known. With `fan_in` a new source beside another has not begun at 1.
    pub fn new(fan_in: bool) -> Self {
        Self {
            trackers: Vec::new(),
            by_source: HashMap::new(),
            joined: HashMap::new(),
            heard: 0,
            fan_in,
            announced: 0,
        }
    }

    /// `frames` frames of the feed were dropped by us before the next one.
    pub fn announce_drops(&mut self, frames: u64) {
        self.announced += frames;
    }

    /// A numbered message. Returns whether its number was seen before.
    #[inline]
    pub fn message(&mut self, endpoint: u16, topic: &[u8], src: u32, seq: u64, counts: &mut Counts) -> bool {
        let known = self.by_source.get(&SourceRef { endpoint, src, topic }).copied();
        if known.is_none() && self.is_full(endpoint, topic) {
            counts.unsequenced += 1;
            return false;
        }
        counts.sequenced += 1;
        self.heard += 1;
        if let Some(tracker) = known.and_then(|at| self.trackers.get_mut(at))
            && seq == tracker.last + 1
        {
            (tracker.last, tracker.heard) = (seq, self.heard);
            counts.published = counts.published.wrapping_add(1);
            return false;
        }
        self.irregular(known, (endpoint, topic, src), seq, counts)
    }

    /// A heartbeat or end: everything up to `last` was sent. One that is the first word of its source joins there.
    pub fn span(&mut self, endpoint: u16, topic: &[u8], src: u32, last: u64, counts: &mut Counts) {
        let at = match self.by_source.get(&SourceRef { endpoint, src, topic }).copied() {
            Some(at) => at,
            None if self.is_full(endpoint, topic) => return,
            None => {
                let before = if self.began_at_one(endpoint, topic, counts) { 0 } else { last };
                self.join(endpoint, topic, src, before)
            }
        };
        self.extend(at, last, counts);
    }

    #[cold]
    fn irregular(
        &mut self,
        known: Option<usize>,
        (endpoint, topic, src): (u16, &[u8], u32),
        seq: u64,
        counts: &mut Counts,
    ) -> bool {
        let at = match known {
            Some(at) => at,
            None => {
                let before =
                    if self.began_at_one(endpoint, topic, counts) { 0 } else { seq.saturating_sub(1) };
                self.join(endpoint, topic, src, before)
            }
        };
        let last = self.trackers.get(at).map_or(0, |t| t.last);
        if seq <= last {
            return !self.fill(at, seq, counts);
        }
        self.extend(at, seq - 1, counts);
        if let Some(tracker) = self.trackers.get_mut(at) {
            (tracker.last, tracker.heard) = (seq, self.heard);
        }
        counts.published = counts.published.wrapping_add(1);
        false
    }

    /// Whether a new source here follows another, so that it must have begun at 1.
    fn began_at_one(&mut self, endpoint: u16, topic: &[u8], counts: &mut Counts) -> bool {
        let followed = self.joined.contains_key(&(endpoint, Box::from(topic))) && !self.fan_in;
        counts.publisher_restarts += u64::from(followed);
        followed
    }

    /// Whether no further topic can be followed.
    fn is_full(&self, endpoint: u16, topic: &[u8]) -> bool {
        self.joined.len() >= TOPICS_MAX && !self.joined.contains_key(&(endpoint, Box::from(topic)))
    }

    fn join(&mut self, endpoint: u16, topic: &[u8], src: u32, last: u64) -> usize {
        let topic: Box<[u8]> = Box::from(topic);
        let gone = self.make_room(endpoint, &topic);
        self.joined.entry((endpoint, topic.clone())).or_default().push(src);
        self.heard += 1;
        let name = Arc::from(String::from_utf8_lossy(&topic));
        let tracker = Tracker { topic: name, src, last, heard: self.heard, holes: Vec::new() };
        let at = match gone.and_then(|at| Some((at, self.trackers.get_mut(at)?))) {
            Some((at, old)) => {
                *old = tracker;
                at
            }
            None => {
                self.trackers.push(tracker);
                self.trackers.len() - 1
            }
        };
        self.by_source.insert(Source { endpoint, src, topic }, at);
        at
    }

    /// Gives up the source that was silent longest where there are too many: the place of its tracker.
    fn make_room(&mut self, endpoint: u16, topic: &[u8]) -> Option<usize> {
        let sources = self.joined.get_mut(&(endpoint, Box::from(topic)))?;
        if sources.len() < SOURCES_KEPT {
            return None;
        }
        let heard = |src: u32| {
            let at = self.by_source.get(&SourceRef { endpoint, src, topic })?;
            self.trackers.get(*at).map(|tracker| tracker.heard)
        };
        let silent = (0..sources.len()).min_by_key(|at| sources.get(*at).and_then(|src| heard(*src)))?;
        let src = sources.swap_remove(silent);
        self.by_source.remove(&SourceRef { endpoint, src, topic })
    }

    /// Everything after the tracker's last number up to `last` is missing.
    fn extend(&mut self, at: usize, last: u64, counts: &mut Counts) {
        let Some(tracker) = self.trackers.get_mut(at) else { return };
        // Numbers out of the blue may add up to more than u64 holds; the equation then holds modulo 2^64.
        if last <= tracker.last {
            return;
        }
        let missing = last - tracker.last;
        let ours = missing.min(self.announced);
        self.announced -= ours;
        counts.gaps += 1;
        counts.published = counts.published.wrapping_add(missing);
        counts.lost_overload += ours;
        counts.lost_before_receive = counts.lost_before_receive.wrapping_add(missing - ours);
        let middle = tracker.last + ours;
        for (from, to, overload) in [(tracker.last + 1, middle, true), (middle + 1, last, false)] {
            if from <= to && tracker.holes.len() < HOLES_KEPT {
                tracker.holes.push(Hole { from, to, overload });
            }
        }
        tracker.last = last;
    }

    /// A number at or below the last one: it fills a hole (late), or was seen before (duplicate).
    fn fill(&mut self, at: usize, seq: u64, counts: &mut Counts) -> bool {
        let holes = self.trackers.get_mut(at).map(|t| &mut t.holes);
        let found = holes.and_then(|holes| {
            let at = holes.iter().position(|hole| (hole.from..=hole.to).contains(&seq))?;
            let hole = holes.swap_remove(at);
            for (from, to) in [(hole.from, seq - 1), (seq + 1, hole.to)] {
                if from <= to {
                    holes.push(Hole { from, to, ..hole });
                }
            }
            Some(hole.overload)
        });
        match found {
            Some(true) => counts.lost_overload -= 1,
            Some(false) => counts.lost_before_receive = counts.lost_before_receive.wrapping_sub(1),
            None => counts.duplicate += 1,
        }
        found.is_some()
    }

    /// Calls `each` with topic, `_src` and last number of the sources that were heard since `mark`, and moves it.
    pub fn heard_since(&self, mark: &mut u64, mut each: impl FnMut(&Arc<str>, u32, u64)) {
        if *mark < self.heard {
            let heard = self.trackers.iter().filter(|tracker| tracker.heard > *mark);
            heard.for_each(|tracker| each(&tracker.topic, tracker.src, tracker.last));
            *mark = self.heard;
        }
    }

    /// Where each source stands, the one that was silent longest first.
    pub fn points(&self) -> Vec<SequencePoint> {
        let tracked = |(source, at): (_, &usize)| Some((source, self.trackers.get(*at)?));
        let mut all: Vec<(&Source, &Tracker)> = self.by_source.iter().filter_map(tracked).collect();
        all.sort_unstable_by_key(|(_, tracker)| tracker.heard);
        let point = |(source, tracker): (&Source, &Tracker)| {
            let topic = String::from_utf8_lossy(&source.topic).into_owned();
            SequencePoint { endpoint: source.endpoint, topic, src: source.src, last: tracker.last }
        };
        all.into_iter().map(point).collect()
    }

    /// Continues where the state file stood.
    pub fn resume(&mut self, points: &[SequencePoint]) {
        for point in points {
            self.join(point.endpoint, point.topic.as_bytes(), point.src, point.last);
        }
    }
}

#[cfg(test)]
mod tests;
