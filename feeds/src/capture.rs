//! The capture format: raw frames with their receive times, as archive, quarantine, `record` and `replay` write
//! and read them. It promises that what was written whole is read back whole, whatever happened to the end of
//! the file. It refuses to know what is inside a payload.
//!
//! A file is the 8 bytes of [`MAGIC`] (the last one is the version) and then records, all integers little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | CRC-32C of everything behind it in this record |
//! | 4 | payload length |
//! | 2 | topic length |
//! | 8 | receive time, ns since 1970-01-01T00:00:00Z, signed |
//! | … | topic |
//! | … | payload |
//!
//! A record that ends too early or whose CRC does not fit ends the file: a writer that was stopped leaves such a
//! tail, and behind damage no length can be trusted.

use std::io::{self, Read};

use crate::clock::WallNanos;

/// First bytes of a capture: name and version 1.
pub const MAGIC: [u8; 8] = *b"TICKCAP\x01";

const CRC_BYTES: usize = 4;
const HEAD_BYTES: usize = CRC_BYTES + 4 + 2 + 8;

/// One frame of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When it was received.
    pub recv: WallNanos,
    /// Topic as sent.
    pub topic: &'a [u8],
    /// Payload as sent.
    pub payload: &'a [u8],
}

/// Why bytes are no capture, or cannot become one.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file does not start with [`MAGIC`].
    #[error("capture: must start with TICKCAP version 1, found {found:02x?}")]
    NotACapture {
        /// The first bytes.
        found: Vec<u8>,
    },
    /// Topic or payload is longer than the format can say.
    #[error("capture: a topic has at most 65535 bytes and a payload 4 GiB, found {topic} and {payload}")]
    TooLong {
        /// Bytes of the topic.
        topic: usize,
        /// Bytes of the payload.
        payload: usize,
    },
    /// The file cannot be read.
    #[error("capture: {0}")]
    Io(#[from] io::Error),
}

/// Starts a file in the caller's buffer.
pub fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
}

/// Appends one record to the caller's buffer; on an error the buffer is as it was.
pub fn append(out: &mut Vec<u8>, record: &Record<'_>) -> Result<(), CaptureError> {
    let (topic, payload) = (record.topic.len(), record.payload.len());
    let (Ok(topic_bytes), Ok(payload_bytes)) = (u16::try_from(topic), u32::try_from(payload)) else {
        return Err(CaptureError::TooLong { topic, payload });
    };
    let mut rest = [0; HEAD_BYTES - CRC_BYTES];
    for (to, from) in rest.iter_mut().zip(
        payload_bytes
            .to_le_bytes()
            .into_iter()
            .chain(topic_bytes.to_le_bytes())
            .chain(record.recv.0.to_le_bytes()),
    ) {
        *to = from;
    }
    out.extend_from_slice(&checksum(&rest, record.topic, record.payload).to_le_bytes());
    out.extend_from_slice(&rest);
    out.extend_from_slice(record.topic);
    out.extend_from_slice(record.payload);
    Ok(())
}

fn checksum(head: &[u8], topic: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(head), topic), payload)
}

/// Reads a capture record by record; memory for one record is all it keeps.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    record: Vec<u8>,
    left: Option<u64>,
}

impl<R: Read> Reader<R> {
    /// Checks the first bytes.
    pub fn new(mut inner: R) -> Result<Self, CaptureError> {
        let mut found = Vec::with_capacity(MAGIC.len());
        inner.by_ref().take(MAGIC.len() as u64).read_to_end(&mut found)?;
        if found != MAGIC {
            return Err(CaptureError::NotACapture { found });
        }
        Ok(Self { inner, record: Vec::new(), left: None })
    }

    /// The next whole record; none at the end of the file or where its torn tail begins.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, CaptureError> {
        if self.left.is_some() {
            return Ok(None);
        }
        self.record.clear();
        self.fill(HEAD_BYTES as u64)?;
        let Some(head) = Head::read(&self.record) else { return self.stop() };
        self.fill(u64::from(head.topic_bytes) + u64::from(head.payload_bytes))?;
        // Two looks at the bytes instead of one: a borrow that is returned must not be held where `stop` is called.
        if split(&self.record, &head).is_none() {
            return self.stop();
        }
        Ok(split(&self.record, &head))
    }

    /// Bytes behind the last whole record, known once [`Reader::next_record`] has returned none; 0 for a file
    /// that was closed properly.
    pub fn left(&self) -> u64 {
        self.left.unwrap_or(0)
    }

    fn fill(&mut self, bytes: u64) -> io::Result<()> {
        self.inner.by_ref().take(bytes).read_to_end(&mut self.record).map(drop)
    }

    fn stop(&mut self) -> Result<Option<Record<'_>>, CaptureError> {
        let unread = io::copy(&mut self.inner, &mut io::sink())?;
        self.left = Some(self.record.len() as u64 + unread);
        Ok(None)
    }
}

#[derive(Clone, Copy)]
struct Head {
    crc: u32,
    payload_bytes: u32,
    topic_bytes: u16,
    recv: i64,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (crc, rest) = bytes.split_first_chunk::<4>()?;
        let (payload, rest) = rest.split_first_chunk::<4>()?;
        let (topic, rest) = rest.split_first_chunk::<2>()?;
        let recv = rest.first_chunk::<8>()?;
        Some(Self {
            crc: u32::from_le_bytes(*crc),
            payload_bytes: u32::from_le_bytes(*payload),
            topic_bytes: u16::from_le_bytes(*topic),
            recv: i64::from_le_bytes(*recv),
        })
    }
}

fn split<'a>(record: &'a [u8], head: &Head) -> Option<Record<'a>> {
    let (bytes, rest) = record.split_at_checked(HEAD_BYTES)?;
    let (topic, payload) = rest.split_at_checked(usize::from(head.topic_bytes))?;
    let whole = payload.len() == head.payload_bytes as usize
        && checksum(bytes.get(CRC_BYTES..)?, topic, payload) == head.crc;
    whole.then_some(Record { recv: WallNanos(head.recv), topic, payload })
}

#[cfg(test)]
mod tests;
