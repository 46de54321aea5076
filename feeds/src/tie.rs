//! Timestamps that cannot collide. A point's time is the venue's time plus an ordinal in ns. The ordinal comes
//! from the venue's own key, from `_tie`, or is counted here; whichever it is, a time and ordinal that another
//! message already used is noticed and counted.

/// Times remembered for a series that has met a tie.
const TIMES_KEPT: usize = 8;

/// Runs of messages remembered at one time, so that one that comes again keeps its ordinal. A publisher that
/// numbers its messages needs one run, however many meet.
const RUNS_KEPT: usize = 256;

/// Where the ordinal comes from, by precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The venue's own key or `_tie`: the point is a function of the message alone.
    Given(u32),
    /// Counted here.
    Local,
}

impl Rule {
    /// The ordinal at a time that no one has used.
    fn first(self) -> u32 {
        match self {
            Rule::Given(ordinal) => ordinal,
            Rule::Local => 0,
        }
    }
}

/// One message, for telling a repetition from a collision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageId {
    /// `_src`
    pub src: u32,
    /// `_seq`; 0 if it has none.
    pub seq: u64,
    /// Counts the maps that this decoder has read, from 1: a map of a bundle has one of its own.
    pub map: u64,
    /// Which map of its message it is.
    pub part: u64,
}

/// What one candidate was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordinal {
    /// ns to add to the venue's time.
    pub ordinal: u32,
    /// The series was at this time and ordinal before, with another message.
    pub collision: bool,
    /// The venue time lies before the series' last one.
    pub out_of_order: bool,
}

/// The ordinals that one map has used at one time.
#[derive(Clone, Copy, Debug)]
struct Use {
    message: MessageId,
    first: u32,
    count: u32,
}

impl Use {
    fn new(message: MessageId, first: u32) -> Self {
        Self { message, first, count: 1 }
    }

    /// The ordinal behind its last; `_tie` may stand at the end of u32.
    fn end(&self) -> u32 {
        self.first.saturating_add(self.count)
    }
}

/// What follows what in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Messages, by number.
    Seq,
    /// Maps of one bundle.
    Part,
}

/// Maps that came one behind the other and used equally many ordinals without a hole.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The first one.
    head: Use,
    step: Step,
    maps: u32,
}

impl Run {
    fn new(head: Use) -> Self {
        Self { head, step: Step::Seq, maps: 1 }
    }

    fn end(&self) -> u32 {
        self.head.first.saturating_add(self.head.count.saturating_mul(self.maps))
    }

    /// How many maps behind its head this one stands, by one step.
    fn distance(&self, message: MessageId, step: Step) -> Option<u64> {
        let head = self.head.message;
        if head.src != message.src || head.seq == 0 || message.seq == 0 {
            return None;
        }
        match step {
            Step::Seq if head.part == message.part => message.seq.checked_sub(head.seq),
            Step::Part if head.seq == message.seq => message.part.checked_sub(head.part),
            _ => None,
        }
    }

    /// The first ordinal of a map that came before.
    fn ordinal_of(&self, message: MessageId) -> Option<u32> {
        let maps = self.distance(message, self.step).filter(|maps| *maps < u64::from(self.maps))?;
        Some(self.head.first.saturating_add((maps as u32).saturating_mul(self.head.count)))
    }

    /// Appends a map; false if it does not follow.
    fn append(&mut self, next: Use) -> bool {
        if next.first != self.end() {
            return false;
        }
        // Maps without a number never come again: only which ordinals are taken counts.
        if next.message.seq == 0 && self.head.message.seq == 0 && self.maps == 1 {
            self.head.count = self.head.count.saturating_add(next.count);
            return true;
        }
        let follows = |step| self.distance(next.message, step) == Some(u64::from(self.maps));
        let steps = if self.maps == 1 { [Step::Seq, Step::Part] } else { [self.step; 2] };
        let Some(step) = steps.into_iter().find(|step| follows(*step)) else { return false };
        if next.count != self.head.count {
            return false;
        }
        self.step = step;
        self.maps += 1;
        true
    }
}

/// One time of a series and who used it.
#[derive(Clone, Debug)]
struct Moment {
    time: i64,
    next: u32,
    /// The map that used it last.
    last: Use,
    /// The maps before that.
    runs: Vec<Run>,
}

impl Moment {
    fn new(time: i64, last: Use) -> Self {
        Self { time, next: last.end(), last, runs: Vec::new() }
    }

    fn reuse(&mut self, time: i64, last: Use) {
        self.runs.clear();
        (self.time, self.next, self.last) = (time, last.end(), last);
    }

