//! One archive file while it is written: under a name that ends in `.part`, chunk by chunk, and under its own name
//! only once it is complete and synced. A chunk is a whole zstd frame where files are compressed, so that what a kill
//! leaves can be read up to its last whole chunk.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tickline_feeds::capture::{self, CaptureError, Record};

use super::CHUNK_BYTES;
use super::manifest::Manifest;

/// Fast: the archive must not cost what it records.
const ZSTD_LEVEL: i32 = 1;

/// An open file.
#[derive(Debug)]
pub(super) struct ArchiveFile {
    file: File,
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
    /// Creates `path` and begins it.
    pub(super) fn create(path: PathBuf, instance: &str, period: i64, compress: bool) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(part(&path))?;
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
        capture::begin(&mut chunk);
        let mut manifest = Manifest::new(instance);
        manifest.file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (packed, sum, settled) = (Vec::new(), Sha256::new(), manifest.clone());
        Ok(Self {
            file,
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
        })
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
        if let Err(error) = self.file.write_all(bytes) {
            // A torn chunk in the middle would hide all that comes behind it.
            self.file.set_len(self.written)?;
            io::Seek::seek(&mut self.file, io::SeekFrom::Start(self.written))?;
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

    /// Gives up the chunk.
    pub(super) fn forget_waiting(&mut self) {
        self.manifest.clone_from(&self.settled);
        // A file must begin as a capture does.
        let begun = self.written > 0;
        self.settle();
        if !begun {
            capture::begin(&mut self.chunk);
        }
    }

    /// Publishes the file and its manifest, synced; returns its path and bytes. One without frames is removed.
    pub(super) fn close(mut self) -> io::Result<Option<(PathBuf, u64)>> {
        if self.settled.frames == 0 {
            std::fs::remove_file(part(&self.path))?;
            return Ok(None);
        }
        self.file.sync_all()?;
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
/// frame is removed. Returns the bytes left out.
pub(super) fn repair(part_path: &Path, instance: &str) -> io::Result<u64> {
    let path = part_path.with_extension("");
    let bytes = std::fs::read(part_path)?;
    let compressed = is_compressed(&path);
    let whole = whole_bytes(&bytes, compressed)?;
    let kept = bytes.get(..whole).unwrap_or_default();
    let mut manifest = Manifest::new(instance);
    if whole > 0 {
        let mut reader = capture::Reader::new(reader(kept, compressed)?).map_err(io::Error::other)?;
        while let Some(record) = reader.next_record().map_err(io::Error::other)? {
            manifest.add(&record);
        }
    }
    if manifest.frames == 0 {
        std::fs::remove_file(part_path)?;
        return Ok(bytes.len() as u64);
    }
    let file = OpenOptions::new().write(true).open(part_path)?;
    file.set_len(whole as u64)?;
    file.sync_all()?;
    manifest.file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    manifest.bytes = whole as u64;
    manifest.sha256 = hex(&Sha256::digest(kept));
    manifest.repaired = true;
    publish(&path, &manifest)?;
    Ok((bytes.len() - whole) as u64)
}

/// Bytes up to the end of the last whole chunk or record.
fn whole_bytes(bytes: &[u8], compressed: bool) -> io::Result<usize> {
    if !compressed {
        let Ok(mut reader) = capture::Reader::new(bytes) else { return Ok(0) };
        while reader.next_record().map_err(io::Error::other)?.is_some() {}
        return Ok(bytes.len() - usize::try_from(reader.left()).unwrap_or(bytes.len()));
    }
    let mut whole = 0;
    while let Some(rest) = bytes.get(whole..).filter(|rest| !rest.is_empty()) {
        let Ok(size) = zstd::zstd_safe::find_frame_compressed_size(rest) else { break };
        let frame = rest.get(..size).unwrap_or_default();
        if size == 0 || frame.len() < size || io::copy(&mut reader(frame, true)?, &mut io::sink()).is_err() {
            break;
        }
        whole += size;
    }
    Ok(whole)
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
