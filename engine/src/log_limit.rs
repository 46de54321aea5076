//! Repeated log lines: one in 10 s, which says how many were suppressed.

use tickline_feeds::clock::MonoNanos;

const EVERY_NS: u64 = 10_000_000_000;

/// Limits one kind of log line.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LogLimit {
    last: Option<MonoNanos>,
    suppressed: u64,
}

impl LogLimit {
    /// Whether a line may be written now; if so, how many were suppressed since the last one (none: 0).
    pub(crate) fn admit(&mut self, now: MonoNanos) -> Option<Option<u64>> {
        if self.last.is_some_and(|last| now.since(last) < EVERY_NS) {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(now);
        Some(Some(std::mem::take(&mut self.suppressed)).filter(|suppressed| *suppressed > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_ten_seconds_says_how_many_were_suppressed() {
        let mut limit = LogLimit::default();
        let seen: Vec<_> = [0, 1, 9, 10, 11, 25].map(|s| limit.admit(MonoNanos(s * 1_000_000_000))).into();
        assert_eq!(seen, [Some(None), None, None, Some(Some(2)), None, Some(Some(1))]);
    }
}