    fn take(&mut self, rule: Rule, message: MessageId) -> (u32, bool) {
        if self.last.message.map == message.map {
            let ordinal = match rule {
                Rule::Given(ordinal) => ordinal,
                Rule::Local => self.last.end(),
            };
            self.last.count = self.last.count.max(ordinal.saturating_sub(self.last.first).saturating_add(1));
            self.next = self.next.max(self.last.end());
            return (ordinal, false);
        }
        self.remember();
        let before = self.runs.iter().find_map(|run| run.ordinal_of(message));
        let ordinal = match (rule, before) {
            (Rule::Given(ordinal), _) => ordinal,
            (Rule::Local, Some(first)) => first,
            (Rule::Local, None) => self.next,
        };
        let taken = |run: &Run| (run.head.first..run.end()).contains(&ordinal);
        let collision = ordinal < self.next && before.is_none() && self.runs.iter().any(taken);
        self.last = Use::new(message, ordinal);
        self.next = self.next.max(self.last.end());
        (ordinal, collision)
    }

    /// Puts the last map to those before it, unless it stands there already.
    fn remember(&mut self) {
        let last = self.last;
        if self.runs.iter().any(|run| run.ordinal_of(last.message).is_some()) {
            return;
        }
        if !self.runs.iter_mut().any(|run| run.append(last)) && self.runs.len() < RUNS_KEPT {
            self.runs.push(Run::new(last));
        }
    }
}

/// The last times of a series that has met a tie, in the order of their coming.
#[derive(Debug)]
struct Moments {
    ring: Vec<Moment>,
    /// Which one is the latest time.
    newest: usize,
    /// Which one gives way next.
    next: usize,
}

impl Moments {
    /// The ordinal of a map at `time`, which takes the place of the time that came first if it is not known.
    fn take(&mut self, time: i64, rule: Rule, message: MessageId) -> (u32, bool) {
        if let Some(moment) = self.ring.iter_mut().find(|moment| moment.time == time) {
            return moment.take(rule, message);
        }
        let ordinal = rule.first();
        // A late time never takes the place of the latest.
        let at = if self.next == self.newest { (self.next + 1) % TIMES_KEPT } else { self.next };
        self.put(at, time, Use::new(message, ordinal));
        (ordinal, false)
    }

    /// The first map at a time that is later than all others.
    fn begin(&mut self, time: i64, first: Use) {
        self.newest = self.next;
        self.put(self.next, time, first);
    }

    fn put(&mut self, at: usize, time: i64, first: Use) {
        self.next = (at + 1) % TIMES_KEPT;
        match self.ring.get_mut(at) {
            Some(moment) => moment.reuse(time, first),
            None => self.ring.push(Moment::new(time, first)),
        }
    }
}

/// What one series remembers. Until two points meet at one time it is these few words.
#[derive(Debug)]
pub struct TieState {
    last_time: i64,
    last: Use,
    /// Counts the candidates of the map being read.
    map: u64,
    map_candidates: u32,
    moments: Option<Box<Moments>>,
}

impl Default for TieState {
    fn default() -> Self {
        let message = MessageId { src: 0, seq: 0, map: 0, part: 0 };
        Self { last_time: i64::MIN, last: Use::new(message, 0), map: 0, map_candidates: 0, moments: None }
    }
}

impl TieState {
    /// Position of this candidate among those of its series in the map, from 0. Called once a candidate, made
    /// or suppressed.
    #[inline]
    pub fn next_in_map(&mut self, map: u64) -> u32 {
        if self.map != map {
            self.map = map;
            self.map_candidates = 0;
        }
        self.map_candidates += 1;
        self.map_candidates - 1
    }

    /// The ordinal of a point at `time`.
    #[inline]
    pub fn ordinal(&mut self, time: i64, rule: Rule, message: MessageId) -> Ordinal {
        if time <= self.last_time {
            return self.tied(time, rule, message);
        }
        let ordinal = rule.first();
        self.last_time = time;
        match &mut self.moments {
            None => self.last = Use::new(message, ordinal),
            Some(moments) => moments.begin(time, Use::new(message, ordinal)),
        }
        Ordinal { ordinal, collision: false, out_of_order: false }
    }

    #[cold]
    fn tied(&mut self, time: i64, rule: Rule, message: MessageId) -> Ordinal {
        let (last_time, last) = (self.last_time, self.last);
        let moments = self.moments.get_or_insert_with(|| {
            let mut ring = Vec::with_capacity(TIMES_KEPT);
            ring.push(Moment::new(last_time, last));
            Box::new(Moments { ring, newest: 0, next: 1 })
        });
        let (ordinal, collision) = moments.take(time, rule, message);
        Ordinal { ordinal, collision, out_of_order: time < last_time }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seq: u64, map: u64) -> MessageId {
        MessageId { src: 7, seq, map, part: 0 }
    }

