//! Sends lines to a sink without an engine: what the commands for spools and dead letters have in common. Lines that
//! are refused for good go to the dead letters, as in a run.

use std::io;
use std::time::Duration;

use tickline_config::model::{Durability, Engine, Sink as SinkModel};
use tickline_feeds::clock::{Clock, MonoNanos};
use tickline_loadgen::clock::OsClock;
use tickline_sinks::retry::{Step, next_step, split};
use tickline_sinks::sink::{Outcome, RejectReason, Request, Sink};

use super::Failure;
use crate::rejects::{Rejects, refused_lines};

/// Writes to one sink until it has taken everything, or its time is over.
pub(super) struct Sender {
    sink: Box<dyn Sink>,
    rejects: Rejects,
    clock: OsClock,
    patience: Duration,
    /// Points stored.
    pub(super) written: u64,
    /// Points refused.
    pub(super) rejected: u64,
}

impl Sender {
    /// Opens the sink `name`; one that does not take a request is tried for `patience`.
    pub(super) fn open(
        name: &str,
        sink: &SinkModel,
        engine: &Engine,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let clock = OsClock::start();
        // What is stored goes from its own file: it must be durable where it went.
        let sink = SinkModel { durability: Durability::JournalSync, ..sink.clone() };
        let opened = tickline_sinks::open::open(name, &engine.instance, clock.wall().0, &sink);
        let sink = opened.map_err(Failure::configuration)?;
        let rejects = Rejects::new(&engine.state_dir, name, engine.rejects_bytes_max);
        Ok(Self { sink, rejects, clock, patience, written: 0, rejected: 0 })
    }

    /// Sends one request; what the sink holds comes back, to be committed.
    pub(super) fn send(&mut self, request: Request) -> io::Result<Vec<Request>> {
        let (mut parts, mut held) = (vec![request], Vec::new());
        while let Some(part) = parts.pop() {
            let (mut attempt, began) = (0, self.clock.mono());
            loop {
                let outcome = self.sink.write(&part);
                match next_step(&outcome, attempt, part.points, u64::from(attempt) * 7_919) {
                    Step::Settled { written, rejected } => {
                        self.written += written;
                        self.refuse(&part, &rejected, &outcome)?;
                    }
                    Step::Held => held.push(part),
                    Step::Split => match split(&part) {
                        Some((first, second)) => parts.extend([second, first]),
                        None => self.refuse(&part, &[(RejectReason::BadLine, part.points)], &outcome)?,
                    },
                    Step::Wait { ms, .. } => {
                        self.wait(ms, began, &outcome)?;
                        attempt += 1;
                        continue;
                    }
                }
                break;
            }
        }
        Ok(held)
    }

    /// Makes durable what the sink holds.
    pub(super) fn commit(&mut self, held: &[Request]) -> io::Result<()> {
        let points: u64 = held.iter().map(|request| request.points).sum();
        if points == 0 {
            return Ok(());
        }
        match next_step(&self.sink.commit(), 0, points, 0) {
            Step::Settled { written, rejected } => {
                self.written += written;
                self.rejected += rejected.iter().map(|(_, points)| points).sum::<u64>();
                Ok(())
            }
            _ => Err(io::Error::other("the sink could not make it durable")),
        }
    }

    fn refuse(
        &mut self,
        part: &Request,
        rejected: &[(RejectReason, u64)],
        outcome: &Outcome,
    ) -> io::Result<()> {
        for (reason, points) in rejected {
            self.rejected += points;
            if *reason != RejectReason::BeyondRetention {
                let lines = refused_lines(part, outcome);
                self.rejects.keep(self.clock.wall(), reason.name(), outcome.detail(), &lines)?;
            }
        }
        Ok(())
    }

    fn wait(&self, ms: u64, began: MonoNanos, outcome: &Outcome) -> io::Result<()> {
        if Duration::from_nanos(self.clock.mono().since(began)) >= self.patience {
            return Err(io::Error::other(outcome.detail().to_owned()));
        }
        std::thread::park_timeout(Duration::from_millis(ms).min(self.patience));
        Ok(())
    }
}
