//! Recorded Kraken WebSocket v2 frames, given again as they came. A client that joins in the middle gets a snapshot of
//! the book as it is then, which the recording does not have.

use std::path::PathBuf;

use serde::Deserialize;

use super::super::VenueError;
use crate::replay::{Book, BookLevel, cbcap_frames};

#[derive(Deserialize)]
struct Head<'a> {
    channel: Option<&'a str>,
    method: Option<&'a str>,
    result: Option<Ack>,
    data: Option<Vec<Symbol>>,
}

#[derive(Deserialize)]
struct Ack {
    depth: Option<usize>,
}

#[derive(Deserialize)]
struct Symbol {
    symbol: Option<String>,
}

#[derive(Deserialize)]
struct BookFrame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    data: Vec<BookData<'a>>,
}

#[derive(Deserialize)]
struct BookData<'a> {
    #[serde(borrow)]
    bids: Vec<BookLevel<'a>>,
    #[serde(borrow)]
    asks: Vec<BookLevel<'a>>,
    timestamp: Option<&'a str>,
}

/// The frames of one pair and channel.
#[derive(Debug)]
pub(super) struct Recorded {
    /// Such as `book BTC/USD`.
    pub(super) stream: String,
    pub(super) symbol: String,
    /// Depth of the recorded subscription.
    pub(super) depth: usize,
    frames: Vec<(u64, String)>,
    given: usize,
    book: Book,
    timestamp: Option<String>,
}

/// Reads recordings; acks, status and heartbeats are the venue's own to say.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Recorded>, VenueError> {
    let mut all: Vec<Recorded> = Vec::new();
    for path in files {
        let frames = cbcap_frames(path).map_err(|error| VenueError::Recording(error.to_string()))?;
        let mut depth = 10;
        for (at, text) in frames {
            let broken = |error| VenueError::Recording(format!("{}: {error}", path.display()));
            let head: Head<'_> = serde_json::from_str(&text).map_err(broken)?;
            if head.method == Some("subscribe") {
                depth = head.result.and_then(|ack| ack.depth).unwrap_or(depth);
                continue;
            }
            let symbol = head.data.and_then(|data| data.into_iter().next()).and_then(|data| data.symbol);
            let Some((channel, symbol)) = head.channel.zip(symbol) else { continue };
            let stream = format!("{channel} {symbol}");
            let place = all.iter().position(|known| known.stream == stream).unwrap_or_else(|| {
                let (frames, book, timestamp) = (Vec::new(), Book::new(depth), None);
                all.push(Recorded { stream, symbol, depth, frames, given: 0, book, timestamp });
                all.len() - 1
            });
            all[place].frames.push((at, text));
        }
    }
    if all.is_empty() {
        return Err(VenueError::Recording("must have frames with data, found none".to_owned()));
    }
    Ok(all)
}

impl Recorded {
    /// Takes the next frame; false at the end.
    pub(super) fn make(&mut self) -> bool {
        let Some((_, text)) = self.frames.get(self.given) else { return false };
        self.given += 1;
        let text = text.clone();
        self.apply(&text);
        true
    }

    fn apply(&mut self, text: &str) {
        let Ok(frame) = serde_json::from_str::<BookFrame<'_>>(text) else { return };
        for data in &frame.data {
            if frame.kind == "snapshot" {
                self.book.clear();
            }
            // What was recorded is sent even if it makes no sense.
            self.book.apply(&data.bids, &data.asks).ok();
            self.timestamp = data.timestamp.map(str::to_owned);
        }
    }

    /// The frame that was last taken.
    pub(super) fn update(&self) -> Option<String> {
        self.given.checked_sub(1).and_then(|at| self.frames.get(at)).map(|(_, text)| text.clone())
    }

    /// When the next frame came, or the last one.
    pub(super) fn due_ns(&self) -> Option<u64> {
        self.frames.get(self.given).or(self.frames.last()).map(|(at, _)| *at)
    }

    /// The book as it is, for a client that joins after the start; the first client's snapshot is the recorded one.
    pub(super) fn snapshot(&self) -> Option<String> {
        if self.given == 0 || !self.stream.starts_with("book ") {
            return None;
        }
        let side = |levels: Vec<(&str, &str)>| {
            let levels: Vec<String> =
                levels.iter().map(|(price, qty)| format!("{{\"price\":{price},\"qty\":{qty}}}")).collect();
            levels.join(",")
        };
        let [bids, asks] = self.book.sides();
        let timestamp =
            self.timestamp.as_ref().map_or_else(String::new, |at| format!(",\"timestamp\":\"{at}\""));
        Some(format!(
            "{{\"channel\":\"book\",\"type\":\"snapshot\",\"data\":[{{\"symbol\":\"{}\",\"bids\":[{}],\"asks\":[{}],\
             \"checksum\":{}{timestamp}}}]}}",
            self.symbol,
            side(bids),
            side(asks),
            self.book.checksum()
        ))
    }
}
