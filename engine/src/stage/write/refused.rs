//! What a writer does with lines that the database does not take, now or ever.

use tickline_sinks::retry::PARK_AFTER;
use tickline_sinks::sink::{FaultKind, Outcome, RejectReason, Request};

use super::{Finished, Writer};
use crate::rejects::refused_lines;

/// What the database answers to a request that it fails on.
const SERVER_ERROR: u16 = 500;

impl Writer {
    /// Whether a request must wait for long so that others come first: a limit of the server stands in its way, or
    /// the server fails on it again and again. Only where there is a spooler to keep it.
    pub(super) fn must_park(&self, outcome: &Outcome, attempt: u32, points: u64) -> bool {
        let Finished::Spooler(_) = self.spec.finished else { return false };
        match outcome {
            Outcome::Split(fault) => fault.kind == FaultKind::Limit && points == 1,
            Outcome::InDoubt(fault) | Outcome::NotSent(fault) => {
                fault.code == SERVER_ERROR && fault.kind == FaultKind::Transient && attempt + 1 >= PARK_AFTER
            }
            Outcome::Stored { .. } | Outcome::Held => false,
        }
    }

    /// Keeps the lines that are refused for good with the server's words. What is only too old is no bad line.
    pub(super) fn keep_rejects(
        &mut self,
        request: &Request,
        rejected: &[(RejectReason, u64)],
        outcome: &Outcome,
    ) {
        let Some((reason, _)) = rejected.iter().find(|(reason, _)| *reason != RejectReason::BeyondRetention)
        else {
            return;
        };
        let Some(rejects) = &self.spec.rejects else { return };
        let lines = refused_lines(request, outcome);
        let kept = rejects.keep(self.clock.wall(), reason.name(), outcome.detail(), &lines);
        match kept {
            Ok(true) => {}
            Ok(false) => {
                self.counters.rejects_left_out += lines.iter().filter(|b| **b == b'\n').count() as u64
            }
            Err(error) => {
                if let Some(suppressed) = self.log.admit(self.clock.mono()) {
                    tracing::error!(suppressed, "{}: refused lines are not kept: {error}", self.spec.name);
                }
            }
        }
    }
}
