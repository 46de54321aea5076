//! Timestamps that cannot collide. A point's time is the venue's time plus an ordinal in ns. The ordinal comes
//! from the venue's own key, from `_tie`, or is counted here; whichever it is, a time and ordinal that another
//! message already used is noticed and counted.

/// Times remembered for a series.
const TIMES_KEPT: usize = 8;

/// Maps remembered at one time beside the last one, so that one that comes again keeps its ordinals.
const CROWD_MAX: usize = 16_384;

/// Maps for which memory is kept when a crowd is over.
const CROWD_KEPT: usize = 64;

/// Maps remembered beside the last one of each time, in all series of a decoder; 24 bytes each.
pub const CROWDS_MAX: usize = 1 << 18;

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
    pub part: u32,
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
    /// A map could not be remembered: if it comes again it gets other ordinals.
    pub forgotten: bool,
}

/// Ordinals that one map has used without a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Use {
    seq: u64,
    src: u32,
    part: u32,
    first: u32,
    count: u32,
}

impl Use {
    fn new(message: MessageId, first: u32) -> Self {
        Self { seq: message.seq, src: message.src, part: message.part, first, count: 1 }
    }

    /// Which map; one without a number is like no other.
    fn id(&self) -> (u32, u64, u32) {
        (self.src, self.seq, self.part)
    }

    /// The ordinal behind its last; `_tie` may stand at the end of u32.
    fn end(&self) -> u32 {
        self.first.saturating_add(self.count)
    }
}

/// One time of a series, and what the last map used there.
#[derive(Clone, Copy, Debug)]
struct Moment {
    time: i64,
    last: Use,
    /// Counts the decoder's maps, as [`MessageId::map`]; its low half tells two neighbours apart.
    map: u32,
    next: u32,
}

impl Moment {
    fn new(time: i64, message: MessageId, first: u32) -> Self {
        let last = Use::new(message, first);
        Self { time, last, map: message.map as u32, next: last.end() }
    }
}

/// The maps before the last one of a time, sorted by their ids, then their ordinals; empty: free for another time.
#[derive(Debug)]
struct Crowd {
    time: i64,
    uses: Vec<Use>,
}

impl Crowd {
    /// The first ordinal of a map that came before.
    fn find(&self, message: MessageId) -> Option<u32> {
        if message.seq == 0 {
            return None;
        }
        let id = Use::new(message, 0).id();
        let at = self.uses.partition_point(|used| used.id() < id);
        self.uses.get(at).filter(|used| used.id() == id).map(|used| used.first)
    }

    /// Whether another map has used this ordinal, and not this one, too, when it came before.
    fn collides(&self, ordinal: u32, message: MessageId) -> bool {
        let id = Use::new(message, 0).id();
        let holders = || self.uses.iter().filter(|used| (used.first..used.end()).contains(&ordinal));
        let own = message.seq != 0 && holders().any(|used| used.id() == id);
        !own && holders().next().is_some()
    }

    /// Adds what a map used, unless it stands there; false if there is no room for it.
    fn add(&mut self, new: Use, kept: &mut usize) -> bool {
        let at = self.uses.partition_point(|used| (used.id(), used.first) < (new.id(), new.first));
        if let Some(before) = at.checked_sub(1).and_then(|at| self.uses.get_mut(at))
            && before.id() == new.id()
            && (before.end() == new.first || before.end() >= new.end())
        {
            before.count = before.count.max(new.end() - before.first);
            return true;
        }
        if self.uses.get(at).is_some_and(|used| used.id() == new.id() && used.first == new.first) {
            return true;
        }
        if self.uses.len() >= CROWD_MAX || *kept >= CROWDS_MAX {
            return false;
        }
        *kept += 1;
        self.uses.insert(at, new);
        true
    }
}

/// What one series remembers: its last times, and at those at which maps met, all of them.
#[derive(Debug, Default)]
pub struct TieState {
    /// In the order of their coming, from `next` on round.
    ring: Vec<Moment>,
    /// Which one is the latest time.
    newest: u8,
    /// Which one gives way next.
    next: u8,
    /// Counts the candidates of the map being read.
    map: u64,
    map_candidates: u32,
    crowds: Vec<Crowd>,
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

