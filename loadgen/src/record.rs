//! Records what comes over ZeroMQ into a capture, as it comes.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tickline_feeds::capture::{self, Record};
use tickline_feeds::clock::Clock;
use tickline_feeds::curve::KeyPair;
use tickline_feeds::socket::{self, KERNEL_BUFFER_BYTES};

use crate::result::LoadError;

/// Longest wait for a message, ms, so that a stop is seen.
const WAIT_MS: i32 = 100;

/// Oldest bytes that are not in the file yet.
const WRITE_EVERY_NS: u64 = 500_000_000;

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
    /// Our keys and the publishers' public key; none: in plain text.
    pub curve: Option<(KeyPair, String)>,
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
    if let Some((own, server)) = &plan.curve {
        own.connect_to(&socket, server).map_err(crate::door::DoorError::from)?;
    }
    let mut file = File::create(&plan.file).map_err(broken)?;
    for endpoint in &plan.endpoints {
        socket.connect(endpoint)?;
    }
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    capture::begin(&mut chunk);
    let mut recorded = Recorded::default();
    let start = clock.mono();
    let mut written_ns = 0;
    let in_time = |elapsed_ns: u64| plan.duration.is_none_or(|d| u128::from(elapsed_ns) < d.as_nanos());
    while in_time(recorded.elapsed_ns) && !stop.load(Ordering::Relaxed) {
        match socket.recv_multipart(0) {
            Ok(parts) => take(&parts, clock, &mut chunk, &mut recorded)?,
            Err(zmq::Error::EAGAIN | zmq::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        recorded.elapsed_ns = clock.mono().since(start);
        if chunk.len() >= CHUNK_BYTES || recorded.elapsed_ns - written_ns >= WRITE_EVERY_NS {
            file.write_all(&chunk).map_err(broken)?;
            chunk.clear();
            written_ns = recorded.elapsed_ns;
        }
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
    let frame = match parts {
        [topic, payload, ..] => Some((topic.as_slice(), payload.as_slice())),
        [one] => one.iter().position(|byte| *byte == b' ').map(|at| (&one[..at], &one[at + 1..])),
        [] => None,
    };
    let Some((topic, payload)) = frame else {
        recorded.malformed += 1;
        return Ok(());
    };
    let frame = Record { recv: clock.wall(), topic, payload };
    capture::append(chunk, &frame).map_err(|error| LoadError::Internal(error.to_string()))?;
    recorded.frames += 1;
    recorded.bytes += payload.len() as u64;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tickline_feeds::payload::reserved;

    use super::*;
    use crate::clock::OsClock;
    use crate::plan::{FeedLoad, LoadPlan, Rate};
    use crate::run;
    use crate::spawn::spawn;

    #[test]
    fn what_is_published_is_recorded_with_its_end() {
        let load = FeedLoad {
            endpoint: "tcp://127.0.0.1:*".to_owned(),
            ..FeedLoad::new("kraken_tick", "", Rate::PerSecond(10_000.0)).unwrap()
        };
        let load =
            LoadPlan { feeds: vec![load], duration: Some(Duration::from_millis(20)), ..LoadPlan::default() };
        let running = run::start(load, OsClock::start()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let plan = RecordPlan {
            endpoints: running.endpoints().map(|(_, endpoint)| endpoint.to_owned()).collect(),
            topics: vec!["kraken".to_owned()],
            file: file.path().to_owned(),
            duration: None,
            rcvhwm: 1_000,
            curve: None,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let recorder = {
            let stop = Arc::clone(&stop);
            spawn("record".to_owned(), Arc::clone(&stop), move || record(&plan, &OsClock::start(), &stop))
                .unwrap()
        };
        running.finish().unwrap();
        let has_end = || std::fs::read(file.path()).unwrap().windows(5).any(|bytes| bytes == b"\xa4_end");
        while !has_end() && !recorder.is_finished() {
            std::thread::park_timeout(Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
        let recorded = recorder.join().unwrap().unwrap();
        assert_eq!((recorded.frames, recorded.malformed), (201, 0));
        let bytes = std::fs::read(file.path()).unwrap();
        let mut reader = capture::Reader::new(bytes.as_slice()).unwrap();
        for seq in 1..=200 {
            let record = reader.next_record().unwrap().unwrap();
            let (ours, _) = reserved(record.payload).unwrap();
            assert_eq!((record.topic, ours.seq), (b"kraken_tick".as_slice(), seq));
            assert!(ours.times.sent <= record.recv);
        }
        assert!(reader.next_record().unwrap().is_some());
        assert!(reader.next_record().unwrap().is_none());
        assert_eq!(reader.left(), 0);
    }

    #[test]
    fn one_part_is_split_at_its_first_space() {
        let mut recorded = Recorded::default();
        let mut chunk = Vec::new();
        capture::begin(&mut chunk);
        for parts in [
            vec![b"t a b".to_vec()],
            vec![b"none".to_vec()],
            vec![b"u".to_vec(), b"c".to_vec(), b"d".to_vec()],
        ] {
            take(&parts, &OsClock::start(), &mut chunk, &mut recorded).unwrap();
        }
        assert_eq!((recorded.frames, recorded.bytes, recorded.malformed), (2, 4, 1));
        let mut reader = capture::Reader::new(chunk.as_slice()).unwrap();
        let record = reader.next_record().unwrap().unwrap();
        assert_eq!((record.topic, record.payload), (b"t".as_slice(), b"a b".as_slice()));
        let record = reader.next_record().unwrap().unwrap();
        assert_eq!((record.topic, record.payload), (b"u".as_slice(), b"c".as_slice()));
    }
}
