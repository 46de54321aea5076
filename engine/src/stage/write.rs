//! The write stage: one thread a connection. It joins waiting batches into one request, writes it until the
//! sink has settled it, keeps what is held until the next commit, and counts a batch as settled only when it
//! gives it back. After an abort it counts what is left as dropped.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use tickline_feeds::clock::{Clock, MonoNanos};
use tickline_sinks::batch::Batch;
use tickline_sinks::retry::{Step, next_step, split};
use tickline_sinks::sink::{Outcome, RejectReason, Request, Sink};

use crate::log_limit::LogLimit;
use crate::queue::BatchPool;
use crate::stats::{MergeTimer, WrCell, WrCounters, WrLatencies, thread_cpu_ns};
use crate::stop::{LOOK_EVERY, Stop};

/// When a sink that holds what it takes must be asked to make it durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldLimits {
    /// Lines held, bytes.
    pub bytes_max: usize,
    /// Age of the oldest, ns.
    pub age_max_ns: u64,
}

/// What a writer is made from.
#[derive(Debug)]
pub struct WriterSpec {
    /// Thread name, for the log.
    pub name: String,
    /// Waiting batches; shared with the sink's other connections.
    pub batches: Receiver<Arc<Batch>>,
    /// Where finished batches go.
    pub pool: BatchPool,
    /// Waiting batches are joined up to this size.
    pub request_bytes_max: usize,
    /// For sinks that hold.
    pub hold: Option<HoldLimits>,
    /// Where the numbers are published.
    pub cell: Arc<WrCell>,
}

/// Batches that went into one request.
struct Unit {
    batches: Vec<Arc<Batch>>,
    request: Request,
}

