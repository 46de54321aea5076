//! One archive file while it is written: under a name that ends in `.part`, chunk by chunk, and under its own name
//! only once it is complete and synced. A chunk is a whole zstd frame where files are compressed, so that what a kill
//! leaves can be read up to its last whole chunk.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tickline_feeds::capture::{self, CaptureError, Record};
use tickline_feeds::clock::WallNanos;

use super::CHUNK_BYTES;
use super::folder::Folder;
use super::manifest::Manifest;

/// Fast: the archive must not cost what it records.
const ZSTD_LEVEL: i32 = 1;

/// A zstd frame is never larger: a chunk and the largest message.
const FRAME_BYTES_MAX: usize = 160 * 1024 * 1024;

/// An open file.
#[derive(Debug)]
pub(super) struct ArchiveFile {
    /// Made with the first chunk.
    file: Option<File>,
    /// Its name without `.part`.
    path: PathBuf,
    period: i64,
    compress: bool,
    /// Bytes of whole chunks.
    written: u64,
    chunk: Vec<u8>,
    chunk_frames: u64,
    packed: Vec<u8>,
    sum: Sha256,
    manifest: Manifest,
    /// The manifest without the chunk that waits.
    settled: Manifest,
}

/// The name under which an unfinished file stands.
pub(super) fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

impl ArchiveFile {
    /// A file that is to be at `path`.
    pub(super) fn new(path: PathBuf, instance: &str, period: i64, compress: bool) -> Self {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
        capture::begin(&mut chunk);
        let mut manifest = Manifest::new(instance);
        manifest.file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (packed, sum, settled) = (Vec::new(), Sha256::new(), manifest.clone());
        Self {
            file: None,
            path,
            period,
            compress,
            written: 0,
            chunk,
            chunk_frames: 0,
            packed,
            sum,
            manifest,
            settled,
        }
    }

    /// The span of `rotate` that it belongs to.
    pub(super) fn period(&self) -> i64 {
        self.period
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.written
    }

    /// Bytes of records that wait, before compression.
    pub(super) fn waiting(&self) -> usize {
        self.chunk.len()
    }

    /// Frames that wait.
    pub(super) fn waiting_frames(&self) -> u64 {
        self.chunk_frames
    }

    /// Adds one frame to the chunk.
    pub(super) fn append(&mut self, record: &Record<'_>) -> Result<(), CaptureError> {
        capture::append(&mut self.chunk, record)?;
        self.chunk_frames += 1;
        self.manifest.add(record);
        Ok(())
    }

    /// Writes the chunk; on an error the file is as it was and the chunk still waits.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let bytes = if self.compress {
            self.packed = pack(&self.chunk)?;
            &self.packed
        } else {
            &self.chunk
        };
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().write(true).create_new(true).open(part(&self.path))?),
        };
        if let Err(error) = file.write_all(bytes) {
            // A torn chunk in the middle would hide all that comes behind it.
            file.set_len(self.written)?;
            io::Seek::seek(file, io::SeekFrom::Start(self.written))?;
            return Err(error);
        }
        self.sum.update(bytes);
        self.written += bytes.len() as u64;
        self.settle();
        Ok(())
    }

    fn settle(&mut self) {
        self.chunk.clear();
        self.chunk_frames = 0;
        self.settled.clone_from(&self.manifest);
    }

    /// What waits, as the beginning of another file, so that what is written can be closed; none if nothing is.
    pub(super) fn split(&mut self, folder: &Folder) -> Option<Self> {
        let at = WallNanos(self.manifest.to_ns);
        let mut next = folder.begin(at, self.period);
        if self.written == 0 || next.path == self.path {
            return None;
        }
        next.chunk.append(&mut self.chunk);
        next.chunk_frames = self.chunk_frames;
        let mut reader = capture::Reader::new(next.chunk.as_slice()).ok()?;
        while let Ok(Some(record)) = reader.next_record() {
            next.manifest.add(&record);
        }
        self.forget_waiting();
        Some(next)
    }

    /// Gives up the chunk; returns its frames.
    pub(super) fn forget_waiting(&mut self) -> u64 {
        let frames = self.chunk_frames;
        self.manifest.clone_from(&self.settled);
        // A file must begin as a capture does.
        let begun = self.written > 0;
        self.settle();
        if !begun {
            capture::begin(&mut self.chunk);
        }
        frames
    }

    /// Publishes the file and its manifest, synced; returns its path and bytes, if there is anything in it.
    pub(super) fn close(mut self) -> io::Result<Option<(PathBuf, u64)>> {
        let Some(file) = self.file.take() else { return Ok(None) };
        file.sync_all()?;
        self.settled.bytes = self.written;
        self.settled.sha256 = hex(&self.sum.finalize());
        publish(&self.path, &self.settled)?;
        Ok(Some((self.path, self.written)))
    }
}

