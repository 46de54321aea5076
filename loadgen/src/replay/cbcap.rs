//! CBCAP1: Kraken WebSocket v2 frames as they came. First line `CBCAP1 <venue> <symbol> <unix ns>`, then records
//! `<ns> <bytes>\n<frame>\n` whose times mean only distances. Each book message becomes one complete top of book;
//! one whose checksum does not fit its book is damage.

use std::borrow::Cow;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::{Decimals, PayloadWriter};

use super::book::{Book, Level};
use super::{Message, Reader, ReplayError, damaged};
use crate::ties::Series;

/// Depth of a subscription that names none.
const DEFAULT_DEPTH: usize = 10;

/// Longest frame that is believed.
const FRAME_BYTES_MAX: u64 = 64 << 20;

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    result: Option<Ack>,
}

#[derive(Deserialize)]
struct Ack {
    depth: Option<usize>,
}

#[derive(Deserialize)]
struct BookFrame<'a> {
    #[serde(borrow)]
    data: Vec<BookData<'a>>,
}

#[derive(Deserialize)]
struct BookData<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    bids: Vec<Level<'a>>,
    #[serde(borrow)]
    asks: Vec<Level<'a>>,
    checksum: u32,
    #[serde(borrow)]
    timestamp: Option<Cow<'a, str>>,
}

pub(super) struct Cbcap<R> {
    path: PathBuf,
    bytes: R,
    start: i64,
    first: Option<i64>,
    record: u64,
    other: u64,
    book: Book,
    series: Series,
    out: PayloadWriter,
    frame: String,
}

impl<R: BufRead> Cbcap<R> {
    pub(super) fn open(path: &Path, mut bytes: R, decimals: Decimals) -> Result<Self, ReplayError> {
        let mut line = String::new();
        bytes.read_line(&mut line).map_err(|error| ReplayError::Io { path: path.to_owned(), error })?;
        let start = line.trim_end().rsplit_once(' ').and_then(|(_, ns)| ns.parse().ok());
        Ok(Self {
            path: path.to_owned(),
            bytes,
            start: start.ok_or_else(|| damaged(path, 0, "the first line must end with a time in ns"))?,
            first: None,
            record: 0,
            other: 0,
            book: Book::new(DEFAULT_DEPTH),
            series: Series::default(),
            out: PayloadWriter::new(decimals),
            frame: String::new(),
        })
    }

    fn broken(&self, rule: impl ToString) -> ReplayError {
        damaged(&self.path, self.record, rule)
    }

    /// Reads the next frame into `self.frame` and says when it came; none at the end.
    fn read_frame(&mut self) -> Result<Option<i64>, ReplayError> {
        let io = |error| ReplayError::Io { path: self.path.clone(), error };
        let mut line = String::new();
        if self.bytes.read_line(&mut line).map_err(io)? == 0 {
            return Ok(None);
        }
        self.record += 1;
        let head = line
            .trim_end()
            .split_once(' ')
            .and_then(|(ns, bytes)| Some((ns.parse().ok()?, bytes.parse().ok()?)));
        let (ns, bytes): (i64, u64) = head
            .filter(|(_, bytes)| *bytes <= FRAME_BYTES_MAX)
            .ok_or_else(|| self.broken("must be `<ns> <bytes>`"))?;
        self.frame.clear();
        let read = self.bytes.by_ref().take(bytes + 1).read_to_string(&mut self.frame).map_err(io)?;
        if read as u64 != bytes + 1 || self.frame.pop() != Some('\n') {
            return Err(self.broken(format!("must have {bytes} bytes and a newline")));
        }
        let first = *self.first.get_or_insert(ns);
        Ok(Some(self.start + (ns - first)))
    }

    /// All frames as they came, each with when, ns after the first.
    #[cfg(feature = "drill")]
    pub(super) fn frames(mut self) -> Result<Vec<(u64, String)>, ReplayError> {
        let mut frames = Vec::new();
        while let Some(at) = self.read_frame()? {
            frames
                .push((at.saturating_sub(self.start).max(0).unsigned_abs(), std::mem::take(&mut self.frame)));
        }
        Ok(frames)
    }

    /// Takes one book message into the book and writes what it is now.
    fn take_book(&mut self, frame: &str, is_snapshot: bool) -> Result<Option<u32>, ReplayError> {
        let parsed = serde_json::from_str::<BookFrame<'_>>(frame).map_err(|error| self.broken(error))?;
        let Some(data) = parsed.data.first().filter(|_| parsed.data.len() == 1) else {
            return Err(self.broken("a book message must have one entry"));
        };
        if is_snapshot {
            self.book.clear();
        }
        self.book.apply(&data.bids, &data.asks).map_err(|rule| self.broken(rule))?;
        let checksum = self.book.checksum();
        if checksum != data.checksum {
            return Err(self.broken(format!("checksum must be {}, found {checksum}", data.checksum)));
        }
        self.out.clear();
        self.out.map(4 + u32::from(data.timestamp.is_some()));
        self.out.text("symbol");
        self.out.text(&data.symbol);
        let mut tie = 0;
        if let Some(text) = &data.timestamp {
            let time = text.parse::<Timestamp>().map_err(|error| self.broken(error))?;
            tie = self.series.next(time.as_microsecond());
            self.out.text("timestamp");
            self.out.text(text);
        }
        self.out.text("checksum");
        self.out.uint(u64::from(checksum));
        self.book.write(&mut self.out);
        Ok(Some(tie))
    }

    fn take(&mut self, frame: &str) -> Result<Option<u32>, ReplayError> {
        let head = serde_json::from_str::<Frame<'_>>(frame).map_err(|error| self.broken(error))?;
        if let Some(depth) =
            head.result.and_then(|ack| ack.depth).filter(|_| head.method.as_deref() == Some("subscribe"))
        {
            self.book = Book::new(depth);
        }
        match (head.channel.as_deref(), head.kind.as_deref()) {
            (Some("book"), Some(kind)) => self.take_book(frame, kind == "snapshot"),
            _ => Ok(None),
        }
    }
}

impl<R: BufRead + Send> Reader for Cbcap<R> {
    fn next(&mut self) -> Result<Option<Message>, ReplayError> {
        while let Some(at) = self.read_frame()? {
            let frame = std::mem::take(&mut self.frame);
            let taken = self.take(&frame);
            self.frame = frame;
            if let Some(tie) = taken? {
                let payload = self.out.bytes().to_vec();
                return Ok(Some(Message { at: Some(WallNanos(at)), payload, tie, ..Message::default() }));
            }
            self.other += 1;
        }
        Ok(None)
    }

    fn passed_over(&self) -> (u64, u64) {
        (self.other, 0)
    }
}
