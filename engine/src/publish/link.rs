//! A connection that stands, whatever it is: messages come out one by one, texts go in, nothing waits.

use std::io::{self, Read, Write};
use std::os::fd::RawFd;

use crossbeam_channel::{Receiver, TryRecvError};
use tungstenite::{Message, WebSocket};

use super::http_body::Body;
use super::stream::Stream;

/// Longest line, bytes: the largest image of a venue many times over.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Read at once.
const READ_BYTES: usize = 64 * 1024;

/// A connection.
pub(super) enum Channel {
    Socket(Box<WebSocket<Stream>>),
    Lines(Box<Lines>),
    Bus(zmq::Socket),
    /// Lines of a thread that waits for them.
    Fed(Receiver<io::Result<Vec<u8>>>),
}

/// What came of looking for a message.
#[derive(Debug)]
pub(super) enum Came<'a> {
    Message(&'a [u8]),
    /// Not now.
    Nothing,
    /// Something that is not for the connector.
    Other,
}

/// One message in a buffer that is used again.
pub(super) struct Slot {
    text: tungstenite::Utf8Bytes,
    bytes: Vec<u8>,
    part: zmq::Message,
}

impl Default for Slot {
    fn default() -> Self {
        Self { text: tungstenite::Utf8Bytes::default(), bytes: Vec::new(), part: zmq::Message::new() }
    }
}

impl Channel {
    /// Its descriptor; none: it wakes by itself.
    pub(super) fn fd(&self) -> io::Result<Option<RawFd>> {
        Ok(match self {
            Channel::Socket(socket) => Some(socket.get_ref().fd()),
            Channel::Lines(lines) => Some(lines.stream.fd()),
            Channel::Bus(socket) => Some(socket.get_fd().map_err(io::Error::from)?),
            Channel::Fed(_) => None,
        })
    }

    /// The next message. An error is the end of the connection.
    pub(super) fn next<'a>(&'a mut self, slot: &'a mut Slot) -> io::Result<Came<'a>> {
        match self {
            Channel::Socket(socket) => match socket.read() {
                Ok(Message::Text(text)) => {
                    slot.text = text;
                    Ok(Came::Message(slot.text.as_bytes()))
                }
                Ok(Message::Close(frame)) => {
                    let why = frame.map_or_else(String::new, |frame| frame.to_string());
                    Err(io::Error::other(format!("closed by the venue {why}")))
                }
                Ok(_) => Ok(Came::Other),
                Err(tungstenite::Error::Io(error)) => nothing_yet(error),
                Err(error) => Err(io::Error::other(error)),
            },
            Channel::Lines(lines) => lines.next(),
            Channel::Bus(socket) => bus_message(socket, slot),
            Channel::Fed(lines) => match lines.try_recv() {
                Ok(line) => {
                    slot.bytes = line?;
                    Ok(Came::Message(&slot.bytes))
                }
                Err(TryRecvError::Empty) => Ok(Came::Nothing),
                Err(TryRecvError::Disconnected) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "ended")),
            },
        }
    }

    /// Sends a text, or a line.
    pub(super) fn send(&mut self, text: String) -> io::Result<()> {
        match self {
            Channel::Socket(socket) => later(socket.send(Message::text(text))),
            Channel::Lines(lines) => {
                lines.unsent.extend_from_slice(text.as_bytes());
                lines.unsent.extend_from_slice(b"\r\n");
                lines.flush()
            }
            Channel::Bus(_) | Channel::Fed(_) => Ok(()),
        }
    }

    /// Sends what could not be sent before.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Channel::Socket(socket) => later(socket.flush()),
            Channel::Lines(lines) => lines.flush(),
            Channel::Bus(_) | Channel::Fed(_) => Ok(()),
        }
    }
}

/// What the socket does not take now goes with the next flush.
fn later(sent: tungstenite::Result<()>) -> io::Result<()> {
    match sent {
        Ok(()) => Ok(()),
        Err(tungstenite::Error::Io(error)) => nothing_yet(error).map(drop),
        Err(error) => Err(io::Error::other(error)),
    }
}

fn nothing_yet<'a>(error: io::Error) -> io::Result<Came<'a>> {
    match error.kind() {
        io::ErrorKind::WouldBlock => Ok(Came::Nothing),
        io::ErrorKind::Interrupted => Ok(Came::Other),
        _ => Err(error),
    }
}

/// The payload behind the topic.
fn bus_message<'a>(socket: &zmq::Socket, slot: &'a mut Slot) -> io::Result<Came<'a>> {
    let mut parts = 0;
    let mut more = true;
    while more {
        match socket.recv(&mut slot.part, if parts == 0 { zmq::DONTWAIT } else { 0 }) {
            Ok(()) => {}
            Err(zmq::Error::EAGAIN) => return Ok(Came::Nothing),
            Err(zmq::Error::EINTR) if parts == 0 => return Ok(Came::Other),
            Err(error) => return Err(error.into()),
        }
        parts += 1;
        more = slot.part.get_more();
        if parts == 2 {
            slot.bytes.clear();
            slot.bytes.extend_from_slice(&slot.part);
        }
    }
    match (parts, tickline_feeds::framing::split_single(&slot.part)) {
        (1, Some((_, payload))) => {
            slot.bytes.clear();
            slot.bytes.extend_from_slice(payload);
            Ok(Came::Message(&slot.bytes))
        }
        (1, None) => Ok(Came::Other),
        _ => Ok(Came::Message(&slot.bytes)),
    }
}

/// Lines of a stream, and of the body in it.
pub(super) struct Lines {
    stream: Stream,
    body: Body,
    read: Vec<u8>,
    text: Vec<u8>,
    /// Start of what was not given out yet.
    at: usize,
    /// No line end stands before it.
    searched: usize,
    unsent: Vec<u8>,
}

impl Lines {
    /// Lines behind what was read of them already.
    pub(super) fn new(stream: Stream, mut body: Body, read_before: &[u8]) -> io::Result<Self> {
        let mut text = Vec::new();
        body.take(read_before, &mut text)?;
        let read = vec![0; READ_BYTES];
        Ok(Self { stream, body, read, text, at: 0, searched: 0, unsent: Vec::new() })
    }

    fn next(&mut self) -> io::Result<Came<'_>> {
        loop {
            let rest = self.text.get(self.searched..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', rest) {
                let line = self.at..self.searched + end;
                self.at = line.end + 1;
                self.searched = self.at;
                let line = self.text.get(line).unwrap_or_default();
                return Ok(Came::Message(line.strip_suffix(b"\r").unwrap_or(line)));
            }
            self.text.drain(..self.at);
            self.at = 0;
            self.searched = self.text.len();
            if self.text.len() > LINE_BYTES_MAX {
                return Err(io::Error::other("a line of more than 16 MiB"));
            }
            if self.body == Body::Ended {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, self.end()));
            }
            match self.stream.read(&mut self.read) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, self.end())),
                Ok(bytes) => self.body.take(self.read.get(..bytes).unwrap_or_default(), &mut self.text)?,
                Err(error) => return nothing_yet(error),
            }
        }
    }

    fn end(&self) -> String {
        match self.text.len() {
            0 => "closed by the venue".to_owned(),
            bytes => format!("closed by the venue inside a line, after {bytes} bytes of it"),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the socket takes what it can; the rest waits in `unsent`")]
    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(bytes) => drop(self.unsent.drain(..bytes)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match self.stream.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }
}
