//! Ordinals already used at the times of one series, as `_tie` tells them. It promises that no ordinal is given twice
//! at any time, also where a venue's time goes back; a time behind those that it remembers gets one that was never used
//! at any of them.

/// One series: its last `KEPT` venue times and how many ordinals were used at each, the one used last in front. Eight do
/// for a source of its own clock; where several are mixed, more keep more points at their very time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ties<const KEPT: usize = 8> {
    used: [(i64, u32); KEPT],
    /// The latest time that was forgotten, and the most ordinals used at one of them.
    forgotten: (i64, u32),
}

impl<const KEPT: usize> Default for Ties<KEPT> {
    fn default() -> Self {
        Self { used: [(0, 0); KEPT], forgotten: (i64::MIN, 0) }
    }
}

impl<const KEPT: usize> Ties<KEPT> {
    /// The `_tie` of a message with one point of this series at `time`, which counts as used from now on.
    pub fn next(&mut self, time: i64) -> u32 {
        self.take(time, 1)
    }

    /// The same of a message with several points.
    pub fn take(&mut self, time: i64, candidates: u32) -> u32 {
        // A place that was never used holds the time 0 without ordinals, which is the truth.
        let found = self.used.iter().position(|(known, _)| *known == time);
        let tie = match found.and_then(|at| self.used.get(at)) {
            Some((_, used)) => *used,
            None if time <= self.forgotten.0 => self.forgotten.1,
            None => 0,
        };
        if let (None, Some((time, used))) = (found, self.used.last().filter(|(_, used)| *used > 0)) {
            self.forgotten = (self.forgotten.0.max(*time), self.forgotten.1.max(*used));
        }
        if let Some(moved) = self.used.get_mut(..=found.unwrap_or(KEPT.saturating_sub(1))) {
            moved.rotate_right(1);
        }
        if let Some(first) = self.used.first_mut() {
            *first = (time, tie.saturating_add(candidates));
        }
        tie
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_count_up_within_a_time_also_when_it_comes_back() {
        let mut ties = Ties::<8>::default();
        let given: Vec<u32> = [5, 5, 6, 5, 0, 6, 0, 5].into_iter().map(|time| ties.next(time)).collect();
        assert_eq!(given, [0, 1, 0, 2, 0, 1, 1, 3]);
    }

    #[test]
    fn a_time_that_was_forgotten_gets_an_ordinal_that_it_never_had() {
        let mut ties = Ties::<8>::default();
        for time in [1, 2, 2, 3, 4, 5, 6, 7, 8, 1, 9] {
            ties.next(time);
        }
        assert_eq!((ties.next(1), ties.next(2)), (2, 2), "1 was used again, 2 and 3 were forgotten");
        assert_eq!(ties.next(10), 0, "a new time has all of them");
    }

    proptest::proptest! {
        #[test]
        fn no_ordinal_is_given_twice_whatever_the_order_of_times(
            times in proptest::collection::vec((-20_i64..20, 1_u32..4), 0..400),
        ) {
            let (mut ties, mut given) = (Ties::<8>::default(), std::collections::HashSet::new());
            for (time, candidates) in times {
                let first = ties.take(time, candidates);
                for ordinal in first..first + candidates {
                    proptest::prop_assert!(given.insert((time, ordinal)), "{time} {ordinal}");
                }
            }
        }
    }
}
