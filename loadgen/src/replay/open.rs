//! Which format a file has: decided by what is in it, never by its name (only a Lean zip's name says which
//! instrument and day it holds).

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use tickline_config::model::DecoderKind;
use tickline_feeds::capture;
use tickline_feeds::payload::Decimals;

use super::captured::Captured;
use super::cbcap::Cbcap;
use super::json::{Json, Kind};
use super::lean::Lean;
use super::{Reader, ReplayError, decoder_name};

/// Bytes that are looked at.
const LOOK_BYTES: usize = 64 * 1024;

type Bytes = Box<dyn BufRead + Send>;

/// Opens a recording for a feed whose messages have decoder `feed.1`.
pub(super) fn open(
    path: &Path,
    feed: (&str, DecoderKind),
    decimals: Decimals,
) -> Result<Box<dyn Reader>, ReplayError> {
    let io = |error| ReplayError::Io { path: path.to_owned(), error };
    let mut bytes: Bytes = Box::new(BufReader::with_capacity(LOOK_BYTES, File::open(path).map_err(io)?));
    let mut start = look(&mut bytes).map_err(io)?;
    if start.starts_with(b"PK\x03\x04") {
        expect(path, feed, DecoderKind::OandaTick)?;
        return Ok(Box::new(Lean::open(path, decimals)?));
    }
    if start.starts_with(b"\x1f\x8b") {
        bytes = Box::new(BufReader::with_capacity(LOOK_BYTES, MultiGzDecoder::new(bytes)));
        start = look(&mut bytes).map_err(io)?;
    }
    if start.starts_with(&capture::MAGIC) {
        return Ok(Box::new(Captured::open(path, bytes)?));
    }
    if start.starts_with(b"CBCAP1 ") {
        expect(path, feed, DecoderKind::KrakenDepth)?;
        return Ok(Box::new(Cbcap::open(path, bytes, decimals)?));
    }
    let Some(kind) = Kind::of(&start) else {
        let shown = start.get(..start.len().min(40)).unwrap_or_default();
        let found = format!("{:?}", String::from_utf8_lossy(shown));
        return Err(ReplayError::UnknownFormat { path: path.to_owned(), found });
    };
    expect(path, feed, kind.decoder())?;
    Ok(Box::new(Json::new(path, bytes, kind, decimals)))
}

fn expect(path: &Path, feed: (&str, DecoderKind), holds: DecoderKind) -> Result<(), ReplayError> {
    if feed.1 == holds {
        return Ok(());
    }
    Err(ReplayError::OtherFeed { path: path.to_owned(), holds: decoder_name(holds), feed: feed.0.to_owned() })
}

/// The first bytes, put back in front of the rest.
fn look(bytes: &mut Bytes) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    bytes.by_ref().take(LOOK_BYTES as u64).read_to_end(&mut start)?;
    let rest = std::mem::replace(bytes, Box::new(std::io::empty()));
    *bytes = Box::new(BufReader::with_capacity(LOOK_BYTES, std::io::Cursor::new(start.clone()).chain(rest)));
    Ok(start)
}
