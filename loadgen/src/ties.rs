//! Ordinals of points with equal series and time, as `_tie` carries them (the rule is in the payload's
//! documentation of `_tie`: one more than the highest ordinal already used).

/// One series: the last venue time and how many ordinals were used at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Series {
    time: i64,
    used: u32,
}

impl Series {
    /// Ordinals already used at `time`; times do not go back.
    pub(crate) fn used_at(&self, time: i64) -> u32 {
        if self.time == time { self.used } else { 0 }
    }

    /// `candidates` points more, the first of them with ordinal `tie`.
    pub(crate) fn take(&mut self, time: i64, tie: u32, candidates: u32) {
        *self = Self { time, used: tie + candidates };
    }

    /// The `_tie` of a message with one point of this series.
    pub(crate) fn next(&mut self, time: i64) -> u32 {
        let tie = self.used_at(time);
        self.take(time, tie, 1);
        tie
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_count_up_within_a_time_and_start_again_with_the_next() {
        let mut series = Series::default();
        let ties: Vec<u32> = [5, 5, 5, 6, 6, 7].into_iter().map(|time| series.next(time)).collect();
        assert_eq!(ties, [0, 1, 2, 0, 1, 0]);
        series.take(7, 1, 2);
        assert_eq!((series.used_at(7), series.used_at(8)), (3, 0));
    }
}