    #[test]
    fn local_ordinals_count_the_points_of_one_time_in_order() {
        let mut state = TieState::default();
        let given: Vec<u32> =
            (0..10_000).map(|n| state.ordinal(100, Rule::Local, message(n + 1, n + 1)).ordinal).collect();
        assert_eq!(given, (0..10_000).collect::<Vec<u32>>());
        assert_eq!(state.ordinal(101, Rule::Local, message(20_000, 20_000)).ordinal, 0);
    }

    #[test]
    fn a_message_that_comes_again_keeps_its_ordinals() {
        let mut state = TieState::default();
        let first: Vec<u32> = [(1, 1), (1, 1), (2, 2)]
            .map(|(s, m)| state.ordinal(5, Rule::Local, message(s, m)).ordinal)
            .into();
        let again: Vec<u32> = [(1, 3), (1, 3), (2, 4)]
            .map(|(s, m)| state.ordinal(5, Rule::Local, message(s, m)).ordinal)
            .into();
        assert_eq!(first, [0, 1, 2]);
        assert_eq!(again, first);
    }

    #[test]
    fn however_many_messages_meet_each_keeps_its_ordinal_and_the_memory_stays_small() {
        let mut state = TieState::default();
        let given = |state: &mut TieState, from: u64| {
            let each = |n: u64| {
                let ids = [message(n, from + n), message(n, from + n)];
                ids.map(|id| state.ordinal(5, Rule::Local, id).ordinal)
            };
            (1..=100_000).flat_map(each).collect::<Vec<u32>>()
        };
        let first = given(&mut state, 0);
        assert_eq!(first, (0..200_000).collect::<Vec<u32>>());
        assert_eq!(given(&mut state, 200_000), first);
        let runs = state.moments.as_ref().map(|moments| moments.ring[0].runs.len());
        assert_eq!(runs, Some(1));
    }

    #[test]
    fn two_numbered_publishers_that_take_turns_do_not_take_each_others_ordinals() {
        let mut state = TieState::default();
        let mut all = |map: u64| {
            let of = |n: u64| MessageId { src: n as u32 % 2, seq: 1 + n / 2, map: map + n, part: 0 };
            (1..=100).map(|n| state.ordinal(5, Rule::Local, of(n)).ordinal).collect::<Vec<u32>>()
        };
        assert_eq!(all(0), (0..100).collect::<Vec<u32>>());
        assert_eq!(all(100), (0..100).collect::<Vec<u32>>());
    }

    #[test]
    fn maps_of_one_bundle_do_not_repeat_each_other() {
        let mut state = TieState::default();
        let part = |map, part| MessageId { part, ..message(1, map) };
        let first = [part(1, 0), part(2, 1)].map(|m| state.ordinal(5, Rule::Local, m).ordinal);
        let again = [part(3, 0), part(4, 1)].map(|m| state.ordinal(5, Rule::Local, m).ordinal);
        assert_eq!((first, again), ([0, 1], [0, 1]));
    }

    #[test]
    fn ordinals_at_the_end_of_their_range_stay_there() {
        let mut state = TieState::default();
        for seq in 1..4 {
            assert_eq!(state.ordinal(5, Rule::Given(u32::MAX), message(seq, seq)).ordinal, u32::MAX);
        }
        assert_eq!(state.ordinal(5, Rule::Local, message(9, 9)).ordinal, u32::MAX);
    }

    #[test]
    fn a_given_ordinal_met_by_another_message_is_a_collision() {
        let mut state = TieState::default();
        assert!(!state.ordinal(5, Rule::Given(0), message(1, 1)).collision);
        assert!(state.ordinal(5, Rule::Given(0), message(2, 2)).collision);
        assert!(!state.ordinal(5, Rule::Given(1), message(3, 3)).collision);
        assert!(!state.ordinal(5, Rule::Given(0), message(1, 4)).collision, "the same message again");
        assert!(state.ordinal(5, Rule::Given(1), message(0, 5)).collision, "unnumbered messages differ");
    }

    #[test]
    fn a_time_seen_earlier_goes_on_where_it_stood_and_is_out_of_order() {
        let mut state = TieState::default();
        state.ordinal(5, Rule::Local, message(1, 1));
        state.ordinal(5, Rule::Local, message(2, 2));
        state.ordinal(9, Rule::Local, message(3, 3));
        let late = state.ordinal(5, Rule::Local, message(4, 4));
        assert_eq!(late, Ordinal { ordinal: 2, collision: false, out_of_order: true });
    }

    #[test]
    fn candidates_of_a_map_are_numbered_from_zero() {
        let mut state = TieState::default();
        let seen = [(1, 0), (1, 1), (1, 2), (2, 0)];
        for (map, position) in seen {
            assert_eq!(state.next_in_map(map), position);
        }
    }
}
