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
        match self.first(time, rule, message, kept) {
            Some(ordinal) => Ordinal { ordinal, collision: false, out_of_order: false, forgotten: false },
            None => self.tied(time, rule, message, kept),
        }
    }

    /// The ordinal of a point behind all others, as most are; `None` if it is not.
    #[inline]
    pub fn first(&mut self, time: i64, rule: Rule, message: MessageId, kept: &mut usize) -> Option<u32> {
        let latest = self.ring.get(usize::from(self.newest)).map(|moment| moment.time);
        if latest.is_some_and(|latest| time <= latest) {
            return None;
        }
        let ordinal = rule.first();
        self.newest = self.next;
        self.put(self.next, (time, ordinal), message, kept);
        Some(ordinal)
    }

    #[inline]
    fn put(&mut self, at: u8, (time, ordinal): (i64, u32), message: MessageId, kept: &mut usize) {
        self.next = (at + 1) % TIMES_KEPT as u8;
        match self.ring.get_mut(usize::from(at)) {
            Some(place) => {
                let gone = place.time;
                *place = Moment::new(time, message, ordinal);
                if !self.crowds.is_empty() {
                    self.forget(gone, kept);
                }
            }
            None => self.grow(Moment::new(time, message, ordinal)),
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, moment: Moment) {
        self.ring.reserve_exact(TIMES_KEPT - self.ring.len());
        self.ring.push(moment);
    }

    #[cold]
    #[inline(never)]
    fn forget(&mut self, time: i64, kept: &mut usize) {
        if let Some(crowd) = self.crowds.iter_mut().find(|crowd| crowd.time == time && !crowd.uses.is_empty())
        {
            *kept = kept.saturating_sub(crowd.uses.len());
            crowd.uses.clear();
            crowd.uses.shrink_to(CROWD_KEPT);
        }
    }

    #[cold]
    #[inline(never)]
    fn tied(&mut self, time: i64, rule: Rule, message: MessageId, kept: &mut usize) -> Ordinal {
        let latest = self.ring.get(usize::from(self.newest)).map_or(i64::MIN, |moment| moment.time);
        let out_of_order = time < latest;
        let Some(moment) = self.ring.iter_mut().find(|moment| moment.time == time) else {
            // A late time never takes the place of the latest.
            let at = if self.next == self.newest { (self.next + 1) % TIMES_KEPT as u8 } else { self.next };
            let ordinal = rule.first();
            self.put(at, (time, ordinal), message, kept);
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
mod tests;
