//! Names and places of files. A file is born hidden (`.part-….parquet.tmp`), where no reader's glob finds it,
//! and gets its name when it is whole. Names are `part-<instance>-<sink>-<start>-<number>` and never used twice.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::disk::{Disk, DiskFile};

const DAY_SECONDS: i64 = 86_400;
/// Longest escaped measurement; file systems take 255.
const NAME_BYTES_MAX: usize = 200;

/// The folder of one sink.
pub(super) struct Folder {
    disk: Box<dyn Disk>,
    dir: PathBuf,
    /// `part-<instance>-<sink>`
    owner: String,
    started_ns: i64,
    number: u64,
    /// Held as long as this process lives, so that a second one leaves our hidden files alone.
    _lock: File,
}

/// A file on its way.
#[derive(Debug)]
pub(super) struct Hidden {
    dir: PathBuf,
    temp: PathBuf,
    target: PathBuf,
    named: bool,
}

impl std::fmt::Debug for Folder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Folder").field("dir", &self.dir).field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl Folder {
    pub(super) fn open(
        disk: Box<dyn Disk>,
        dir: PathBuf,
        instance: &str,
        sink: &str,
        started_ns: i64,
    ) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        // Only the last part has its hyphens escaped: that is enough to keep `a` + `b-c` from `a-b` + `c`.
        let owner = format!("part-{}-{}", escape(instance), escape(sink).replace('-', "%2D"));
        let lock = File::options().append(true).create(true).open(dir.join(format!(".{owner}.lock")))?;
        match lock.try_lock() {
            Ok(()) => remove_leftovers(&dir, &owner)?,
            Err(TryLockError::WouldBlock) => {} // a twin is alive: its hidden files are no leftovers
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(Self { disk, dir, owner, started_ns, number: 0, _lock: lock })
    }

    /// Whether a measurement can name a folder.
    pub(super) fn can_name(measurement: &str) -> bool {
        measurement.len() <= NAME_BYTES_MAX / 3 || escape(measurement).len() <= NAME_BYTES_MAX
    }

    /// A new hidden file for a measurement's points of one day since 1970.
    pub(super) fn create(&mut self, measurement: &str, day: i64) -> io::Result<(Hidden, Box<dyn DiskFile>)> {
        let date = Timestamp::from_second(day * DAY_SECONDS).map_err(io::Error::other)?;
        let date = date.to_zoned(TimeZone::UTC).date();
        let dir = self.dir.join(escape(measurement)).join(format!("date={date}"));
        self.disk.create_dir(&dir)?;
        loop {
            self.number += 1;
            let name = format!("{}-{}-{}.parquet", self.owner, self.started_ns, self.number);
            let (temp, target) = (dir.join(format!(".{name}.tmp")), dir.join(name));
            if target.exists() {
                continue; // a clock that starts anew at each boot gives the same start twice
            }
            match self.disk.create(&temp) {
                Ok(file) => return Ok((Hidden { dir, temp, target, named: false }, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives all files their names and makes the names durable.
    pub(super) fn publish(&self, files: &mut [Hidden]) -> io::Result<()> {
        let mut dirs = BTreeSet::new();
        for file in files {
            self.disk.rename(&file.temp, &file.target)?;
            file.named = true;
            // The folder may be new itself, and so may the measurement's.
            dirs.extend(file.dir.ancestors().take(3).map(Path::to_owned));
        }
        dirs.iter().try_for_each(|dir| self.disk.sync_dir(dir))
    }

    /// Removes a file whatever its state. One that cannot be removed stays: hidden until the next start, or
    /// as a copy of points that are written again, which a Parquet folder allows (at least once).
    pub(super) fn remove(&self, file: &Hidden) {
        let path = if file.named { &file.target } else { &file.temp };
        self.disk.remove(path).ok();
    }
}

fn remove_leftovers(dir: &Path, owner: &str) -> io::Result<()> {
    let folders = |dir: &Path| -> io::Result<Vec<PathBuf>> {
        let paths =
            fs::read_dir(dir)?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
        Ok(paths.into_iter().filter(|path| path.is_dir()).collect())
    };
    for measurement in folders(dir)? {
        for day in folders(&measurement)? {
            for entry in fs::read_dir(&day)? {
                let entry = entry?;
                if entry.file_name().to_str().is_some_and(|name| is_hidden_of(name, owner)) {
                    fs::remove_file(entry.path())?;
                }
            }
        }
    }
    Ok(())
}

/// `.<owner>-<start>-<number>.parquet.tmp`; a start before 1970 has a hyphen of its own.
fn is_hidden_of(name: &str, owner: &str) -> bool {
    let inner = name.strip_prefix('.').and_then(|n| n.strip_suffix(".parquet.tmp"));
    let stamp = inner.and_then(|n| n.strip_prefix(owner)).and_then(|n| n.strip_prefix('-'));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    stamp
        .and_then(|s| s.strip_prefix('-').unwrap_or(s).split_once('-'))
        .is_some_and(|(a, b)| digits(a) && digits(b))
}

/// A name of letters, digits, `_` and `-`; all else as `%` and two hexadecimal digits.
fn escape(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_never_leaves_its_folder() {
        assert_eq!(escape("kraken_tick"), "kraken_tick");
        assert_eq!(escape("../a b"), "%2E%2E%2Fa%20b");
        assert_eq!(escape("é"), "%C3%A9");
        assert!(Folder::can_name("kraken_tick") && !Folder::can_name(&"é".repeat(40)));
    }

    #[test]
    fn only_hidden_files_of_the_same_owner_are_leftovers() {
        let table = [
            (".part-a-files-17-1.parquet.tmp", true),
            (".part-a-files--17-1.parquet.tmp", true),
            (".part-a-b-files-17-1.parquet.tmp", false),
            (".part-a-files-2-17-1.parquet.tmp", false),
            (".part-a-files2-17-1.parquet.tmp", false),
            ("part-a-files-17-1.parquet", false),
            (".part-a-files-17-1.parquet", false),
            (".part-a-files-17.parquet.tmp", false),
        ];
        for (name, expected) in table {
            assert_eq!(is_hidden_of(name, "part-a-files"), expected, "{name}");
        }
    }
}
