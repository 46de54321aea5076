//! The quarantine: frames that could not be decoded, kept on disk for whoever asks why. Encoders hand them
//! over without waiting; the control thread writes them, in the capture format, up to a limit. What does not
//! fit is only counted.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tickline_feeds::capture::{self, Record};
use tickline_feeds::clock::WallNanos;
use tickline_feeds::counts::Undecodable;
use tickline_feeds::frame::Frame;

/// Undecodable frames that may wait for the control thread.
pub const SUSPECTS_MAX: usize = 64;

/// An undecodable frame on its way to disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Feed it belongs to.
    pub feed: u16,
    /// When it was received, ns.
    pub recv_ns: i64,
    /// Why it could not be decoded.
    pub reason: Undecodable,
    /// Topic as sent.
    pub topic: Arc<[u8]>,
    /// Payload, cut if it was too large.
    pub payload: Vec<u8>,
}

impl Suspect {
    /// A copy of the frame.
    pub fn new(frame: &Frame<'_>, reason: Undecodable) -> Self {
        Self {
            feed: frame.feed,
            recv_ns: frame.recv.0,
            reason,
            topic: frame.topic.into(),
            payload: frame.payload.to_vec(),
        }
    }
}

/// The quarantine file of an engine, opened when the first frame goes there.
#[derive(Debug)]
pub struct Quarantine {
    path: PathBuf,
    bytes_max: u64,
    open: Option<(File, u64)>,
    record: Vec<u8>,
    /// Frames that did not fit.
    pub left_out: u64,
}

impl Quarantine {
    /// The quarantine of a state folder.
    pub fn in_dir(dir: &Path, bytes_max: u64) -> Self {
        Self { path: dir.join("quarantine.cap"), bytes_max, open: None, record: Vec::new(), left_out: 0 }
    }

    /// Appends one frame, or counts it if there is no room.
    pub fn keep(&mut self, suspect: &Suspect) -> io::Result<()> {
        self.record.clear();
        let record =
            Record { recv: WallNanos(suspect.recv_ns), topic: &suspect.topic, payload: &suspect.payload };
        if capture::append(&mut self.record, &record).is_err() {
            self.left_out += 1;
            return Ok(());
        }
        if self.open.is_none() {
            self.open = Some(open(&self.path)?);
        }
        let Some((file, bytes)) = &mut self.open else { return Ok(()) };
        if *bytes + self.record.len() as u64 > self.bytes_max {
            self.left_out += 1;
            return Ok(());
        }
        *bytes += self.record.len() as u64;
        file.write_all(&self.record)
    }
}

/// Opens the file behind its last whole record.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let mut bytes = file.metadata()?.len();
    if bytes == 0 {
        let mut head = Vec::new();
        capture::begin(&mut head);
        file.write_all(&head)?;
        bytes = head.len() as u64;
        return Ok((file, bytes));
    }
    let mut reader = capture::Reader::new(io::BufReader::new(File::open(path)?)).map_err(io::Error::other)?;
    while reader.next_record().map_err(io::Error::other)?.is_some() {}
    bytes -= reader.left();
    // Behind a torn record nothing could be read again.
    file.set_len(bytes)?;
    Ok((file, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspect(payload: &[u8]) -> Suspect {
        let topic = Arc::from(&b"t"[..]);
        Suspect { feed: 0, recv_ns: 5, reason: Undecodable::Truncated, topic, payload: payload.to_vec() }
    }

    fn payloads(path: &Path) -> Vec<Vec<u8>> {
        let mut reader = capture::Reader::new(File::open(path).unwrap()).unwrap();
        let mut all = Vec::new();
        while let Some(record) = reader.next_record().unwrap() {
            all.push(record.payload.to_vec());
        }
        all
    }

    #[test]
    fn undecodable_frames_are_kept_up_to_the_limit_and_behind_a_torn_tail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("quarantine.cap");
        let mut first = Quarantine::in_dir(dir.path(), 100);
        first.keep(&suspect(b"one")).unwrap();
        first.keep(&suspect(&[7; 100])).unwrap();
        assert_eq!(first.left_out, 1);
        drop(first);
        let mut torn = OpenOptions::new().append(true).open(&path).unwrap();
        torn.write_all(&[1, 2, 3]).unwrap();
        let mut second = Quarantine::in_dir(dir.path(), 100);
        second.keep(&suspect(b"two")).unwrap();
        assert_eq!(payloads(&path), [b"one".to_vec(), b"two".to_vec()]);
    }
}
