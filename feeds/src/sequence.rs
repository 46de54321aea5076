//! Sequences: who sent how much, and what of it is missing. One tracker for each endpoint, topic and source.
//! `published + duplicate = sequenced + lost` holds after every call, by counting and not by difference.

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
        let tracker = Tracker { last, heard: self.heard, holes: Vec::new() };
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(sequences: &mut Sequences, seqs: &[u64]) -> Counts {
        let mut counts = Counts::default();
        for &seq in seqs {
            sequences.message(0, b"t", 1, seq, &mut counts);
        }
        counts
    }

    #[test]
    fn joining_late_is_no_loss_and_a_hole_is() {
        let counts = run(&mut Sequences::new(false), &[100, 101, 105, 106]);
        assert_eq!(
            (counts.published, counts.sequenced, counts.lost_before_receive, counts.gaps),
            (7, 4, 3, 1)
        );
    }

    #[test]
    fn announced_drops_explain_a_hole_until_they_are_used_up() {
        let mut sequences = Sequences::new(false);
        sequences.announce_drops(2);
        let counts = run(&mut sequences, &[1, 5]);
        assert_eq!((counts.lost_overload, counts.lost_before_receive), (2, 1));
    }

    #[test]
    fn a_late_number_fills_its_hole_and_a_repeated_one_is_a_duplicate() {
        let counts = run(&mut Sequences::new(false), &[1, 4, 3, 3, 2, 1]);
        assert_eq!((counts.published, counts.duplicate, counts.lost_before_receive), (4, 2, 0));
    }

    #[test]
    fn a_heartbeat_shows_a_lost_tail() {
        let mut sequences = Sequences::new(false);
        let mut counts = run(&mut sequences, &[1, 2]);
        sequences.span(0, b"t", 1, 5, &mut counts);
        sequences.span(0, b"t", 1, 5, &mut counts);
        assert_eq!((counts.published, counts.sequenced, counts.lost_before_receive), (5, 2, 3));
    }

    #[test]
    fn a_source_that_follows_another_began_at_one_unless_behind_a_forwarder() {
        for (fan_in, lost) in [(false, 4), (true, 0)] {
            let mut sequences = Sequences::new(fan_in);
            let mut counts = run(&mut sequences, &[7]);
            sequences.message(0, b"t", 2, 5, &mut counts);
            assert_eq!(counts.lost_before_receive, lost, "fan_in {fan_in}");
        }
    }

    #[test]
    fn a_flood_of_sources_keeps_the_last_ones_and_a_flood_of_topics_is_counted() {
        let mut sequences = Sequences::new(false);
        let mut counts = Counts::default();
        for src in 0..1_000 {
            sequences.message(0, b"t", src, 1, &mut counts);
        }
        assert_eq!((sequences.points().len(), counts.unsequenced), (SOURCES_KEPT, 0));
        sequences.message(0, b"t", 999, 4, &mut counts);
        assert_eq!(counts.lost_before_receive, 2, "the last source is still followed");
        let mut resumed = Sequences::new(false);
        resumed.resume(&sequences.points());
        for src in 2_000..2_000 + SOURCES_KEPT as u32 - 1 {
            resumed.message(0, b"t", src, 1, &mut Counts::default());
        }
        let counts_of_known = &mut Counts::default();
        resumed.message(0, b"t", 999, 5, counts_of_known);
        assert_eq!(counts_of_known.publisher_restarts, 0, "heard last before the restart: the last to go");
        for topic in 0..TOPICS_MAX as u32 + 4 {
            sequences.message(0, &topic.to_be_bytes(), 7, 1, &mut counts);
        }
        assert_eq!(counts.unsequenced, 5);
        assert!(counts.balanced());
    }

    #[test]
    fn the_state_file_carries_a_tracker_over_a_restart() {
        let mut before = Sequences::new(false);
        run(&mut before, &[1, 2, 3]);
        let mut after = Sequences::new(false);
        after.resume(&before.points());
        let counts = run(&mut after, &[8]);
        assert_eq!((counts.published, counts.lost_before_receive), (5, 4));
    }

    proptest! {
        #[test]
        fn what_is_lost_and_what_is_duplicate_is_what_a_table_of_all_numbers_says(
            seqs in prop::collection::vec(1_u64..60, 1..80)
        ) {
            let counts = run(&mut Sequences::new(false), &seqs);
            let known: std::collections::BTreeSet<u64> = seqs.iter().copied().collect();
            let (first, highest) = (seqs[0], seqs.iter().max().copied().unwrap_or(0));
            // What lies before the first number was sent before we joined: it is no part of the span.
            let inside = known.iter().filter(|seq| **seq >= first).count() as u64;
            prop_assert_eq!(counts.published, highest - first + 1);
            prop_assert_eq!(counts.lost_before_receive, counts.published - inside);
            prop_assert_eq!(counts.duplicate, seqs.len() as u64 - inside);
        }

        #[test]
        fn equation_one_holds_for_any_run_of_numbers(
            steps in prop::collection::vec((0_u32..3, 1_u64..40, 0_u64..4, any::<bool>()), 1..200)
        ) {
            let mut sequences = Sequences::new(false);
            let mut counts = Counts::default();
            for (src, seq, drops, heartbeat) in steps {
                sequences.announce_drops(drops);
                if heartbeat {
                    sequences.span(0, b"t", src, seq, &mut counts);
                } else {
                    sequences.message(0, b"t", src, seq, &mut counts);
                }
                prop_assert!(counts.balanced());
            }
        }
    }
}
