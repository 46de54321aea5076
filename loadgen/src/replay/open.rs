//! Which format a file has and which feeds it holds: decided by what is in it, never by its name (only a Lean
//! zip's name says which instrument and day it holds).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use tickline_config::model::DecoderKind;
use tickline_config::registry;
use tickline_feeds::capture;
use tickline_feeds::payload::Decimals;

use super::captured::Captured;
use super::cbcap::Cbcap;
use super::json::{Json, Kind};
use super::lean::Lean;
use super::{Reader, ReplayError, damaged};
use crate::plan::FeedLoad;

/// Bytes that are looked at.
const LOOK_BYTES: usize = 64 * 1024;

type Bytes = Box<dyn BufRead + Send>;

/// What a file is, and its bytes where they are read as a stream.
enum Format {
    Lean,
    Capture(Bytes),
    Cbcap(Bytes),
    Json(Kind, Bytes),
}

impl Format {
    fn of(path: &Path) -> Result<Self, ReplayError> {
        let io = |error| ReplayError::Io { path: path.to_owned(), error };
        let mut bytes: Bytes = Box::new(BufReader::with_capacity(LOOK_BYTES, File::open(path).map_err(io)?));
        let mut start = look(&mut bytes).map_err(io)?;
        if start.starts_with(b"PK\x03\x04") {
            return Ok(Self::Lean);
        }
        if start.starts_with(b"\x1f\x8b") {
            bytes = Box::new(BufReader::with_capacity(LOOK_BYTES, MultiGzDecoder::new(bytes)));
            start = look(&mut bytes).map_err(io)?;
        } else if start.starts_with(b"\x28\xb5\x2f\xfd") {
            let plain = zstd::Decoder::with_buffer(bytes).map_err(io)?;
            bytes = Box::new(BufReader::with_capacity(LOOK_BYTES, plain));
            start = look(&mut bytes).map_err(io)?;
        }
        if start.starts_with(&capture::MAGIC) {
            return Ok(Self::Capture(bytes));
        }
        if start.starts_with(b"CBCAP1 ") {
            return Ok(Self::Cbcap(bytes));
        }
        if let Some(kind) = Kind::of(&start) {
            return Ok(Self::Json(kind, bytes));
        }
        let shown = start.get(..start.len().min(40)).unwrap_or_default();
        let found = format!("{:?}", String::from_utf8_lossy(shown));
        Err(ReplayError::UnknownFormat { path: path.to_owned(), found })
    }

    /// What all of its messages are; none for a capture, whose topics tell.
    fn decoder(&self) -> Option<DecoderKind> {
        match self {
            Self::Lean => Some(DecoderKind::OandaTick),
            Self::Capture(_) => None,
            Self::Cbcap(_) => Some(DecoderKind::KrakenDepth),
            Self::Json(kind, _) => Some(kind.decoder()),
        }
    }
}

/// Opens a recording for one feed. A capture gives the messages of the feed's topics, any other file all of its own.
pub(super) fn open(path: &Path, feed: &FeedLoad, decimals: Decimals) -> Result<Box<dyn Reader>, ReplayError> {
    let format = Format::of(path)?;
    if let Some(holds) = format.decoder().filter(|holds| *holds != feed.kind) {
        let (holds, feed) = (holds.name(), feed.feed.clone());
        return Err(ReplayError::OtherFeed { path: path.to_owned(), holds, feed });
    }
    Ok(match format {
        Format::Lean => Box::new(Lean::open(path, decimals)?),
        Format::Capture(bytes) => Box::new(Captured::open(path, bytes, topics(&feed.feed))?),
        Format::Cbcap(bytes) => Box::new(Cbcap::open(path, bytes, decimals)?),
        Format::Json(kind, bytes) => Box::new(Json::new(path, bytes, kind, decimals)),
    })
}

/// The frames of a CBCAP1 recording as they came, each with when, ns after the first.
#[cfg(feature = "drill")]
pub(crate) fn cbcap_frames(path: &Path) -> Result<Vec<(u64, String)>, ReplayError> {
    match Format::of(path)? {
        Format::Cbcap(bytes) => Cbcap::open(path, bytes, Decimals::Text)?.frames(),
        _ => Err(ReplayError::UnknownFormat { path: path.to_owned(), found: "no CBCAP1".to_owned() }),
    }
}

/// A file of lines, whatever it is packed with.
#[cfg(feature = "drill")]
pub(crate) fn plain_text(path: &Path) -> Result<String, ReplayError> {
    let io = |error| ReplayError::Io { path: path.to_owned(), error };
    match Format::of(path)? {
        Format::Json(_, mut bytes) => {
            let mut text = String::new();
            bytes.read_to_string(&mut text).map_err(io)?;
            Ok(text)
        }
        _ => Err(ReplayError::UnknownFormat { path: path.to_owned(), found: "no lines of JSON".to_owned() }),
    }
}

/// Topics of a feed; none: all.
fn topics(feed: &str) -> Option<Vec<&'static str>> {
    let row = registry::find(feed).filter(|row| row.topic != "*")?;
    Some(std::iter::once(row.topic).chain(row.aliases.iter().copied()).collect())
}

/// The feeds that files hold, as the registry names them.
pub fn feeds_in(paths: &[PathBuf]) -> Result<BTreeSet<&'static str>, ReplayError> {
    let mut feeds = BTreeSet::new();
    for path in paths {
        match Format::of(path)? {
            Format::Capture(bytes) => feeds_of_capture(path, bytes, &mut feeds)?,
            format => feeds.extend(format.decoder().map(DecoderKind::name)),
        }
    }
    Ok(feeds)
}

fn feeds_of_capture(
    path: &Path,
    bytes: Bytes,
    feeds: &mut BTreeSet<&'static str>,
) -> Result<(), ReplayError> {
    let mut records = capture::Reader::new(bytes).map_err(|error| damaged(path, 0, error))?;
    let (mut record, mut known) = (0, BTreeSet::new());
    while let Some(found) = records.next_record().map_err(|error| damaged(path, record, error))? {
        record += 1;
        if known.contains(found.topic) {
            continue;
        }
        let topic = String::from_utf8_lossy(found.topic);
        let row = registry::find(&topic).filter(|row| !row.decoder.is_empty());
        let Some(row) = row else {
            return Err(ReplayError::UnknownTopic { path: path.to_owned(), topic: topic.into_owned() });
        };
        feeds.insert(row.feed());
        known.insert(found.topic.to_vec());
    }
    Ok(())
}

/// The first bytes, put back in front of the rest.
fn look(bytes: &mut Bytes) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    bytes.by_ref().take(LOOK_BYTES as u64).read_to_end(&mut start)?;
    let rest = std::mem::replace(bytes, Box::new(std::io::empty()));
    *bytes = Box::new(BufReader::with_capacity(LOOK_BYTES, std::io::Cursor::new(start.clone()).chain(rest)));
    Ok(start)
}
