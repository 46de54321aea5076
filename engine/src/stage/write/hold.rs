//! Sinks that hold what they take: when they are asked to make it durable, and what is done when that fails.

use tickline_feeds::clock::MonoNanos;
use tickline_sinks::retry::Step;
use tickline_sinks::sink::Request;

use super::{Settlement, Writer};

impl Writer {
    pub(super) fn commit_due(&self, now: MonoNanos) -> bool {
        let Some(limits) = self.spec.hold else { return !self.held.is_empty() };
        !self.held.is_empty()
            && (self.held_bytes >= limits.bytes_max || now.since(self.held_since) >= limits.age_max_ns)
    }

    /// Makes durable what is held, however often it has to be written again for that.
    pub(super) fn commit(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let points = self.held.iter().map(|unit| unit.request.points).sum();
        let (mut attempt, mut settlement, mut given_up) = (0, Settlement::default(), false);
        while !self.held.is_empty() {
            let outcome = self.sink.commit();
            match self.step(&outcome, attempt, points) {
                Step::Settled { written, rejected } => {
                    self.count(written, &rejected, &outcome, &mut settlement);
                    break;
                }
                Step::Held | Step::Split => {
                    self.stop.fail(format!("{}: a commit must settle, found {outcome:?}", self.spec.name));
                    given_up = true;
                    break;
                }
                Step::Wait { ms, .. } => {
                    attempt = attempt.saturating_add(1);
                    self.counters.retries += 1;
                    if self.wait(ms) || !self.write_held_again() {
                        given_up = true;
                        break;
                    }
                }
            }
        }
        let held = std::mem::take(&mut self.held);
        self.held_bytes = 0;
        if given_up {
            self.give_up(held, settlement);
        } else {
            self.settle(held, settlement);
        }
    }

    /// After a failed commit the sink has given everything back.
    fn write_held_again(&mut self) -> bool {
        let requests: Vec<Request> = self.held.iter().map(|unit| unit.request.clone()).collect();
        for request in requests {
            loop {
                let outcome = self.attempt(&request);
                match self.step(&outcome, 0, request.points) {
                    Step::Held => break,
                    Step::Wait { ms, .. } => {
                        if self.wait(ms) {
                            return false;
                        }
                    }
                    Step::Settled { .. } | Step::Split => {
                        let name = &self.spec.name;
                        self.stop
                            .fail(format!("{name}: a sink that holds must hold again, found {outcome:?}"));
                        return false;
                    }
                }
            }
        }
        true
    }
}
