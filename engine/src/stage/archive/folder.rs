//! The folder of an archive: which files are there, how much they take, and which goes when there is no room.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crossbeam_channel::Sender;
use tickline_config::model::Archive;
use tickline_feeds::clock::WallNanos;
use tickline_sinks::spool::store::{LocalStore, Store};

use super::file::{ArchiveFile, is_compressed, part, reader, repair};
use super::manifest::Manifest;

/// Space is asked for this often, in chunks.
const ASK_EVERY: u32 = 16;

/// The folder, which serves one process.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    bytes_max: u64,
    free_bytes_min: u64,
    compress: bool,
    /// Bytes of the finished files.
    bytes: u64,
    /// Those files, oldest first.
    files: Vec<(PathBuf, u64)>,
    instance: String,
    asked: u32,
    /// Files that a kill has left unfinished.
    torn: Vec<PathBuf>,
    _lock: File,
}

/// A time for a file name: sorted by name is sorted by time.
pub fn stamp(time: WallNanos) -> String {
    let text = tickline_feeds::payload::rfc3339(time, 9);
    text.chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

/// Every finished capture of a folder, oldest first.
pub fn captures(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".cap") || name.ends_with(".cap.zst") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The first manifest of a folder whose file is not there.
pub fn without_file(dir: &Path) -> io::Result<Option<PathBuf>> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let of = name.strip_suffix(".json").filter(|of| of.ends_with(".cap") || of.ends_with(".cap.zst"));
        if of.is_some_and(|of| !dir.join(of).exists()) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Removes the oldest files of a folder whose names begin with `start`, but for the newest `keep`.
pub(super) fn keep_newest(dir: &Path, start: &str, keep: usize) {
    let all = captures(dir).unwrap_or_default().into_iter();
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start));
    let all: Vec<PathBuf> = all.filter(named).collect();
    for old in all.iter().take(all.len().saturating_sub(keep)) {
        std::fs::remove_file(old).ok();
    }
}

/// Reads a capture, compressed if its name says so.
pub fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    reader(BufReader::with_capacity(1 << 20, File::open(path)?), is_compressed(path))
}

impl Folder {
    /// Opens it, which makes it if it is missing.
    pub(super) fn open(dir: &Path, instance: &str, config: &Archive) -> io::Result<Self> {
        let lock = LocalStore::new(dir)?.lock()?;
        let mut torn = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "part") {
                torn.push(path);
            }
        }
        let mut files = Vec::new();
        for path in captures(dir)? {
            let bytes = path.metadata()?.len();
            files.push((path, bytes));
        }
        Ok(Self {
            dir: dir.to_owned(),
            bytes_max: config.bytes_max,
            free_bytes_min: config.free_bytes_min,
            compress: config.compress,
            bytes: files.iter().map(|(_, bytes)| bytes).sum(),
            files,
            instance: instance.to_owned(),
            asked: 0,
            torn,
            _lock: lock,
        })
    }

    /// Whether there are such files.
    pub(super) fn has_torn(&self) -> bool {
        !self.torn.is_empty()
    }

    /// What closes the files that a kill has left unfinished, one after the other, and gives each to `closed`. It may take
    /// as long as reading them does.
    pub(super) fn repairs(&mut self, closed: Sender<(PathBuf, u64)>) -> impl FnOnce() + Send + 'static {
        let (torn, instance) = (std::mem::take(&mut self.torn), self.instance.clone());
        move || {
            for path in torn {
                match repair(&path, &instance) {
                    Ok((file, left_out)) => {
                        tracing::warn!(
                            "archive: {} was left unfinished by a kill and is closed, {left_out} bytes of its end left out",
                            path.display()
                        );
                        // Whoever would hear it has gone: the next start sees the file.
                        file.map(|file| closed.send(file));
                    }
                    Err(error) => tracing::error!("archive: {}: {error}; it stays as it is", path.display()),
                }
            }
        }
    }

    /// Begins a file whose first frame was received at `recv`.
    pub(super) fn begin(&self, recv: WallNanos, period: i64) -> ArchiveFile {
        let ending = if self.compress { "cap.zst" } else { "cap" };
        let mut at = recv;
        loop {
            let path = self.dir.join(format!("{}-{}.{ending}", stamp(at), self.instance));
            if !path.exists() && !part(&path).exists() {
                return ArchiveFile::new(path, &self.instance, period, self.compress);
            }
            at.0 += 1;
        }
    }

    /// A file of this size was closed.
    pub(super) fn closed(&mut self, path: PathBuf, bytes: u64) {
        self.bytes += bytes;
        self.files.push((path, bytes));
    }

    /// Whether the open file may grow to `open_bytes`.
    pub(super) fn room(&mut self, open_bytes: u64) -> io::Result<()> {
        if self.bytes + open_bytes > self.bytes_max {
            return Err(io::Error::other("max_bytes is reached"));
        }
        self.asked = (self.asked + 1) % ASK_EVERY;
        if self.asked == 1 && LocalStore::at(&self.dir).free_bytes()? < self.free_bytes_min {
            self.asked = 0;
            return Err(io::Error::other("the disk has less than min_free_bytes left"));
        }
        Ok(())
    }

    /// Removes the oldest finished file and its manifest.
    pub(super) fn drop_oldest(&mut self) -> bool {
        let Some((path, bytes)) = self.files.first().cloned() else { return false };
        match std::fs::remove_file(&path) {
            Ok(()) => tracing::info!("archive: {} removed to make room", path.display()),
            // Someone else has removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!("archive: {}: {error}", path.display());
                return false;
            }
        }
        std::fs::remove_file(Manifest::path(&path)).ok();
        self.bytes = self.bytes.saturating_sub(bytes);
        self.files.remove(0);
        true
    }
}