/// A chunk as a zstd frame with a sum of its own, so that damage is seen and not read.
fn pack(chunk: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
    compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true))?;
    compressor.compress(chunk)
}

/// Gives a file and its manifest their names, the manifest first: a file without one is not looked for by time.
fn publish(path: &Path, manifest: &Manifest) -> io::Result<()> {
    let json = serde_json::to_vec_pretty(manifest)?;
    let (to, new) = (Manifest::path(path), Manifest::path(&part(path)));
    let mut file = File::create(&new)?;
    file.write_all(&json)?;
    file.sync_all()?;
    rename(new, to)?;
    rename(part(path), path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Closes a file that a kill has left unfinished, without what is behind its last whole chunk; one that holds no
/// frame is removed. Returns the file and its bytes, if there is one, and the bytes left out. Memory for one chunk.
pub(super) fn repair(part_path: &Path, instance: &str) -> io::Result<(Option<(PathBuf, u64)>, u64)> {
    let path = part_path.with_extension("");
    let mut manifest = Manifest::new(instance);
    let bytes = part_path.metadata()?.len();
    let whole = if is_compressed(&path) {
        scan_frames(part_path, &mut manifest)?
    } else {
        scan_records(part_path, &mut manifest)?
    };
    if manifest.frames == 0 {
        std::fs::remove_file(part_path)?;
        return Ok((None, bytes));
    }
    let file = OpenOptions::new().write(true).open(part_path)?;
    file.set_len(whole)?;
    file.sync_all()?;
    let mut sum = Sha256::new();
    let mut rest = File::open(part_path)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    while let read @ 1.. = rest.read(&mut chunk)? {
        sum.update(chunk.get(..read).unwrap_or_default());
    }
    manifest.file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    manifest.bytes = whole;
    manifest.sha256 = hex(&sum.finalize());
    manifest.repaired = true;
    publish(&path, &manifest)?;
    Ok((Some((path, whole)), bytes - whole))
}

/// Counts the whole records of a capture; returns their bytes.
fn scan_records(path: &Path, manifest: &mut Manifest) -> io::Result<u64> {
    let file = io::BufReader::with_capacity(CHUNK_BYTES, File::open(path)?);
    let Ok(mut reader) = capture::Reader::new(file) else { return Ok(0) };
    while let Some(record) = reader.next_record().map_err(io::Error::other)? {
        manifest.add(&record);
    }
    Ok(path.metadata()?.len() - reader.left())
}

/// Counts the records of whole zstd frames; returns the bytes of those frames.
fn scan_frames(path: &Path, manifest: &mut Manifest) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let (mut held, mut whole) = (Vec::new(), 0);
    loop {
        let size = zstd::zstd_safe::find_frame_compressed_size(&held).unwrap_or(usize::MAX);
        if size > 0 && size <= held.len() {
            let mut chunk = Vec::new();
            let mut decoder = zstd::Decoder::new(held.get(..size).unwrap_or_default())?;
            if decoder.read_to_end(&mut chunk).is_err() {
                return Ok(whole);
            }
            add_chunk(&chunk, whole == 0, manifest)?;
            held.drain(..size);
            whole += size as u64;
            continue;
        }
        let more = (&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut held)?;
        if more == 0 || held.len() > FRAME_BYTES_MAX {
            return Ok(whole);
        }
    }
}

/// Counts the records of one chunk; only the first one begins as a capture does.
fn add_chunk(chunk: &[u8], first: bool, manifest: &mut Manifest) -> io::Result<()> {
    let begin: &[u8] = if first { &[] } else { &capture::MAGIC };
    let mut reader = capture::Reader::new(begin.chain(chunk)).map_err(io::Error::other)?;
    while let Some(record) = reader.next_record().map_err(io::Error::other)? {
        manifest.add(&record);
    }
    Ok(())
}

/// Whether a file's name says that it is compressed.
pub(super) fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "zst")
}

/// Reads a capture, compressed or not.
pub(super) fn reader<'a>(bytes: impl Read + 'a, compressed: bool) -> io::Result<Box<dyn Read + 'a>> {
    Ok(if compressed { Box::new(zstd::Decoder::new(bytes)?) } else { Box::new(bytes) })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
