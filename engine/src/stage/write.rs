//! The write stage: one thread a connection. It joins waiting batches into one request, writes it until the
//! sink has settled it, keeps what is held until the next commit, and counts a batch as settled only when it
//! gives it back. After an abort it counts what is left as dropped; with a spooler before it, it gives back what
//! it cannot store and never drops anything.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use tickline_feeds::clock::{Clock, MonoNanos};
use tickline_sinks::batch::Batch;
use tickline_sinks::retry::{Step, next_step, split};
use tickline_sinks::sink::{Outcome, RejectReason, Request, Sink};

use crate::accepted::Accepted;
use crate::latency::WrLatencies;
use crate::log_limit::LogLimit;
use crate::queue::{BatchPool, Job};
use crate::rejects::Rejects;
use crate::stats::{MergeTimer, Trouble, WrCell, WrCounters, thread_cpu_ns};
use crate::stop::{LOOK_EVERY, Stop};
use unit::Unit;

mod hold;
mod refused;
mod unit;

#[cfg(test)]
mod tests;

/// When a sink that holds what it takes must be asked to make it durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldLimits {
    /// Lines held, bytes.
    pub bytes_max: usize,
    /// Age of the oldest, ns.
    pub age_max_ns: u64,
}

/// What a writer tells the spooler of its sink.
#[derive(Debug)]
pub enum Word {
    /// The jobs with these tickets are settled, but for lines that are not stored and must wait for long.
    Settled(Vec<u64>, Batch),
    /// The job with this ticket could not be stored.
    Back(u64),
    /// A write has failed and will be tried again.
    Trouble,
}

/// Where finished batches go.
#[derive(Clone, Debug)]
pub enum Finished {
    /// No spooler: they are accepted and used again.
    Here(BatchPool, Arc<Accepted>),
    /// The spooler is told, which holds them, too.
    Spooler(Sender<Word>),
}

/// What a writer is made from.
#[derive(Debug)]
pub struct WriterSpec {
    /// Thread name, for the log.
    pub name: String,
    /// Waiting batches; shared with the sink's other connections.
    pub fresh: Receiver<Job>,
    /// Batches that have waited on disk: they come when no other does.
    pub backlog: Receiver<Job>,
    /// Where finished batches go.
    pub finished: Finished,
    /// Waiting batches are joined up to this size.
    pub request_bytes_max: usize,
    /// For sinks that hold.
    pub hold: Option<HoldLimits>,
    /// Where lines go that are refused for good; none: they are counted only.
    pub rejects: Option<Arc<Rejects>>,
    /// Where the numbers are published.
    pub cell: Arc<WrCell>,
}

/// How the writing of a request ended.
enum Written {
    /// Every part is settled.
    Settled(Settlement),
    /// It waits for the next commit.
    Held,
    /// The run ends; some parts may be settled.
    GivenUp(Settlement),
}

/// What became of the points of a unit. It is counted together with `settled`, in one go, so that the ledger
/// balances whenever it is read.
#[derive(Debug, Default)]
struct Settlement {
    written: u64,
    rejected: [u64; RejectReason::ALL.len()],
    shutdown: u64,
    /// Lines that must wait for long.
    parked: Batch,
}

/// One connection's writer.
pub struct Writer {
    spec: WriterSpec,
    sink: Box<dyn Sink>,
    clock: Arc<dyn Clock>,
    stop: Arc<Stop>,
    counters: WrCounters,
    latencies: WrLatencies,
    merge: MergeTimer,
    log: LogLimit,
    /// A batch that was taken but did not fit into the request.
    carry: Option<Job>,
    held: Vec<Unit>,
    held_bytes: usize,
    held_since: MonoNanos,
    dice: u64,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("spec", &self.spec).finish_non_exhaustive()
    }
}

impl Writer {
    /// A writer with its own connection.
    pub fn new(spec: WriterSpec, sink: Box<dyn Sink>, clock: Arc<dyn Clock>, stop: Arc<Stop>) -> Self {
        // Only spreads waits; writers that start in one nanosecond may draw alike.
        let dice = clock.wall().0.unsigned_abs() | 1;
        Self {
            spec,
            sink,
            clock,
            stop,
            counters: WrCounters::default(),
            latencies: WrLatencies::default(),
            merge: MergeTimer::default(),
            log: LogLimit::default(),
            carry: None,
            held: Vec::new(),
            held_bytes: 0,
            held_since: MonoNanos(0),
            dice,
        }
    }

