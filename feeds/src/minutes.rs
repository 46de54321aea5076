//! Points a minute of their own time, so that someone can later compare what was made with what is stored. Only
//! minutes that grew are told again; the ones that have been quiet longest are forgotten.

use std::collections::BTreeMap;

/// Minutes remembered of one feed; a total that comes back after that begins again.
const MINUTES_KEPT: usize = 4_096;

const MINUTE_NS: i64 = 60_000_000_000;

/// A minute of one measurement: the measurement's position among those of the decoder, then ns since 1970.
type Key = (u8, i64);

#[derive(Clone, Copy, Debug, Default)]
struct Total {
    points: u64,
    told: u64,
    /// When it last grew, in additions.
    grown: u64,
}

/// Points of one frame, by measurement and minute: nearly always one entry.
#[derive(Debug, Default)]
pub(crate) struct FrameMinutes(Vec<(Key, u64)>);

impl FrameMinutes {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    #[inline]
    pub(crate) fn add(&mut self, measurement: u8, time_ns: i64) {
        if let Some((key, points)) = self.0.last_mut()
            && key.0 == measurement
            && (time_ns.wrapping_sub(key.1) as u64) < MINUTE_NS as u64
        {
            *points += 1;
        } else {
            self.0.push(((measurement, time_ns.saturating_sub(time_ns.rem_euclid(MINUTE_NS))), 1));
        }
    }
}

/// The totals of one feed.
#[derive(Debug, Default)]
pub(crate) struct Minutes {
    totals: BTreeMap<Key, Total>,
    /// The minute that is growing, not yet in `totals`.
    hot: (Key, u64),
    additions: u64,
}

/// One total, as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinuteTotal {
    /// Position among the decoder's measurements.
    pub measurement: u8,
    /// Beginning of the minute, ns since 1970.
    pub minute_ns: i64,
    /// Points so far.
    pub points: u64,
}

impl Minutes {
    /// Takes in what a frame has made.
    #[inline]
    pub(crate) fn add(&mut self, frame: &FrameMinutes) {
        for (key, points) in &frame.0 {
            if self.hot.0 == *key {
                self.hot.1 += points;
            } else {
                self.cool();
                self.hot = (*key, *points);
            }
        }
    }

    #[cold]
    fn cool(&mut self) {
        let (key, points) = std::mem::take(&mut self.hot);
        if points == 0 {
            return;
        }
        self.additions += 1;
        if self.totals.len() >= MINUTES_KEPT && !self.totals.contains_key(&key) {
            let quiet = self.totals.iter().min_by_key(|(_, total)| total.grown).map(|(key, _)| *key);
            quiet.map(|quiet| self.totals.remove(&quiet));
        }
        let total = self.totals.entry(key).or_default();
        total.points += points;
        total.grown = self.additions;
    }

    /// Calls `each` with every total that has grown since it was last told.
    pub(crate) fn tell(&mut self, mut each: impl FnMut(MinuteTotal)) {
        self.cool();
        for ((measurement, minute_ns), total) in &mut self.totals {
            if total.told != total.points {
                total.told = total.points;
                each(MinuteTotal { measurement: *measurement, minute_ns: *minute_ns, points: total.points });
            }
        }
    }

    /// The last `most` totals that grew, for the state file.
    pub(crate) fn latest(&mut self, most: usize) -> Vec<MinuteTotal> {
        self.cool();
        let mut all: Vec<_> = self.totals.iter().collect();
        all.sort_unstable_by_key(|(_, total)| std::cmp::Reverse(total.grown));
        let total = |((measurement, minute_ns), total): (&Key, &Total)| MinuteTotal {
            measurement: *measurement,
            minute_ns: *minute_ns,
            points: total.points,
        };
        all.into_iter().take(most).map(total).collect()
    }

    /// Continues where the state file stood.
    pub(crate) fn resume(&mut self, totals: &[MinuteTotal]) {
        for MinuteTotal { measurement, minute_ns, points } in totals {
            let total = Total { points: *points, told: 0, grown: 0 };
            self.totals.insert((*measurement, *minute_ns), total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(minutes: &mut Minutes) -> Vec<(u8, i64, u64)> {
        let mut all = Vec::new();
        minutes.tell(|total| all.push((total.measurement, total.minute_ns / MINUTE_NS, total.points)));
        all
    }

    fn add(minutes: &mut Minutes, points: &[(u8, i64)]) {
        let mut frame = FrameMinutes::default();
        points.iter().for_each(|(measurement, time)| frame.add(*measurement, *time));
        minutes.add(&frame);
    }

    #[test]
    fn a_total_is_told_when_it_has_grown_and_continues_after_a_restart() {
        let mut minutes = Minutes::default();
        let last = MINUTE_NS - 1;
        add(&mut minutes, &[(0, 0), (0, last), (1, last), (0, MINUTE_NS), (0, 5), (0, -1)]);
        assert_eq!(told(&mut minutes), [(0, -1, 1), (0, 0, 3), (0, 1, 1), (1, 0, 1)]);
        assert_eq!(told(&mut minutes), []);
        add(&mut minutes, &[(0, 7)]);
        assert_eq!(told(&mut minutes), [(0, 0, 4)]);
        let mut after = Minutes::default();
        after.resume(&minutes.latest(1));
        add(&mut after, &[(0, 9)]);
        assert_eq!(told(&mut after), [(0, 0, 5)]);
    }

    #[test]
    fn a_feed_that_spans_years_forgets_the_minutes_that_were_quiet_longest() {
        let mut minutes = Minutes::default();
        for minute in 0..MINUTES_KEPT as i64 + 10 {
            add(&mut minutes, &[(0, minute * MINUTE_NS)]);
        }
        let all = told(&mut minutes);
        assert_eq!((all.len(), all.first()), (MINUTES_KEPT, Some(&(0, 10, 1))));
        add(&mut minutes, &[(0, i64::MIN), (0, i64::MAX)]);
        assert_eq!(told(&mut minutes).len(), 2);
    }
}