/// What became of the points of a unit. It is counted together with `settled`, in one go, so that the ledger
/// balances whenever it is read.
#[derive(Debug, Default)]
struct Settlement {
    written: u64,
    rejected: [u64; RejectReason::ALL.len()],
    shutdown: u64,
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
    carry: Option<Arc<Batch>>,
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
            let first = match self.carry.take() {
                Some(batch) => Ok(batch),
                None => self.spec.batches.recv_timeout(LOOK_EVERY),
            };
            match first {
                Ok(batch) => self.take(batch),
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

    fn take(&mut self, first: Arc<Batch>) {
        let unit = self.join(first);
        if self.stop.aborted() {
            let left = Settlement { shutdown: unit.request.points, ..Settlement::default() };
            return self.settle(vec![unit], &left);
        }
        match self.write(&unit.request) {
            Some(settlement) => self.settle(vec![unit], &settlement),
            None => {
                if self.held.is_empty() {
                    self.held_since = self.clock.mono();
                }
                self.held_bytes += unit.request.lines.len();
                self.held.push(unit);
            }
        }
    }

    /// One request out of a batch and those that wait behind it. A single batch is sent without a copy.
    fn join(&mut self, first: Arc<Batch>) -> Unit {
        let (mut bytes, mut batches) = (first.lines.len(), vec![first]);
        while bytes < self.spec.request_bytes_max {
            let Ok(next) = self.spec.batches.try_recv() else { break };
            if bytes + next.lines.len() > self.spec.request_bytes_max {
                self.carry = Some(next);
                break;
            }
            bytes += next.lines.len();
            batches.push(next);
        }
        let points = batches.iter().map(|batch| batch.points).sum();
        let lines = match batches.as_slice() {
            [one] => Bytes::from_owner(Lines(Arc::clone(one))),
            several => {
                let mut lines = Vec::with_capacity(bytes);
                several.iter().for_each(|batch| lines.extend_from_slice(&batch.lines));
                Bytes::from(lines)
            }
        };
        Unit { batches, request: Request { lines, points } }
    }

    /// Writes one request until every part of it is settled; none if it is held.
    fn write(&mut self, request: &Request) -> Option<Settlement> {
        let (mut parts, mut settlement) = (vec![request.clone()], Settlement::default());
        let mut held = false;
        while let Some(part) = parts.pop() {
            let mut attempt = 0;
            loop {
                let outcome = self.attempt(&part);
                match self.step(&outcome, attempt, part.points) {
                    Step::Settled { written, rejected } => {
                        self.count(written, &rejected, &outcome, &mut settlement);
                    }
                    Step::Held => held = true,
                    Step::Split => match split(&part) {
                        Some((first, second)) => parts.extend([second, first]),
                        // A request of several points in one line cannot be: it is the line that is bad.
                        None => {
                            let bad = [(RejectReason::BadLine, part.points)];
                            self.count(0, &bad, &outcome, &mut settlement);
                        }
                    },
                    Step::Wait { ms, .. } => {
                        if self.wait(ms) {
                            let left: u64 = parts.iter().map(|part| part.points).sum();
                            settlement.shutdown += part.points + left;
                            return Some(settlement);
                        }
                        attempt = attempt.saturating_add(1);
                        self.counters.retries += 1;
                        continue;
                    }
                }
                break;
            }
        }
        (!held).then_some(settlement)
    }

    fn attempt(&mut self, request: &Request) -> Outcome {
        let before = self.clock.mono();
        let outcome = self.sink.write(request);
        self.counters.requests += 1;
        let took = self.clock.mono().since(before);
        self.latencies.write.histogram.saturating_record(took);
        outcome
    }

    /// The retry rule's answer, with what it means for whoever watches.
    fn step(&mut self, outcome: &Outcome, attempt: u32, points: u64) -> Step {
        // xorshift64: any spread will do.
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        let step = next_step(outcome, attempt, points, self.dice);
        let trouble = match outcome {
            Outcome::NotSent(fault) | Outcome::InDoubt(fault) | Outcome::Split(fault) => {
                Some(format!("{}: {}", fault.kind.name(), fault.detail))
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
                let detail = detail(outcome);
                let name = &self.spec.name;
                tracing::warn!(suppressed, "{name}: {points} points refused ({}): {detail}", reason.name());
            }
        }
    }

    /// Counts what became of the points of these units and gives their batches back. Only here are points settled.
    fn settle(&mut self, units: Vec<Unit>, settlement: &Settlement) {
        self.counters.written += settlement.written;
        self.counters.rejected.iter_mut().zip(settlement.rejected).for_each(|(to, new)| *to += new);
        self.counters.shutdown += settlement.shutdown;
        let acked = self.clock.wall().0;
        for Unit { batches, request } in units {
            self.counters.bytes += request.lines.len() as u64;
            // The request reads the batch: it must go first, or the batch would not come back.
            drop(request);
            for batch in batches {
                self.counters.settled += batch.points;
                // Where nothing was stored there is nothing that was acknowledged.
                for mark in batch.marks.iter().filter(|_| settlement.written > 0) {
                    if mark.sent != 0 {
                        self.latencies.publish_to_ack.record(mark.sent, acked, 1);
                    }
                    if mark.due != 0 {
                        self.latencies.due_to_ack.record(mark.due, acked, 1);
                    }
                }
                self.spec.pool.give(batch);
            }
        }
    }

    fn commit_due(&self, now: MonoNanos) -> bool {
        let Some(limits) = self.spec.hold else { return !self.held.is_empty() };
        !self.held.is_empty()
            && (self.held_bytes >= limits.bytes_max || now.since(self.held_since) >= limits.age_max_ns)
    }

    /// Makes durable what is held, however often it has to be written again for that.
    fn commit(&mut self) {
        let points = self.held.iter().map(|unit| unit.request.points).sum();
        let (mut attempt, mut settlement) = (0, Settlement::default());
        while !self.held.is_empty() {
            let outcome = self.sink.commit();
            match self.step(&outcome, attempt, points) {
                Step::Settled { written, rejected } => {
                    self.count(written, &rejected, &outcome, &mut settlement);
                    break;
                }
                Step::Held | Step::Split => {
                    self.stop.fail(format!("{}: a commit must settle, found {outcome:?}", self.spec.name));
                    settlement.shutdown = points;
                    break;
                }
                Step::Wait { ms, .. } => {
                    attempt = attempt.saturating_add(1);
                    self.counters.retries += 1;
                    if self.wait(ms) || !self.write_held_again() {
                        settlement.shutdown = points;
                        break;
                    }
                }
            }
        }
        let held = std::mem::take(&mut self.held);
        self.settle(held, &settlement);
        self.held_bytes = 0;
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

    fn close(&mut self) {
        if let Outcome::NotSent(fault) | Outcome::InDoubt(fault) = self.sink.close() {
            self.stop.fail(format!("{}: closing failed: {}", self.spec.name, fault.detail));
        }
    }

    /// Waits before the next try, in public; true if the run was aborted.
    fn wait(&mut self, ms: u64) -> bool {
        self.publish(self.clock.mono());
        self.stop.wait(Duration::from_millis(ms))
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

/// The server's own words.
fn detail(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Stored { detail, .. } => detail.as_deref().unwrap_or("no reason given"),
        Outcome::Split(fault) | Outcome::NotSent(fault) | Outcome::InDoubt(fault) => &fault.detail,
        Outcome::Held => "held",
    }
}

/// A batch read in place by a request.
struct Lines(Arc<Batch>);

impl AsRef<[u8]> for Lines {
    fn as_ref(&self) -> &[u8] {
        &self.0.lines
    }
}

#[cfg(test)]
mod tests;
