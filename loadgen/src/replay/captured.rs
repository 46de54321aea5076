//! Our own captures. A message of ours gets this publisher's source and number, and keeps its `_tie` and `_recv`;
//! a heartbeat or an end of the recorded publisher, and messages of other topics, are left out; anything else is
//! sent as it was recorded.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use tickline_feeds::capture::{self, CaptureError};
use tickline_feeds::payload::{RESERVED_BYTES, reserved};

use super::{Form, Message, Reader, ReplayError, damaged};

pub(super) struct Captured<R> {
    path: PathBuf,
    records: capture::Reader<R>,
    /// Topics to publish; none: all.
    topics: Option<Vec<&'static str>>,
    record: u64,
    left_out: u64,
}

impl<R: BufRead> Captured<R> {
    pub(super) fn open(
        path: &Path,
        bytes: R,
        topics: Option<Vec<&'static str>>,
    ) -> Result<Self, ReplayError> {
        let records = capture::Reader::new(bytes).map_err(|error| damaged(path, 0, error))?;
        Ok(Self { path: path.to_owned(), records, topics, record: 0, left_out: 0 })
    }
}

/// The map without its reserved keys, as a map of its own.
fn without_reserved(payload: &[u8], keys: u16) -> Vec<u8> {
    let mut map = vec![0xde];
    map.extend_from_slice(&keys.to_be_bytes());
    map.extend_from_slice(payload.get(RESERVED_BYTES..).unwrap_or_default());
    map
}

fn is_control(payload: &[u8]) -> bool {
    payload.starts_with(b"\x84\xa3_hb\xc3") || payload.starts_with(b"\x84\xa4_end\xc3")
}

impl<R: BufRead + Send> Reader for Captured<R> {
    fn next(&mut self) -> Result<Option<Message>, ReplayError> {
        loop {
            let broken = |error: CaptureError| damaged(&self.path, self.record, error);
            let Some(record) = self.records.next_record().map_err(broken)? else { return Ok(None) };
            self.record += 1;
            let wanted = |topics: &Vec<&str>| topics.iter().any(|topic| topic.as_bytes() == record.topic);
            if is_control(record.payload) || !self.topics.as_ref().is_none_or(wanted) {
                self.left_out += 1;
                continue;
            }
            let message = Message { at: Some(record.recv), ..Message::default() };
            return Ok(Some(match reserved(record.payload) {
                Some((ours, keys)) => Message {
                    payload: without_reserved(record.payload, keys),
                    tie: ours.tie,
                    recv: ours.times.recv,
                    ..message
                },
                None => Message { payload: record.payload.to_vec(), form: Form::Foreign, ..message },
            }));
        }
    }

    fn passed_over(&self) -> (u64, u64) {
        (self.left_out, self.records.left())
    }
}
