//! Timestamps that cannot collide. A point's time is the venue's time plus an ordinal in ns. The ordinal comes
//! from the venue's own key, from `_tie`, or is counted here; whichever it is, a time and ordinal that another
//! message already used is noticed and counted.

/// Times remembered for a series that has met a tie.
const TIMES_KEPT: usize = 8;

/// Messages remembered at one time, so that one that comes again keeps its ordinal.
const MESSAGES_KEPT: usize = 4_096;

/// Where the ordinal comes from, by precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The venue's own key or `_tie`: the point is a function of the message alone.
    Given(u32),
    /// Counted here.
    Local,
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

impl MessageId {
    fn repeats(self, other: MessageId) -> bool {
        self.seq != 0 && self.seq == other.seq && self.src == other.src && self.part == other.part
    }
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

/// First ordinal of one message at one time.
#[derive(Clone, Copy, Debug)]
struct Use {
    message: MessageId,
    first: u32,
    count: u32,
}

impl Use {
    /// The ordinal behind its last; `_tie` may stand at the end of u32.
    fn end(&self) -> u32 {
        self.first.saturating_add(self.count)
    }
}

/// One time of a series and who used it.
#[derive(Clone, Debug)]
struct Moment {
    time: i64,
    next: u32,
    uses: Vec<Use>,
}

impl Moment {
    fn new(time: i64) -> Self {
        Self { time, next: 0, uses: Vec::new() }
    }

    fn reuse(&mut self, time: i64) {
        self.time = time;
        self.next = 0;
        self.uses.clear();
    }

    fn take(&mut self, rule: Rule, message: MessageId) -> (u32, bool) {
        if let Rule::Given(ordinal) = rule
            && ordinal >= self.next
        {
            self.remember(message, ordinal);
            return (ordinal, false);
        }
        let known = self.uses.iter_mut().rev().find(|used| used.message.map == message.map);
        if let Some(used) = known {
            let ordinal = match rule {
                Rule::Given(ordinal) => ordinal,
                Rule::Local => used.end(),
            };
            used.count += 1;
            self.next = self.next.max(ordinal.saturating_add(1));
            return (ordinal, false);
        }
        let before = self.uses.iter().find(|used| used.message.repeats(message)).copied();
        let ordinal = match (rule, before) {
            (Rule::Given(ordinal), _) => ordinal,
            (Rule::Local, Some(used)) => used.first,
            (Rule::Local, None) => self.next,
        };
        let taken = |used: &Use| (used.first..used.end()).contains(&ordinal);
        let collision = ordinal < self.next && before.is_none() && self.uses.iter().any(taken);
        self.remember(message, ordinal);
        (ordinal, collision)
    }

    fn remember(&mut self, message: MessageId, ordinal: u32) {
        if self.uses.len() < MESSAGES_KEPT {
            self.uses.push(Use { message, first: ordinal, count: 1 });
        }
        self.next = self.next.max(ordinal.saturating_add(1));
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
    /// The moment of `time`, which takes the place of the one that came first if it is not known.
    fn at(&mut self, time: i64, latest: bool) -> Option<&mut Moment> {
        let known = if latest { None } else { self.ring.iter().position(|moment| moment.time == time) };
        let at = known.unwrap_or_else(|| {
            // A late time never takes the place of the latest.
            let at =
                if self.next == self.newest && !latest { (self.next + 1) % TIMES_KEPT } else { self.next };
            self.next = (at + 1) % TIMES_KEPT;
            match self.ring.get_mut(at) {
                Some(moment) => moment.reuse(time),
                None => self.ring.push(Moment::new(time)),
            }
            at
        });
        if latest {
            self.newest = at;
        }
        self.ring.get_mut(at)
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
        Self {
            last_time: i64::MIN,
            last: Use { message, first: 0, count: 0 },
            map: 0,
            map_candidates: 0,
            moments: None,
        }
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
        let ordinal = match rule {
            Rule::Given(ordinal) => ordinal,
            Rule::Local => 0,
        };
        self.last_time = time;
        match &mut self.moments {
            None => self.last = Use { message, first: ordinal, count: 1 },
            Some(moments) => {
                if let Some(moment) = moments.at(time, true) {
                    moment.remember(message, ordinal);
                }
            }
        }
        Ordinal { ordinal, collision: false, out_of_order: false }
    }

    #[cold]
    fn tied(&mut self, time: i64, rule: Rule, message: MessageId) -> Ordinal {
        let (last_time, last) = (self.last_time, self.last);
        let moments = self.moments.get_or_insert_with(|| {
            let mut ring = Vec::with_capacity(TIMES_KEPT);
            let mut moment = Moment::new(last_time);
            moment.next = last.end();
            moment.uses.push(last);
            ring.push(moment);
            Box::new(Moments { ring, newest: 0, next: 1 })
        });
        let newest = moments.newest;
        let moment = if time == last_time { moments.ring.get_mut(newest) } else { moments.at(time, false) };
        let (ordinal, collision) = moment.map_or((0, false), |moment| moment.take(rule, message));
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
