//! Frames: what came off a socket, before anyone has looked inside. A [`FrameBlock`] carries a burst of them
//! from the receiving thread to the encoder in one reused buffer: topic and payload are copied once, behind
//! each other, so that libzmq's receive arena is released at once and a warm block never allocates.
//! (Moving `zmq::Message` instead is measured beside it in bench group `channel`.)

use crate::clock::WallNanos;

/// One message, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Feed it belongs to: its position in the plan.
    pub feed: u16,
    /// Endpoint it came from: its position in the plan.
    pub endpoint: u16,
    /// When it was taken from the socket.
    pub recv: WallNanos,
    /// Topic as sent.
    pub topic: &'a [u8],
    /// Payload, cut to [`PAYLOAD_KEPT_BYTES`] if it was larger than the limit.
    pub payload: &'a [u8],
    /// Whether the payload was larger than `message_bytes_max` and is cut.
    pub oversized: bool,
}

/// What is kept of a payload larger than `message_bytes_max`.
pub const PAYLOAD_KEPT_BYTES: usize = 64 * 1024;

#[derive(Clone, Copy, Debug)]
struct Head {
    feed: u16,
    endpoint: u16,
    oversized: bool,
    recv: WallNanos,
    topic_bytes: u32,
    payload_bytes: u32,
}

/// A burst of frames in one buffer.
#[derive(Debug, Default)]
pub struct FrameBlock {
    heads: Vec<Head>,
    bytes: Vec<u8>,
}

impl FrameBlock {
    /// An empty block with room for `frames` frames of `bytes` in all.
    pub fn with_capacity(frames: usize, bytes: usize) -> Self {
        Self { heads: Vec::with_capacity(frames), bytes: Vec::with_capacity(bytes) }
    }

    /// Copies one frame to the end.
    pub fn push(&mut self, frame: &Frame<'_>) {
        self.bytes.extend_from_slice(frame.topic);
        self.bytes.extend_from_slice(frame.payload);
        self.heads.push(Head {
            feed: frame.feed,
            endpoint: frame.endpoint,
            oversized: frame.oversized,
            recv: frame.recv,
            topic_bytes: frame.topic.len() as u32,
            payload_bytes: frame.payload.len() as u32,
        });
    }

    /// Becomes a copy of another block, in the memory that it has.
    pub fn copy_from(&mut self, other: &Self) {
        self.heads.clone_from(&other.heads);
        self.bytes.clone_from(&other.bytes);
    }

    /// Sets the receive time of every frame: one clock read serves a burst.
    pub fn stamp(&mut self, recv: WallNanos) {
        for head in &mut self.heads {
            head.recv = recv;
        }
    }

    /// Frames in the block.
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Bytes of topics and payloads.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Empties the block and keeps its memory.
    pub fn clear(&mut self) {
        self.heads.clear();
        self.bytes.clear();
    }

    /// The frames, in order of receipt.
    pub fn frames(&self) -> impl Iterator<Item = Frame<'_>> {
        let mut rest = self.bytes.as_slice();
        self.heads.iter().map_while(move |head| {
            let (topic, tail) = rest.split_at_checked(head.topic_bytes as usize)?;
            let (payload, tail) = tail.split_at_checked(head.payload_bytes as usize)?;
            rest = tail;
            Some(Frame {
                feed: head.feed,
                endpoint: head.endpoint,
                recv: head.recv,
                topic,
                payload,
                oversized: head.oversized,
            })
        })
    }
}