    /// The loop; ends with its queue, after the last commit.
    pub fn run(mut self) {
        loop {
            match self.next() {
                Ok((job, from)) => self.take(job, &from),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = self.clock.mono();
            if self.commit_due(now) {
                self.commit();
            }
            self.publish(now);
        }
        self.commit();
        self.close();
        self.merge = MergeTimer::default();
        self.publish(MonoNanos(u64::MAX));
    }

    fn take(&mut self, first: Job, from: &Receiver<Job>) {
        let unit = self.join(first, from);
        if self.stop.aborted() {
            return self.give_up(vec![unit], Settlement::default());
        }
        match self.write(&unit.request) {
            Written::Settled(settlement) => self.settle(vec![unit], settlement),
            Written::GivenUp(settlement) => self.give_up(vec![unit], settlement),
            Written::Held => {
                if self.held.is_empty() {
                    self.held_since = self.clock.mono();
                }
                self.held_bytes += unit.request.lines.len();
                self.held.push(unit);
            }
        }
    }

    /// Writes one request until every part of it is settled, unless it is held or the run ends.
    fn write(&mut self, request: &Request) -> Written {
        let (mut parts, mut settlement) = (vec![request.clone()], Settlement::default());
        let mut held = false;
        while let Some(part) = parts.pop() {
            let mut attempt = 0;
            loop {
                let outcome = self.attempt(&part);
                let step = self.step(&outcome, attempt, part.points);
                if self.must_park(&outcome, attempt, part.points) {
                    settlement.parked.lines.extend_from_slice(&part.lines);
                    settlement.parked.points += part.points;
                    break;
                }
                match step {
                    Step::Settled { written, rejected } => {
                        self.count(written, &rejected, &outcome, &mut settlement);
                        self.keep_rejects(&part, &rejected, &outcome);
                    }
                    Step::Held => held = true,
                    Step::Split => match split(&part) {
                        Some((first, second)) => parts.extend([second, first]),
                        // A request of several points in one line cannot be: it is the line that is bad.
                        None => {
                            let bad = [(RejectReason::BadLine, part.points)];
                            self.count(0, &bad, &outcome, &mut settlement);
                            self.keep_rejects(&part, &bad, &outcome);
                        }
                    },
                    Step::Wait { ms, .. } => {
                        if self.wait(ms) {
                            return Written::GivenUp(settlement);
                        }
                        attempt = attempt.saturating_add(1);
                        self.counters.retries += 1;
                        continue;
                    }
                }
                break;
            }
        }
        if held { Written::Held } else { Written::Settled(settlement) }
    }

    fn attempt(&mut self, request: &Request) -> Outcome {
        let before = self.clock.mono();
        let outcome = self.sink.write(request);
        self.counters.requests += 1;
        let took = self.clock.mono().since(before);
        self.counters.narrowed.add(self.sink.take_narrowed());
        self.counters.answered(self.sink.take_server_time_s(), self.clock.wall());
        self.latencies.write.histogram.saturating_record(took);
        outcome
    }

    /// The retry rule's answer, with what it means for whoever watches.
    fn step(&mut self, outcome: &Outcome, attempt: u32, points: u64) -> Step {
        self.dice ^= self.dice << 13; // xorshift64: any spread will do
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        let step = next_step(outcome, attempt, points, self.dice);
        let trouble = match outcome {
            Outcome::NotSent(fault) | Outcome::InDoubt(fault) | Outcome::Split(fault) => {
                Some(Trouble { kind: fault.kind, detail: fault.detail.clone() })
            }
            Outcome::Stored { .. } | Outcome::Held => None,
        };
        if let (Some(trouble), Step::Wait { ms, hold }) = (&trouble, &step)
            && let Some(suppressed) = self.log.admit(self.clock.mono())
        {
            let what = if *hold { "kept until someone acts, tried again" } else { "sent again" };
            tracing::warn!(suppressed, "{}: {points} points {what} in {ms} ms: {trouble}", self.spec.name);
        }
        if let Outcome::NotSent(fault) | Outcome::InDoubt(fault) | Outcome::Split(fault) = outcome {
            self.counters.fault(fault.code);
        }
        if trouble.is_none() && self.counters.trouble.is_some() {
            tracing::info!("{}: the sink takes points again", self.spec.name);
        }
        self.counters.trouble = trouble;
        step
    }

    fn count(
        &mut self,
        written: u64,
        rejected: &[(RejectReason, u64)],
        outcome: &Outcome,
        to: &mut Settlement,
    ) {
        to.written += written;
        for (reason, points) in rejected {
            let at = RejectReason::ALL.iter().position(|known| known == reason);
            if let Some(count) = at.and_then(|at| to.rejected.get_mut(at)) {
                *count += points;
            }
            if let Some(suppressed) = self.log.admit(self.clock.mono()) {
                let detail = outcome.detail();
                let name = &self.spec.name;
                tracing::warn!(suppressed, "{name}: {points} points refused ({}): {detail}", reason.name());
            }
        }
    }

    /// The run ends before these units are settled. A spooler keeps them, whatever became of their parts: what is
    /// sent twice is absorbed. Else what is not settled is dropped.
    fn give_up(&mut self, units: Vec<Unit>, mut settlement: Settlement) {
        let Finished::Spooler(words) = &self.spec.finished else {
            let points = points(&units);
            let settled = settlement.written + settlement.rejected.iter().sum::<u64>();
            settlement.shutdown = points - settled;
            return self.settle(units, settlement);
        };
        for job in units.into_iter().flat_map(|unit| unit.jobs) {
            // A spooler that has ended has seen to it already.
            words.send(Word::Back(job.ticket)).ok();
        }
    }

    /// Counts what became of the points of these units and gives their batches back. Only here are points settled.
    fn settle(&mut self, units: Vec<Unit>, mut settlement: Settlement) {
        let parked = std::mem::take(&mut settlement.parked);
        let (points, bytes, parked_points) = (points(&units), bytes(&units), parked.points);
        let tickets = self.release(units, &settlement);
        if let Finished::Spooler(words) = &self.spec.finished
            && words.send(Word::Settled(tickets, parked)).is_err()
        {
            // A spooler that has ended has left them on disk, and counted them there.
            return;
        }
        self.counters.settled += points;
        self.counters.bytes += bytes;
        self.counters.parked += parked_points;
        self.counters.written += settlement.written;
        self.counters.rejected.iter_mut().zip(settlement.rejected).for_each(|(to, new)| *to += new);
        self.counters.shutdown += settlement.shutdown;
    }

    /// Lets the batches go, before anyone is told: the last holder makes them usable again. Returns their tickets.
    fn release(&mut self, units: Vec<Unit>, settlement: &Settlement) -> Vec<u64> {
        let (acked, mut tickets) = (self.clock.wall().0, Vec::new());
        for Unit { jobs, request } in units {
            // The request reads the batch: it must go first, or the batch would not come back.
            drop(request);
            for Job { batch, ticket } in jobs {
                // Where nothing was stored there is nothing that was acknowledged.
                for mark in batch.marks.iter().filter(|_| settlement.written > 0) {
                    if mark.sent != 0 {
                        self.latencies.publish_to_ack.record(mark.sent, acked, 1);
                    }
                    if mark.due != 0 {
                        self.latencies.due_to_ack.record(mark.due, acked, 1);
                    }
                }
                match &self.spec.finished {
                    Finished::Here(pool, accepted) => {
                        if settlement.shutdown == 0 {
                            accepted.accept(batch.number, &batch.positions);
                        } else {
                            accepted.lose(&batch);
                        }
                        pool.give(batch);
                    }
                    Finished::Spooler(_) => tickets.push(ticket),
                }
            }
        }
        tickets
    }

    fn close(&mut self) {
        if let Outcome::NotSent(fault) | Outcome::InDoubt(fault) = self.sink.close() {
            self.stop.fail(format!("{}: closing failed: {}", self.spec.name, fault.detail));
        }
    }

    /// Waits before the next try, in public; true if there is to be none: the run was aborted or, with a spooler
    /// to keep what is left, is ending.
    fn wait(&mut self, ms: u64) -> bool {
        self.publish(self.clock.mono());
        let mut left = Duration::from_millis(ms);
        let Finished::Spooler(words) = &self.spec.finished else { return self.stop.wait(left) };
        // A spooler that has ended needs no telling.
        words.send(Word::Trouble).ok();
        while self.stop.running() {
            let slice = left.min(LOOK_EVERY);
            if self.stop.wait(slice) || left == slice {
                break;
            }
            left -= slice;
        }
        !self.stop.running()
    }

    fn publish(&mut self, now: MonoNanos) {
        self.spec.cell.counters.lock().clone_from(&self.counters);
        if self.merge.due(now) {
            let mut shared = self.spec.cell.latencies.lock();
            self.latencies.write.merge_into(&mut shared.write);
            self.latencies.publish_to_ack.merge_into(&mut shared.publish_to_ack);
            self.latencies.due_to_ack.merge_into(&mut shared.due_to_ack);
            drop(shared);
            *self.spec.cell.cpu_ns.lock() = thread_cpu_ns();
        }
    }
}

fn points(units: &[Unit]) -> u64 {
    units.iter().map(|unit| unit.request.points).sum()
}

fn bytes(units: &[Unit]) -> u64 {
    units.iter().map(|unit| unit.request.lines.len() as u64).sum()
}
