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

/// Points of one frame, by measurement and minute.
#[derive(Debug, Default)]
pub(crate) struct FrameMinutes {
    /// The minute of the last point, which may be of an earlier frame, and its points in this one.
    last: (Key, u64),
    /// The others, in the order of their coming; nearly always none.
    others: Vec<(Key, u64)>,
}

impl FrameMinutes {
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.last.1 = 0;
        self.others.clear();
    }

    #[inline]
    pub(crate) fn add(&mut self, measurement: u8, time_ns: i64) {
        let (key, points) = &mut self.last;
        if key.0 == measurement && (time_ns.wrapping_sub(key.1) as u64) < MINUTE_NS as u64 {
            *points += 1;
        } else {
            self.turn(measurement, time_ns);
        }
    }

    #[cold]
    #[inline(never)]
    fn turn(&mut self, measurement: u8, time_ns: i64) {
        let minute = (measurement, time_ns.saturating_sub(time_ns.rem_euclid(MINUTE_NS)));
        let before = std::mem::replace(&mut self.last, (minute, 1));
        if before.1 > 0 {
            self.others.push(before);
        }
    }
}

/// Measurements of one decoder at most.
const MEASUREMENTS_MAX: usize = 3;

/// The totals of one feed.
#[derive(Debug, Default)]
pub(crate) struct Minutes {
    totals: BTreeMap<Key, Total>,
    /// Of each measurement the minute that is growing and its points, not yet in `totals`.
    hot: [(i64, u64); MEASUREMENTS_MAX],
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
        frame.others.iter().for_each(|points| self.grow(*points));
        if frame.last.1 > 0 {
            self.grow(frame.last);
        }
    }

    #[inline]
    fn grow(&mut self, ((measurement, minute), points): (Key, u64)) {
        let Some(hot) = self.hot.get_mut(usize::from(measurement)) else { return };
        if hot.0 == minute {
            hot.1 += points;
        } else {
            let cold = std::mem::replace(hot, (minute, points));
            self.settle(measurement, cold);
        }
    }

    #[cold]
    fn settle(&mut self, measurement: u8, (minute, points): (i64, u64)) {
        if points == 0 {
            return;
        }
        self.additions += 1;
        if self.totals.len() >= MINUTES_KEPT && !self.totals.contains_key(&(measurement, minute)) {
            self.forget();
        }
        let total = self.totals.entry((measurement, minute)).or_default();
        total.points += points;
        total.grown = self.additions;
    }

    /// Forgets the half that has been quiet longest.
    fn forget(&mut self) {
        let mut grown: Vec<u64> = self.totals.values().map(|total| total.grown).collect();
        let (_, middle, _) = grown.select_nth_unstable(MINUTES_KEPT / 2);
        let middle = *middle;
        self.totals.retain(|_, total| total.grown >= middle);
    }

    /// Calls `each` with every total that has grown since it was last told.
    pub(crate) fn tell(&mut self, mut each: impl FnMut(MinuteTotal)) {
        for (measurement, (minute, points)) in (0..).zip(self.hot) {
            self.settle(measurement, (minute, points));
        }
        self.hot.iter_mut().for_each(|hot| hot.1 = 0);
        for ((measurement, minute_ns), total) in &mut self.totals {
            if total.told != total.points {
                total.told = total.points;
                each(MinuteTotal { measurement: *measurement, minute_ns: *minute_ns, points: total.points });
            }
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
    fn a_total_is_told_when_it_has_grown() {
        let mut minutes = Minutes::default();
        let last = MINUTE_NS - 1;
        add(&mut minutes, &[(0, 0), (0, last), (1, last), (0, MINUTE_NS), (0, 5), (0, -1)]);
        assert_eq!(told(&mut minutes), [(0, -1, 1), (0, 0, 3), (0, 1, 1), (1, 0, 1)]);
        assert_eq!(told(&mut minutes), []);
        add(&mut minutes, &[(0, 7)]);
        assert_eq!(told(&mut minutes), [(0, 0, 4)]);
    }

    #[test]
    fn a_feed_that_spans_years_forgets_the_minutes_that_were_quiet_longest() {
        let mut minutes = Minutes::default();
        for minute in 0..MINUTES_KEPT as i64 + 10 {
            add(&mut minutes, &[(0, minute * MINUTE_NS)]);
        }
        let all = told(&mut minutes);
        let last = MINUTES_KEPT as i64 + 9;
        assert!((MINUTES_KEPT / 2..=MINUTES_KEPT).contains(&all.len()), "{}", all.len());
        assert_eq!(all.last(), Some(&(0, last, 1)));
        add(&mut minutes, &[(0, i64::MIN), (0, i64::MAX)]);
        assert_eq!(told(&mut minutes).len(), 2);
    }
}
