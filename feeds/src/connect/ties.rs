//! Ordinals already used at the times of one series, as `_tie` tells them. It promises that no ordinal is given twice
//! at any of the last eight times, also where a venue's time goes back; it refuses to remember more.

/// Times remembered.
const TIMES_KEPT: usize = 8;

/// One series: venue times and how many ordinals were used at each, the one used last in front.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ties {
    used: [(i64, u32); TIMES_KEPT],
}

impl Ties {
    /// The `_tie` of a message with one point of this series at `time`, which counts as used from now on.
    pub fn next(&mut self, time: i64) -> u32 {
        self.take(time, 1)
    }

    /// The same of a message with several points.
    pub fn take(&mut self, time: i64, candidates: u32) -> u32 {
        // A place that was never used holds the time 0 without ordinals, which is the truth.
        let found = self.used.iter().position(|(known, _)| *known == time);
        let tie = found.and_then(|at| self.used.get(at)).map_or(0, |(_, used)| *used);
        if let Some(moved) = self.used.get_mut(..=found.unwrap_or(TIMES_KEPT - 1)) {
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
        let mut ties = Ties::default();
        let given: Vec<u32> = [5, 5, 6, 5, 0, 6, 0, 5].into_iter().map(|time| ties.next(time)).collect();
        assert_eq!(given, [0, 1, 0, 2, 0, 1, 1, 3]);
    }

    #[test]
    fn the_time_that_was_used_longest_ago_is_forgotten_first() {
        let mut ties = Ties::default();
        for time in [1, 2, 3, 4, 5, 6, 7, 8, 1, 9] {
            ties.next(time);
        }
        assert_eq!((ties.next(1), ties.next(2)), (2, 0));
    }
}
