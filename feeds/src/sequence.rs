//! Sequences: who sent how much, and what of it is missing. One tracker for each endpoint, topic and source.
//! `published + duplicate = sequenced + lost` holds after every call, by counting and not by difference.

use std::sync::Arc;

use hashbrown::{Equivalent, HashMap};

use crate::counts::Counts;
use crate::news::{Cause, Event, Gap, News};

mod tracker;

use tracker::{Before, Hole, Tracker};
pub use tracker::{Figures, From, LedgerRow, SequencePoint, Untold};

/// Holes remembered a tracker, so that a late number fills its own.
const HOLES_KEPT: usize = 256;

/// Sources followed on one endpoint and topic; the one that was silent longest gives way.
const SOURCES_KEPT: usize = 64;

/// Topics followed on all endpoints; messages of further ones count as unsequenced. Only a flood gets there.
const TOPICS_MAX: usize = 10_000;

/// News kept until someone takes them; the engine does so after each frame.
const NEWS_KEPT: usize = 64;

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
    news: Vec<News>,
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
            news: Vec::new(),
        }
    }

    /// `frames` frames of the feed were dropped by us before the next one.
    pub fn announce_drops(&mut self, frames: u64) {
        self.announced += frames;
    }

    /// A numbered message of `points` points. Returns whether its number was seen before.
    #[inline]
    pub fn message(&mut self, from: From<'_>, seq: u64, points: u64, counts: &mut Counts) -> bool {
        let From { endpoint, topic, src, recv_ns } = from;
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
            (tracker.last, tracker.heard, tracker.heard_ns) = (seq, self.heard, recv_ns);
            tracker.before = Before::Heard;
            tracker.figures.messages += 1;
            tracker.figures.points += points;
            counts.published = counts.published.wrapping_add(1);
            return false;
        }
        self.irregular(known, from, (seq, points), counts)
    }

    /// A heartbeat or, if `end`, the last word: everything up to `last` was sent. One that is the first word of its
    /// source joins there.
    pub fn span(&mut self, from: From<'_>, last: u64, end: bool, counts: &mut Counts) {
        let From { endpoint, topic, src, recv_ns } = from;
        let at = match self.by_source.get(&SourceRef { endpoint, src, topic }).copied() {
            Some(at) => at,
            None if self.is_full(endpoint, topic) => return,
            None => self.meet(from, last, counts),
        };
        self.extend(at, last, recv_ns, counts);
        if let Some(tracker) = self.trackers.get_mut(at) {
            (tracker.heard_ns, tracker.before, tracker.ended) = (recv_ns, Before::Heard, end);
        }
    }

    /// Whether a number of a source was heard before; none where the source is not known.
    pub fn has_heard(&self, from: From<'_>, seq: u64) -> Option<bool> {
        let From { endpoint, topic, src, .. } = from;
        let at = self.by_source.get(&SourceRef { endpoint, src, topic })?;
        let tracker = self.trackers.get(*at)?;
        Some(seq <= tracker.last && !tracker.holes.iter().any(|hole| (hole.from..=hole.to).contains(&seq)))
    }

    #[cold]
    fn irregular(
        &mut self,
        known: Option<usize>,
        from: From<'_>,
        (seq, points): (u64, u64),
        counts: &mut Counts,
    ) -> bool {
        let at = known.unwrap_or_else(|| self.meet(from, seq.saturating_sub(1), counts));
        let last = self.trackers.get(at).map_or(0, |t| t.last);
        let seen_before = seq <= last && !self.fill(at, seq, counts);
        if seq > last {
            self.extend(at, seq - 1, from.recv_ns, counts);
            counts.published = counts.published.wrapping_add(1);
        }
        if let Some(tracker) = self.trackers.get_mut(at) {
            (tracker.heard, tracker.heard_ns, tracker.before) = (self.heard, from.recv_ns, Before::Heard);
            tracker.last = tracker.last.max(seq);
            if !seen_before {
                tracker.figures.messages += 1;
                tracker.figures.points += points;
            }
        }
        seen_before
    }

    /// The tracker of a source that was not known, whose first word says that `before` messages came before it: all
    /// of them are missing if it follows another source, else it is joined there.
    fn meet(&mut self, from: From<'_>, before: u64, counts: &mut Counts) -> usize {
        let From { endpoint, topic, src, recv_ns } = from;
        let here = self.joined.get(&(endpoint, Box::from(topic)));
        let Some(others) = here.filter(|_| !self.fan_in) else {
            return self.join(endpoint, topic, src, before);
        };
        counts.publisher_restarts += 1;
        let of = |other: &u32| self.by_source.get(&SourceRef { endpoint, src: *other, topic }).copied();
        let at = others.iter().filter_map(of).max_by_key(|at| self.trackers.get(*at).map(|t| t.heard));
        let Some(followed) = at.and_then(|at| self.trackers.get(at)) else {
            return self.join(endpoint, topic, src, 0);
        };
        let (old, last, ended) = (followed.src, followed.last, followed.ended);
        let heard_ns = if followed.heard_ns == 0 { recv_ns } else { followed.heard_ns };
        let topic_text = || String::from_utf8_lossy(topic).into_owned();
        if !ended {
            let detail = format!("source {old} ended without _end: what it sent after {last} is unknown");
            let gap = Gap {
                cause: Cause::PublisherRestart,
                from_ns: heard_ns,
                to_ns: recv_ns,
                lost: None,
                seqs: None,
                scope: topic_text(),
                detail,
            };
            self.tell(News::Gap(gap));
        }
        let detail = format!("source {src} follows {old}");
        let kind = Cause::PublisherRestart.name().to_owned();
        self.tell(News::Event(Event { at_ns: recv_ns, kind, scope: topic_text(), detail }));
        let at = self.join(endpoint, topic, src, 0);
        if let Some(tracker) = self.trackers.get_mut(at) {
            (tracker.before, tracker.heard_ns) = (Before::Restart, heard_ns);
        }
        at
    }

    fn tell(&mut self, news: News) {
        if self.news.len() < NEWS_KEPT {
            self.news.push(news);
        }
    }

    /// What has happened since this was last emptied.
    #[inline]
    pub fn news(&mut self) -> &mut Vec<News> {
        &mut self.news
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
        let tracker = Tracker {
            topic: Arc::from(String::from_utf8_lossy(&topic)),
            src,
            last,
            heard: self.heard,
            heard_ns: 0,
            before: Before::Heard,
            ended: false,
            holes: Vec::new(),
            figures: Figures::default(),
            told: Figures::default(),
            told_last: last,
        };
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

    /// Everything after the tracker's last number up to `last` is missing, as is seen at `recv_ns`.
    fn extend(&mut self, at: usize, last: u64, recv_ns: i64, counts: &mut Counts) {
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
        let figures = &mut tracker.figures;
        figures.lost = figures.lost.wrapping_add(missing);
        (figures.gap_max, figures.gap_last_ns) = (figures.gap_max.max(missing), recv_ns);
        let middle = tracker.last + ours;
        let mut told = Vec::new();
        for (from, to, overload) in [(tracker.last + 1, middle, true), (middle + 1, last, false)] {
            if from > to {
                continue;
            }
            if tracker.holes.len() < HOLES_KEPT {
                tracker.holes.push(Hole { from, to, overload });
            }
            told.push(tracker.gap((from, to), overload, recv_ns));
        }
        tracker.last = last;
        told.into_iter().for_each(|gap| self.tell(News::Gap(gap)));
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
        if let Some(tracker) = self.trackers.get_mut(at) {
            let Figures { duplicate, late, lost, .. } = &mut tracker.figures;
            match found {
                Some(_) => (*late, *lost) = (*late + 1, lost.wrapping_sub(1)),
                None => *duplicate += 1,
            }
        }
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
        let point = |(source, tracker): (&Source, &Tracker)| SequencePoint {
            endpoint: source.endpoint,
            topic: String::from_utf8_lossy(&source.topic).into_owned(),
            src: source.src,
            last: tracker.last,
            heard_ns: tracker.heard_ns,
            ended: tracker.ended,
            inexact: false,
            figures: tracker.figures,
            untold: tracker.untold(),
        };
        all.into_iter().map(point).collect()
    }

    /// The same with another rule for new sources.
    pub fn with_fan_in(self, fan_in: bool) -> Self {
        Self { fan_in, ..self }
    }

    /// Continues where the state file stood.
    pub fn resume(&mut self, points: &[SequencePoint]) {
        for point in points {
            let at = self.join(point.endpoint, point.topic.as_bytes(), point.src, point.last);
            let Some(tracker) = self.trackers.get_mut(at) else { continue };
            let Untold { first, messages, lost, points } = point.untold;
            (tracker.heard_ns, tracker.ended) = (point.heard_ns, point.ended);
            tracker.before = Before::Down { inexact: point.inexact };
            // Its figures begin again; what the next row tells is what they are more than was told.
            tracker.told.messages = messages.wrapping_neg();
            tracker.told.lost = lost.wrapping_neg() as u64;
            tracker.told.points = points.wrapping_neg();
            tracker.told_last = first.saturating_sub(1);
        }
    }

    /// Calls `each` with a row for every source of which something is new, and counts it as told.
    pub fn ledger_rows(&mut self, mut each: impl FnMut(LedgerRow<'_>)) {
        for tracker in &mut self.trackers {
            let of = tracker.untold();
            if tracker.told_last == tracker.last && (of.messages, of.lost) == (0, 0) {
                continue;
            }
            (tracker.told, tracker.told_last) = (tracker.figures, tracker.last);
            each(LedgerRow { topic: &tracker.topic, src: tracker.src, last: tracker.last, of });
        }
    }
}

#[cfg(test)]
mod tests;
