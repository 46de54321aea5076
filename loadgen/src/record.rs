//! Records what comes over ZeroMQ into a capture, as it comes.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tickline_feeds::capture::{self, Record};
use tickline_feeds::clock::Clock;
use tickline_feeds::socket::{self, KERNEL_BUFFER_BYTES};

use crate::result::LoadError;

/// Longest wait for a message, ms: then a stop is seen and what there is goes to the file.
const WAIT_MS: i32 = 100;

/// Bytes that are written at once.
const CHUNK_BYTES: usize = 1 << 20;

/// What to record.
#[derive(Clone, Debug)]
pub struct RecordPlan {
    /// Endpoints to connect to.
    pub endpoints: Vec<String>,
    /// Topics; none: all. ZeroMQ compares their beginning, as everywhere.
    pub topics: Vec<String>,
    /// The capture.
    pub file: PathBuf,
    /// How long; none: until stopped.
    pub duration: Option<Duration>,
    /// Messages that may wait for being recorded.
    pub rcvhwm: i32,
}

/// What was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Messages in the capture.
    pub frames: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Messages of one part without a space, which are no frames.
    pub malformed: u64,
    /// How long, ns.
    pub elapsed_ns: u64,
}

/// Records until time is up or `stop` is set.
pub fn record(plan: &RecordPlan, clock: &impl Clock, stop: &AtomicBool) -> Result<Recorded, LoadError> {
    let broken = |error| LoadError::File { path: plan.file.display().to_string(), error };
    let context = zmq::Context::new();
    let socket = socket::subscriber(&context, plan.rcvhwm, KERNEL_BUFFER_BYTES)?;
    socket.set_rcvtimeo(WAIT_MS)?;
    let all = [String::new()];
    for topic in if plan.topics.is_empty() { &all[..] } else { &plan.topics } {
        socket.set_subscribe(topic.as_bytes())?;
    }
    let mut file = File::create(&plan.file).map_err(broken)?;
    for endpoint in &plan.endpoints {
        socket.connect(endpoint)?;
    }
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    capture::begin(&mut chunk);
    let mut recorded = Recorded::default();
    let start = clock.mono();
    let in_time = |elapsed_ns: u64| plan.duration.is_none_or(|d| u128::from(elapsed_ns) < d.as_nanos());
    while in_time(recorded.elapsed_ns) && !stop.load(Ordering::Relaxed) {
        match socket.recv_multipart(0) {
            Ok(parts) => take(&parts, clock, &mut chunk, &mut recorded)?,
            Err(zmq::Error::EAGAIN) => {
                file.write_all(&chunk).map_err(broken)?;
                chunk.clear();
            }
            Err(zmq::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        if chunk.len() >= CHUNK_BYTES {
            file.write_all(&chunk).map_err(broken)?;
            chunk.clear();
        }
        recorded.elapsed_ns = clock.mono().since(start);
    }
    file.write_all(&chunk).map_err(broken)?;
    file.sync_all().map_err(broken)?;
    Ok(recorded)
}

/// Two parts are topic and payload; one part is both with a space between.
fn take(
    parts: &[Vec<u8>],
    clock: &impl Clock,
    chunk: &mut Vec<u8>,
    recorded: &mut Recorded,
) -> Result<(), LoadError> {
    let (topic, payload) = match parts {
        [topic, payload, ..] => (topic.as_slice(), payload.as_slice()),
        [one] => match one.iter().position(|byte| *byte == b' ') {
            Some(at) => (&one[..at], &one[at + 1..]),
            None => return Ok(recorded.malformed += 1),
        },
        [] => return Ok(recorded.malformed += 1),
    };
    let frame = Record { recv: clock.wall(), topic, payload };
    capture::append(chunk, &frame).map_err(|error| LoadError::Internal(error.to_string()))?;
    recorded.frames += 1;
    recorded.bytes += payload.len() as u64;
    Ok(())
}
