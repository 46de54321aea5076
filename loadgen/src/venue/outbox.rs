//! What waits to be sent on one connection, and the thread's body that sends it. Owns the framing: a WebSocket
//! message, a line, or an HTTP chunk whose edges have nothing to do with lines.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::duplex::Duplex;
use crate::prng::Prng;

/// Messages that may wait before the venue waits for its client.
pub(super) const ROOM: usize = 256;

/// Between two bytes of a message that drips.
const DRIP_GAP: Duration = Duration::from_micros(100);

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// One WebSocket text message.
    WebSocket,
    /// HTTP chunks over lines that end with `\n`.
    Chunks,
    /// A line that ends with `\r\n`.
    Lines,
}

/// One thing to do.
#[derive(Debug)]
pub(super) enum Out {
    Message(String),
    /// A byte at a time.
    Drip(String),
    /// The first half, then the end.
    Half(String),
    /// From here on nothing is sent, or everything again.
    Mute(bool),
    End,
}

#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<Out>,
    is_over: bool,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Mutex<Waiting>,
    filled: Condvar,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never waits; nothing is taken behind the end.
    pub(super) fn push(&self, out: Out) {
        let mut waiting = self.lock();
        if !waiting.is_over {
            waiting.is_over = matches!(out, Out::End | Out::Half(_));
            waiting.queue.push_back(out);
            self.filled.notify_one();
        }
    }

    /// More may be pushed without a client that falls behind.
    pub(super) fn has_room(&self) -> bool {
        self.lock().queue.len() < ROOM
    }

    fn take_all(&self) -> VecDeque<Out> {
        let mut waiting = self.lock();
        while waiting.queue.is_empty() {
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::take(&mut waiting.queue)
    }
}

/// Sends until the end or until the client is gone; `drained` is called whenever there is room again.
pub(super) fn send_all(outbox: &Outbox, line: &Duplex, framing: Framing, seed: u64, drained: impl Fn()) {
    let mut framer = Framer { framing, prng: Prng::new(seed) };
    let mut bytes = Vec::new();
    loop {
        let batch = outbox.take_all();
        drained();
        for out in batch {
            let done = match out {
                Out::Message(text) => {
                    framer.append(&text, &mut bytes);
                    Ok(false)
                }
                Out::Drip(text) => flush(&mut framer, line, &mut bytes).and_then(|()| {
                    framer.append(&text, &mut bytes);
                    framer.seal(&mut bytes);
                    drip(line, &mut bytes)
                }),
                Out::Half(text) => flush(&mut framer, line, &mut bytes).and_then(|()| {
                    framer.append(&text, &mut bytes);
                    framer.whole(&mut bytes);
                    line.send(bytes.get(..bytes.len() / 2).unwrap_or_default())?;
                    Ok(true)
                }),
                Out::Mute(muted) => flush(&mut framer, line, &mut bytes).map(|()| {
                    line.mute(muted);
                    false
                }),
                Out::End => flush(&mut framer, line, &mut bytes).map(|()| true),
            };
            match done {
                Ok(false) => {}
                Ok(true) => return line.finish(),
                Err(_) => return line.close(),
            }
        }
        if flush(&mut framer, line, &mut bytes).is_err() {
            return line.close();
        }
    }
}

fn flush(framer: &mut Framer, line: &Duplex, bytes: &mut Vec<u8>) -> io::Result<()> {
    framer.seal(bytes);
    let sent = line.send(bytes);
    bytes.clear();
    sent
}

fn drip(line: &Duplex, bytes: &mut Vec<u8>) -> io::Result<bool> {
    for byte in bytes.drain(..) {
        line.send(&[byte])?;
        std::thread::park_timeout(DRIP_GAP);
    }
    Ok(false)
}

struct Framer {
    framing: Framing,
    prng: Prng,
}

impl Framer {
    fn append(&self, text: &str, bytes: &mut Vec<u8>) {
        match self.framing {
            Framing::WebSocket => {
                let frame = Frame::message(text.to_owned(), OpCode::Data(Data::Text), true);
                // Writing into memory cannot fail.
                frame.format(bytes).ok();
            }
            Framing::Chunks => bytes.extend_from_slice(format!("{text}\n").as_bytes()),
            Framing::Lines => bytes.extend_from_slice(format!("{text}\r\n").as_bytes()),
        }
    }

    /// Puts what waits into chunks: cut anywhere, so that one may hold several lines or a part of one.
    fn seal(&mut self, bytes: &mut Vec<u8>) {
        if self.framing != Framing::Chunks || bytes.is_empty() {
            return;
        }
        let lines = std::mem::take(bytes);
        let mut rest = lines.as_slice();
        while !rest.is_empty() {
            let cut = 1 + self.prng.below((rest.len() * 2).min(2_000));
            let (chunk, after) = rest.split_at(cut.min(rest.len()));
            chunked(chunk, bytes);
            rest = after;
        }
    }

    /// One chunk, so that half of it is no chunk.
    fn whole(&self, bytes: &mut Vec<u8>) {
        if self.framing == Framing::Chunks {
            let line = std::mem::take(bytes);
            chunked(&line, bytes);
        }
    }
}

fn chunked(chunk: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
    bytes.extend_from_slice(chunk);
    bytes.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_hold_several_lines_or_a_part_of_one_and_together_every_byte() {
        let mut framer = Framer { framing: Framing::Chunks, prng: Prng::new(1) };
        let mut bytes = Vec::new();
        let lines: Vec<String> = (0..50).map(|n| format!("{{\"line\":{n}}}")).collect();
        lines.iter().for_each(|line| framer.append(line, &mut bytes));
        let plain = bytes.clone();
        framer.seal(&mut bytes);
        let (mut rest, mut read, mut several, mut partial) = (bytes.as_slice(), Vec::new(), 0, 0);
        while !rest.is_empty() {
            let head = rest.windows(2).position(|end| end == b"\r\n").unwrap();
            let length = usize::from_str_radix(std::str::from_utf8(&rest[..head]).unwrap(), 16).unwrap();
            let chunk = &rest[head + 2..head + 2 + length];
            several += usize::from(chunk.iter().filter(|byte| **byte == b'\n').count() > 1);
            partial += usize::from(!chunk.ends_with(b"\n"));
            read.extend_from_slice(chunk);
            rest = &rest[head + 2 + length + 2..];
        }
        assert_eq!(read, plain);
        assert!(several + partial > 0 && several + partial <= 50, "{several} {partial}");
    }

    #[test]
    fn nothing_is_taken_behind_the_end() {
        let outbox = Outbox::default();
        for out in [Out::Message("a".to_owned()), Out::End, Out::Message("b".to_owned())] {
            outbox.push(out);
        }
        assert_eq!(outbox.take_all().len(), 2);
    }
}
