//! Betfair's deltas out of a recording below `TICKLINE_RECORDINGS`: its first image, then each message that holds
//! no market definition, transcoded as our publisher does and with the reserved keys in front. The recording is
//! read, never copied.

use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use tickline_feeds::cursor::{Cursor, Value};
use tickline_feeds::payload::{Decimals, PayloadWriter};
use tickline_feeds::transcode::{BETFAIR_INTEGERS, transcode};

use super::market::Payload;

/// The recording, below `TICKLINE_RECORDINGS`.
pub(super) const FILE: &str = "betfair/flumine_1.200806927.jsonl.gz";

/// Where it is, if it is there.
pub(super) fn path() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("TICKLINE_RECORDINGS")?).join(FILE);
    path.is_file().then_some(path)
}

/// One message: msgpack behind its map header, and where the venue's time stands in it.
#[derive(Debug)]
pub(super) struct Line {
    keys: u16,
    rest: Vec<u8>,
    time_at: usize,
}

impl Line {
    pub(super) fn write(&self, out: &mut Payload) {
        out.begin(self.keys);
        out.millis_at(out.writer.bytes().len() + self.time_at);
        out.writer.raw(&self.rest);
    }
}

/// Reads the whole recording: the image, then the deltas.
pub(super) fn read() -> Vec<Line> {
    let packed = path().and_then(|path| std::fs::read(path).ok()).expect("the recording is there");
    let mut text = String::new();
    GzDecoder::new(packed.as_slice()).read_to_string(&mut text).expect("the recording is gzip and UTF-8");
    let image = text.lines().position(|json| json.contains("\"img\":true")).expect("there is an image");
    let deltas = text.lines().skip(image + 1).filter(|json| !json.contains("\"marketDefinition\""));
    text.lines().skip(image).take(1).chain(deltas).filter_map(line).collect()
}

fn line(json: &str) -> Option<Line> {
    let mut writer = PayloadWriter::new(Decimals::Text);
    transcode(json, BETFAIR_INTEGERS, &mut writer).ok()?;
    let mut cursor = Cursor::new(writer.bytes());
    let Value::Map(keys) = cursor.value().ok()? else { return None };
    let rest = writer.bytes().get(writer.bytes().len() - cursor.left()..)?;
    for _ in 0..keys {
        if cursor.key().ok()?.text == b"pt" {
            let Value::Int(_) = cursor.value().ok()? else { return None };
            let time_at = (rest.len() - cursor.left()).checked_sub(8)?;
            return Some(Line { keys: u16::try_from(keys).ok()?, rest: rest.to_vec(), time_at });
        }
        cursor.skip(1).ok()?;
    }
    None
}
