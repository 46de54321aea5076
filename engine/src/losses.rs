//! Says in the log what a feed cannot use: a line a feed in 10 s at most, with what has come since the last one.
//! Lost messages are told by the encoders, hole by hole.

use tickline_feeds::clock::MonoNanos;
use tickline_feeds::counts::Counts;

use crate::ledger::Reading;
use crate::view::View;

const EVERY_NS: u64 = 10_000_000_000;

/// What was said of each feed.
#[derive(Debug, Default)]
pub(crate) struct Losses(Vec<Said>);

#[derive(Clone, Copy, Debug, Default)]
struct Said {
    at: Option<MonoNanos>,
    counts: [u64; 2],
}

/// What a user wants to be told of, with its name.
fn counts(counts: &Counts) -> [(&'static str, u64); 2] {
    [("frames undecodable", counts.undecodable_total()), ("bad points", counts.bad_points)]
}

impl Losses {
    /// Looks at all feeds; once a second.
    pub(crate) fn look(&mut self, view: &View, now: MonoNanos) {
        let reading = Reading::take(&view.stats);
        let names = view.feeds.lock().clone();
        self.0.resize(names.len(), Said::default());
        for ((feed, said), went) in names.iter().zip(&mut self.0).zip(&reading.feeds_out) {
            if let Some(line) = said.line(&went.counts, now) {
                tracing::warn!("{}: {line}", feed.name);
            }
        }
    }
}

impl Said {
    /// What is new, if it may be said now.
    fn line(&mut self, of: &Counts, now: MonoNanos) -> Option<String> {
        if self.at.is_some_and(|at| now.since(at) < EVERY_NS) {
            return None;
        }
        let counts = counts(of);
        let new = counts.iter().zip(self.counts).filter(|((_, count), before)| count > before);
        let new: Vec<String> =
            new.map(|((what, count), before)| format!("{} {what}", count - before)).collect();
        self.counts = counts.map(|(_, count)| count);
        if new.is_empty() {
            return None;
        }
        self.at = Some(now);
        Some(new.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_said_once_and_again_only_after_ten_seconds() {
        let mut said = Said::default();
        let mut counts = Counts::default();
        let mut line = |counts: &Counts, s: u64| said.line(counts, MonoNanos(s * 1_000_000_000));
        assert_eq!(line(&counts, 1), None);
        (counts.undecodable[0], counts.bad_points) = (3, 1);
        assert_eq!(line(&counts, 2).as_deref(), Some("3 frames undecodable, 1 bad points"));
        counts.undecodable[0] = 10;
        assert_eq!(line(&counts, 3), None);
        assert_eq!(line(&counts, 12).as_deref(), Some("7 frames undecodable"));
        assert_eq!(line(&counts, 30), None);
    }
}
