//! Which batches go into the next request: those that have just come before those that have waited on disk, and
//! as many as a request may have.

use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use tickline_sinks::batch::Batch;
use tickline_sinks::sink::Request;

use super::{Writer, WriterSpec};
use crate::queue::Job;
use crate::stop::LOOK_EVERY;

/// Batches that went into one request.
pub(super) struct Unit {
    pub(super) jobs: Vec<Job>,
    pub(super) request: Request,
}

/// A batch read in place by a request.
struct Lines(Arc<Batch>);

impl AsRef<[u8]> for Lines {
    fn as_ref(&self) -> &[u8] {
        &self.0.lines
    }
}

impl Writer {
    /// The next job and where it comes from: fresh ones first.
    pub(super) fn next(&mut self) -> Result<(Job, Receiver<Job>), RecvTimeoutError> {
        let WriterSpec { fresh, backlog, .. } = &self.spec;
        if let Some(job) = self.carry.take() {
            return Ok((job, fresh.clone()));
        }
        let from = |from: &Receiver<Job>| from.try_recv().map(|job| (job, from.clone()));
        match from(fresh) {
            Ok(job) => return Ok(job),
            // Both end together: what is left of the backlog is still taken.
            Err(TryRecvError::Disconnected) => {
                return from(backlog).map_err(|_| RecvTimeoutError::Disconnected);
            }
            Err(TryRecvError::Empty) => {}
        }
        crossbeam_channel::select! {
            recv(fresh) -> job => job.map(|job| (job, fresh.clone())).map_err(|_| RecvTimeoutError::Timeout),
            recv(backlog) -> job => job.map(|job| (job, backlog.clone())).map_err(|_| RecvTimeoutError::Timeout),
            default(LOOK_EVERY) => Err(RecvTimeoutError::Timeout),
        }
    }

    /// One request out of a batch and those that wait behind it. A single batch is sent without a copy.
    pub(super) fn join(&mut self, first: Job, from: &Receiver<Job>) -> Unit {
        let (mut bytes, mut jobs) = (first.batch.lines.len(), vec![first]);
        while bytes < self.spec.request_bytes_max {
            let Ok(next) = from.try_recv() else { break };
            if bytes + next.batch.lines.len() > self.spec.request_bytes_max {
                self.carry = Some(next);
                break;
            }
            bytes += next.batch.lines.len();
            jobs.push(next);
        }
        let points = jobs.iter().map(|job| job.batch.points).sum();
        let lines = match jobs.as_slice() {
            [one] => Bytes::from_owner(Lines(Arc::clone(&one.batch))),
            several => {
                let mut lines = Vec::with_capacity(bytes);
                several.iter().for_each(|job| lines.extend_from_slice(&job.batch.lines));
                Bytes::from(lines)
            }
        };
        Unit { jobs, request: Request { lines, points } }
    }
}
