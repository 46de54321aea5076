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

/// One message: msgpack behind its map header, and what the reserved keys need.
#[derive(Debug)]
struct Line {
    keys: u16,
    rest: Vec<u8>,
    time: i64,
    changes: u32,
}

/// The messages, again and again.
#[derive(Debug)]
pub(super) struct Lines {
    lines: Vec<Line>,
    at: usize,
    last_time: i64,
    tie: u32,
}

impl Lines {
    /// Reads the whole recording.
    pub(super) fn read() -> Self {
        let packed = path().and_then(|path| std::fs::read(path).ok()).expect("the recording is there");
        let mut text = String::new();
        GzDecoder::new(packed.as_slice()).read_to_string(&mut text).expect("the recording is gzip and UTF-8");
        let image = text.lines().position(|json| json.contains("\"img\":true")).expect("there is an image");
        let deltas = text.lines().skip(image + 1).filter(|json| !json.contains("\"marketDefinition\""));
        let lines: Vec<Line> = text.lines().skip(image).take(1).chain(deltas).filter_map(line).collect();
        Self { lines, at: 0, last_time: 0, tie: 0 }
    }

    pub(super) fn write(&mut self, out: &mut Payload) {
        let line = &self.lines[self.at % self.lines.len()];
        self.at += 1;
        self.tie = if line.time == self.last_time { self.tie + line.changes } else { 0 };
        self.last_time = line.time;
        out.begin_at(line.keys, line.time, self.tie);
        out.writer.raw(&line.rest);
    }
}

fn line(json: &str) -> Option<Line> {
    let mut writer = PayloadWriter::new(Decimals::Text);
    transcode(json, BETFAIR_INTEGERS, &mut writer).ok()?;
    let mut cursor = Cursor::new(writer.bytes());
    let Value::Map(keys) = cursor.value().ok()? else { return None };
    let rest = writer.bytes().get(writer.bytes().len() - cursor.left()..)?.to_vec();
    let mut time = None;
    for _ in 0..keys {
        match cursor.key().ok()? {
            b"pt" => time = Some(cursor.value().ok()?),
            _ => cursor.skip(1).ok()?,
        }
    }
    let Some(Value::Int(millis)) = time else { return None };
    let changes = json.matches("\"id\":").count() as u32;
    Some(Line { keys: u16::try_from(keys).ok()?, rest, time: millis * 1_000_000, changes })
}
