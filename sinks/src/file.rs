//! Line protocol appended to one file. It promises that the file ends with a whole batch after every write,
//! also after a full disk. Accepted means handed to the operating system, and a power cut may take the last seconds,
//! unless the sink's durability is a journal: then each request is synced, since its journal lets go what is
//! accepted. One process writes a file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use tickline_config::model::{self, Durability};

use crate::disk::{DiskFile, fault};
use crate::open::OpenError;
use crate::sink::{Outcome, Request, Sink};

/// Appends requests to a file.
pub struct FileSink {
    file: Box<dyn DiskFile>,
    /// Where the last whole batch ends.
    end: u64,
    /// A write failed and what it left behind could not be cut off yet.
    torn: bool,
    /// Sync each request.
    synced: bool,
}

impl std::fmt::Debug for FileSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSink").field("end", &self.end).field("torn", &self.torn).finish_non_exhaustive()
    }
}

impl FileSink {
    /// Opens or creates the file, locks it, and cuts off half a line that a crash may have left at its end.
    pub fn open(name: &str, file: &model::File, durability: Durability) -> Result<Self, OpenError> {
        let (file, end) = open(&file.path).map_err(|source| OpenError::Io {
            sink: name.to_owned(),
            key: "path",
            path: file.path.display().to_string(),
            source,
        })?;
        let synced = matches!(durability, Durability::Journal | Durability::JournalSync);
        Ok(Self { file: Box::new(file), end, torn: false, synced })
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.truncate(self.end)?;
            self.torn = false;
        }
        let sync = |file: &mut Box<dyn DiskFile>| if self.synced { file.sync() } else { Ok(()) };
        if let Err(error) = self.file.write_all(lines).and_then(|()| sync(&mut self.file)) {
            self.torn = self.file.truncate(self.end).is_err();
            return Err(error);
        }
        self.end += lines.len() as u64;
        Ok(())
    }
}

impl Sink for FileSink {
    fn write(&mut self, request: &Request) -> Outcome {
        match self.append(&request.lines) {
            Ok(()) => Outcome::accepted(),
            Err(error) => Outcome::NotSent(fault("append", &error)),
        }
    }

    fn close(&mut self) -> Outcome {
        match self.file.sync() {
            Ok(()) => Outcome::accepted(),
            Err(error) => Outcome::NotSent(fault("sync", &error)),
        }
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => io::Error::other("another process writes this file"),
        TryLockError::Error(error) => error,
    })?;
    let end = end_of_last_line(&mut file)?;
    file.set_len(end)?;
    Ok((file, end))
}

/// Reads backwards to the last newline.
fn end_of_last_line(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    let mut block = vec![0; 64 * 1024];
    while end > 0 {
        let len = end.min(block.len() as u64);
        file.seek(SeekFrom::Start(end - len))?;
        let Some(part) = block.get_mut(..len as usize) else { break };
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|b| *b == b'\n') {
            return Ok(end - len + at as u64 + 1);
        }
        end -= len;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::faulty::{FaultyDisk, FaultyFile};
    use bytes::Bytes;
    use std::fs;

    fn request(lines: &'static str) -> Request {
        Request { lines: Bytes::from_static(lines.as_bytes()), points: lines.lines().count() as u64 }
    }

    fn sink(path: &Path) -> Result<FileSink, OpenError> {
        FileSink::open("lines", &model::File { path: path.to_owned() }, Durability::Spill)
    }

    #[test]
    fn half_a_line_left_by_a_crash_is_cut_off_and_writing_goes_on_after_the_last_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/ticks.lp");
        let mut first = sink(&path).unwrap();
        assert_eq!(first.write(&request("m v=1 1\nm v=2 2\n")), Outcome::accepted());
        assert_eq!(first.close(), Outcome::accepted());
        drop(first);
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("m v=3");
        fs::write(&path, text).unwrap();
        assert_eq!(sink(&path).unwrap().write(&request("m v=4 4\n")), Outcome::accepted());
        assert_eq!(fs::read_to_string(&path).unwrap(), "m v=1 1\nm v=2 2\nm v=4 4\n");
    }

    #[test]
    fn a_short_write_leaves_whole_batches_wherever_it_happens() {
        for fails_at in 1..=6 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("ticks.lp");
            let (file, end) = open(&path).unwrap();
            let disk = FaultyDisk::new(fails_at);
            let file = Box::new(FaultyFile { file: Box::new(file), disk: disk.clone() });
            let mut sink = FileSink { file, end, torn: false, synced: true };
            let mut expected = String::new();
            for lines in ["a v=1 1\n", "b v=2 2\nb v=2 3\n", "c v=3 4\n"] {
                let mut outcome = sink.write(&request(lines));
                if outcome != Outcome::accepted() {
                    assert!(matches!(&outcome, Outcome::NotSent(_)), "{outcome:?}");
                    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
                    outcome = sink.write(&request(lines));
                }
                assert_eq!(outcome, Outcome::accepted());
                expected.push_str(lines);
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), expected, "failed at {fails_at}");
        }
    }

    #[test]
    fn a_second_writer_and_a_folder_are_refused_with_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ticks.lp");
        let _writer = sink(&path).unwrap();
        let text = sink(&path).unwrap_err().to_string();
        assert!(text.contains("sinks.lines.path") && text.contains("another process"), "{text}");
        assert!(sink(dir.path()).is_err());
    }
}
