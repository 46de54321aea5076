//! What a run can measure at all, known before it begins: a condition on a figure that it cannot have, or not as
//! exactly as the condition needs, is refused then and not after an hour.

use tickline_config::report::Report;

use super::{Condition, Metric, Stage, nanos};

/// What a run can measure.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// Whether its messages have a time at which they are due.
    pub scheduled: bool,
    /// Where the target stands before it; none without one.
    pub target: Option<&'a Report>,
    /// How far the target's clock may be from ours, ns; none where both are one.
    pub clock_error_ns: Option<u64>,
}

/// Why a condition cannot be held against a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unseen {
    /// It is about the target.
    #[error("{0}: must have a target, found --target none")]
    NoTarget(String),
    /// It is about a latency, which begins when a message is due.
    #[error("{0}: must have a schedule, found the rate max: nothing is due")]
    NoSchedule(String),
    /// It is about an acknowledgement.
    #[error("{0}: must have a target with a sink, found none")]
    NoSink(String),
    /// It is finer than what the clocks of two hosts tell.
    #[error("{condition}: must be more than the clocks may differ, found ± {error} to the target's host")]
    Blurred {
        /// The condition.
        condition: String,
        /// The possible difference.
        error: String,
    },
}

impl Sight<'_> {
    /// Whether all of these can be held against the run.
    pub fn shows<'c>(&self, conditions: impl IntoIterator<Item = &'c Condition>) -> Result<(), Unseen> {
        conditions.into_iter().try_for_each(|condition| self.shows_one(condition))
    }

    fn shows_one(&self, condition: &Condition) -> Result<(), Unseen> {
        let named = || condition.to_string();
        if condition.metric().needs_target() && self.target.is_none() {
            return Err(Unseen::NoTarget(named()));
        }
        let Metric::Latency(stage, _) = condition.metric() else { return Ok(()) };
        if !self.scheduled {
            return Err(Unseen::NoSchedule(named()));
        }
        if stage == Stage::Ack && self.target.is_some_and(|target| target.sinks.is_empty()) {
            return Err(Unseen::NoSink(named()));
        }
        match self.clock_error_ns {
            Some(error_ns) if stage != Stage::Send && error_ns as f64 > condition.value() => {
                Err(Unseen::Blurred { condition: named(), error: nanos(error_ns) })
            }
            _ => Ok(()),
        }
    }
}
