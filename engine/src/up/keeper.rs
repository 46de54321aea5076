//! When a service that has ended is started again, and when it is given up. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use tickline_config::model::Up;
use tickline_feeds::clock::MonoNanos;

/// The rule, and what one service has done so far.
#[derive(Clone, Debug)]
pub struct Keeper {
    wait: Duration,
    wait_max: Duration,
    restarts_max: usize,
    within: Duration,
    /// Restarts within the span, oldest first.
    restarts: VecDeque<MonoNanos>,
    wait_next: Duration,
}

/// What to do with a service that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Start it again after this time.
    StartAfter(Duration),
    /// It ends again and again: leave it.
    GiveUp,
}

impl Keeper {
    /// A service that has not ended yet.
    pub fn new(up: &Up) -> Self {
        Self {
            wait: up.restart_wait,
            wait_max: up.restart_wait_max.max(up.restart_wait),
            restarts_max: up.restarts_max,
            within: up.restarts_within,
            restarts: VecDeque::new(),
            wait_next: up.restart_wait,
        }
    }

    /// It has ended by itself, having run since `started`.
    pub fn ended(&mut self, started: MonoNanos, now: MonoNanos) -> Verdict {
        let age = |then: MonoNanos| Duration::from_nanos(now.since(then));
        while self.restarts.front().is_some_and(|then| age(*then) >= self.within) {
            self.restarts.pop_front();
        }
        if self.restarts.len() >= self.restarts_max {
            return Verdict::GiveUp;
        }
        if age(started) >= self.within {
            self.wait_next = self.wait;
        }
        let wait = self.wait_next;
        self.wait_next = (wait * 2).min(self.wait_max);
        self.restarts.push_back(now);
        Verdict::StartAfter(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn keeper() -> Keeper {
        let seconds = Duration::from_secs;
        Keeper::new(&Up {
            restart_wait: seconds(1),
            restart_wait_max: seconds(30),
            restarts_max: 5,
            restarts_within: seconds(60),
            ..Up::default()
        })
    }

    #[test]
    fn one_that_ends_at_once_is_started_five_times_with_longer_and_longer_waits_and_then_given_up() {
        let (mut keeper, mut now, mut waits) = (keeper(), MonoNanos(0), Vec::new());
        while let Verdict::StartAfter(wait) = keeper.ended(now, now) {
            waits.push(wait.as_secs());
            now = MonoNanos(now.0 + wait.as_nanos() as u64);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16]);
    }

    #[test]
    fn one_that_ends_now_and_then_is_never_given_up_and_waits_thirty_seconds_at_most() {
        let (mut keeper, mut now, mut longest) = (keeper(), MonoNanos(0), 0);
        for _ in 0..1_000 {
            let started = now;
            now = MonoNanos(now.0 + 13 * SECOND_NS);
            let Verdict::StartAfter(wait) = keeper.ended(started, now) else { panic!("given up") };
            longest = longest.max(wait.as_secs());
            now = MonoNanos(now.0 + wait.as_nanos() as u64);
        }
        assert_eq!(longest, 30);
    }

    #[test]
    fn one_that_has_run_for_a_while_waits_as_little_as_the_first_time() {
        let mut keeper = keeper();
        let at = |s: u64| MonoNanos(s * SECOND_NS);
        let wait = |keeper: &mut Keeper, started, now| keeper.ended(at(started), at(now));
        let after = |s| Verdict::StartAfter(Duration::from_secs(s));
        assert_eq!(wait(&mut keeper, 0, 1), after(1));
        assert_eq!(wait(&mut keeper, 2, 3), after(2));
        assert_eq!(wait(&mut keeper, 5, 65), after(1));
    }
}