    /// Maps remembered in its crowds.
    pub fn kept(&self) -> usize {
        self.crowds.iter().map(|crowd| crowd.uses.len()).sum()
    }

    /// The ordinal of a point at `time`. `kept` counts the maps remembered in the crowds of all series.
    #[inline]
    pub fn ordinal(&mut self, time: i64, rule: Rule, message: MessageId, kept: &mut usize) -> Ordinal {
        let latest = self.ring.get(usize::from(self.newest)).map(|moment| moment.time);
        if latest.is_some_and(|latest| time <= latest) {
            return self.tied(time, rule, message, kept);
        }
        let ordinal = rule.first();
        self.newest = self.next;
        self.put(self.next, Moment::new(time, message, ordinal), kept);
        Ordinal { ordinal, collision: false, out_of_order: false, forgotten: false }
    }

    #[inline]
    fn put(&mut self, at: u8, moment: Moment, kept: &mut usize) {
        self.next = (at + 1) % TIMES_KEPT as u8;
        match self.ring.get_mut(usize::from(at)) {
            Some(place) => {
                let gone = std::mem::replace(place, moment).time;
                if !self.crowds.is_empty() {
                    self.forget(gone, kept);
                }
            }
            None => {
                self.ring.reserve_exact(TIMES_KEPT - self.ring.len());
                self.ring.push(moment);
            }
        }
    }

    #[cold]
    fn forget(&mut self, time: i64, kept: &mut usize) {
        if let Some(crowd) = self.crowds.iter_mut().find(|crowd| crowd.time == time) {
            *kept = kept.saturating_sub(crowd.uses.len());
            crowd.uses.clear();
            crowd.uses.shrink_to(CROWD_KEPT);
        }
    }

    #[cold]
    fn tied(&mut self, time: i64, rule: Rule, message: MessageId, kept: &mut usize) -> Ordinal {
        let latest = self.ring.get(usize::from(self.newest)).map_or(i64::MIN, |moment| moment.time);
        let out_of_order = time < latest;
        let Some(moment) = self.ring.iter_mut().find(|moment| moment.time == time) else {
            // A late time never takes the place of the latest.
            let at = if self.next == self.newest { (self.next + 1) % TIMES_KEPT as u8 } else { self.next };
            let ordinal = rule.first();
            self.put(at, Moment::new(time, message, ordinal), kept);
            return Ordinal { ordinal, collision: false, out_of_order, forgotten: false };
        };
        let same_map = moment.map == message.map as u32;
        let going_on = match rule {
            Rule::Given(ordinal) => ordinal == moment.last.end(),
            Rule::Local => true,
        };
        if same_map && going_on && moment.last.end() == moment.next {
            // The next ordinal is one that no one has used.
            let ordinal = moment.next;
            moment.last.count = moment.last.count.saturating_add(1);
            moment.next = moment.last.end();
            return Ordinal { ordinal, collision: false, out_of_order, forgotten: false };
        }
        let Some(crowd) = crowd_at(&mut self.crowds, time) else {
            return Ordinal { ordinal: rule.first(), collision: false, out_of_order, forgotten: true };
        };
        let forgotten = !crowd.add(moment.last, kept);
        let before = crowd.find(message);
        let ordinal = match (rule, before) {
            (Rule::Given(ordinal), _) => ordinal,
            (Rule::Local, _) if same_map => moment.last.end(),
            (Rule::Local, Some(first)) => first,
            (Rule::Local, None) => moment.next,
        };
        let given = matches!(rule, Rule::Given(_));
        let collision = given && ordinal < moment.next && crowd.collides(ordinal, message);
        moment.last = Use::new(message, ordinal);
        moment.map = message.map as u32;
        moment.next = moment.next.max(moment.last.end());
        Ordinal { ordinal, collision, out_of_order, forgotten }
    }
}

/// The crowd of a time: its own, else an empty one.
fn crowd_at(crowds: &mut Vec<Crowd>, time: i64) -> Option<&mut Crowd> {
    let own = crowds.iter().position(|crowd| crowd.time == time && !crowd.uses.is_empty());
    let at = own.or_else(|| crowds.iter().position(|crowd| crowd.uses.is_empty())).unwrap_or(crowds.len());
    if at == crowds.len() {
        crowds.push(Crowd { time, uses: Vec::new() });
    }
    let crowd = crowds.get_mut(at)?;
    crowd.time = time;
    Some(crowd)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// A series and what is kept in its decoder.
    #[derive(Default)]
    struct Series {
        ties: TieState,
        kept: usize,
    }

    impl Series {
        fn ordinal(&mut self, time: i64, rule: Rule, message: MessageId) -> Ordinal {
            self.ties.ordinal(time, rule, message, &mut self.kept)
        }
    }

    fn message(seq: u64, map: u64) -> MessageId {
        MessageId { src: 7, seq, map, part: 0 }
    }

    #[test]
    fn local_ordinals_count_the_points_of_one_time_in_order() {
        let mut state = Series::default();
        let given: Vec<u32> =
            (0..10_000).map(|n| state.ordinal(100, Rule::Local, message(n + 1, n + 1)).ordinal).collect();
        assert_eq!(given, (0..10_000).collect::<Vec<u32>>());
        assert_eq!(state.ordinal(101, Rule::Local, message(20_000, 20_000)).ordinal, 0);
    }

    #[test]
    fn a_message_that_comes_again_keeps_its_ordinals() {
        let mut state = Series::default();
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
    fn a_time_that_comes_back_late_goes_on_though_nothing_met_there() {
        for rule in [Rule::Local, Rule::Given(0)] {
            let mut state = Series::default();
            state.ordinal(5, rule, message(1, 1));
            state.ordinal(9, rule, message(2, 2));
            let late = state.ordinal(5, rule, message(3, 3));
            let (ordinal, collision) = if rule == Rule::Local { (1, false) } else { (0, true) };
            assert_eq!(late, Ordinal { ordinal, collision, out_of_order: true, forgotten: false });
        }
    }

    #[test]
    fn ten_thousand_messages_keep_their_ordinals_though_other_symbols_stand_between_their_numbers() {
        let mut state = Series::default();
        let mut all = |from: u64| {
            let points = |n: u64| {
                let ids = vec![message(7 * n, from + n); 1 + n as usize % 3];
                ids.into_iter().map(|id| state.ordinal(5, Rule::Local, id).ordinal).collect::<Vec<_>>()
            };
            (1..=10_000).flat_map(points).collect::<Vec<u32>>()
        };
        let first = all(0);
        assert_eq!(first, (0..20_000).collect::<Vec<u32>>());
        assert_eq!(all(10_000), first);
    }

    #[test]
    fn beyond_its_bound_it_forgets_and_says_so_and_gives_back_what_is_over() {
        let mut state = Series::default();
        let mut forgotten = 0;
        for n in 1..=CROWD_MAX as u64 + 10 {
            forgotten += u64::from(state.ordinal(5, Rule::Local, message(n, n)).forgotten);
        }
        assert_eq!((forgotten, state.kept), (9, CROWD_MAX));
        for time in 6..6 + TIMES_KEPT as i64 {
            state.ordinal(time, Rule::Local, message(1, 1 << 20));
        }
        assert_eq!((state.kept, state.ties.kept()), (0, 0));
    }

    #[test]
    fn ids_of_the_venue_collide_only_where_they_are_equal() {
        let mut state = Series::default();
        let mut given = |ordinal, id| state.ordinal(5, Rule::Given(ordinal), id).collision;
        assert!(!given(5, message(1, 1)));
        assert!(!given(900, message(1, 1)), "a hole between two ids of one map");
        assert!(!given(100, message(2, 2)), "stands in that hole");
        assert!(given(900, message(2, 2)), "the second id of a map is looked at, too");
        assert!(!given(900, message(1, 3)), "the same message again");
    }

    proptest! {
        #[test]
        fn any_run_of_messages_is_told_apart_as_by_a_table_of_everything(
            steps in prop::collection::vec((0_i64..6, 0_u32..2, 1_u64..9, 1_usize..4), 1..120)
        ) {
            let mut state = Series::default();
            let mut first: HashMap<(i64, u32, u64), Vec<u32>> = HashMap::new();
            let mut next: HashMap<i64, u32> = HashMap::new();
            for ((time, src, seq, points), map) in steps.into_iter().zip(1..) {
                let id = MessageId { src, seq, map, part: 0 };
                let known = first.entry((time, src, seq)).or_default();
                for at in 0..points {
                    if known.len() <= at {
                        // A repetition that is longer than the first time: the table has no rule for it.
                        if at > 0 && known.last().map(|last| last + 1) != next.get(&time).copied() {
                            break;
                        }
                        let ordinal = next.entry(time).or_default();
                        known.push(*ordinal);
                        *ordinal += 1;
                    }
                    let given = state.ordinal(time, Rule::Local, id);
                    prop_assert_eq!((given.ordinal, given.collision), (known[at], false));
                }
            }
        }
    }

    #[test]
    fn two_numbered_publishers_that_take_turns_do_not_take_each_others_ordinals() {
        let mut state = Series::default();
        let mut all = |map: u64| {
            let of = |n: u64| MessageId { src: n as u32 % 2, seq: 1 + n / 2, map: map + n, part: 0 };
            (1..=100).map(|n| state.ordinal(5, Rule::Local, of(n)).ordinal).collect::<Vec<u32>>()
        };
        assert_eq!(all(0), (0..100).collect::<Vec<u32>>());
        assert_eq!(all(100), (0..100).collect::<Vec<u32>>());
    }

    #[test]
    fn maps_of_one_bundle_do_not_repeat_each_other() {
        let mut state = Series::default();
        let part = |map, part| MessageId { part, ..message(1, map) };
        let first = [part(1, 0), part(2, 1)].map(|m| state.ordinal(5, Rule::Local, m).ordinal);
        let again = [part(3, 0), part(4, 1)].map(|m| state.ordinal(5, Rule::Local, m).ordinal);
        assert_eq!((first, again), ([0, 1], [0, 1]));
    }

    #[test]
    fn ordinals_at_the_end_of_their_range_stay_there() {
        let mut state = Series::default();
        for seq in 1..4 {
            assert_eq!(state.ordinal(5, Rule::Given(u32::MAX), message(seq, seq)).ordinal, u32::MAX);
        }
        assert_eq!(state.ordinal(5, Rule::Local, message(9, 9)).ordinal, u32::MAX);
    }

    #[test]
    fn a_given_ordinal_met_by_another_message_is_a_collision() {
        let mut state = Series::default();
        assert!(!state.ordinal(5, Rule::Given(0), message(1, 1)).collision);
        assert!(state.ordinal(5, Rule::Given(0), message(2, 2)).collision);
        assert!(!state.ordinal(5, Rule::Given(1), message(3, 3)).collision);
        assert!(!state.ordinal(5, Rule::Given(0), message(1, 4)).collision, "the same message again");
        assert!(state.ordinal(5, Rule::Given(1), message(0, 5)).collision, "unnumbered messages differ");
    }

    #[test]
    fn a_time_seen_earlier_goes_on_where_it_stood_and_is_out_of_order() {
        let mut state = Series::default();
        state.ordinal(5, Rule::Local, message(1, 1));
        state.ordinal(5, Rule::Local, message(2, 2));
        state.ordinal(9, Rule::Local, message(3, 3));
        let late = state.ordinal(5, Rule::Local, message(4, 4));
        assert_eq!(late, Ordinal { ordinal: 2, collision: false, out_of_order: true, forgotten: false });
    }

    #[test]
    fn candidates_of_a_map_are_numbered_from_zero() {
        let mut state = Series::default();
        let seen = [(1, 0), (1, 1), (1, 2), (2, 0)];
        for (map, position) in seen {
            assert_eq!(state.ties.next_in_map(map), position);
        }
    }
}
