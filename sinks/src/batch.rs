//! The batch: one buffer of finished lines, filled by one encoder, read by several sinks, then used again.
//! It travels as `Arc<Batch>`; the last sink to finish gives it back and [`reclaim`] makes it writable again,
//! so that a warm engine closes, clones and recycles batches without allocating.

use std::sync::Arc;

/// Send times of one message whose last line stands in this batch, ns; 0 where the message carries none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// `_ts`: when the publisher handed the message to ZeroMQ.
    pub sent: i64,
    /// `_due`: when the load generator should have sent it.
    pub due: i64,
}

/// Up to which message of one source everything is in this batch or those before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Feed.
    pub feed: Arc<str>,
    /// Endpoint of the feed, as configured.
    pub endpoint: Arc<str>,
    /// Topic as sent.
    pub topic: Arc<str>,
    /// `_src`
    pub src: u32,
    /// `_seq`
    pub last: u64,
}

/// Which batch it is: those of one lane are numbered in the order of their making, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchNumber {
    /// The encoder and the set of sinks.
    pub lane: u32,
    /// Position in the lane.
    pub number: u64,
}

/// Lines of one encoder, in order, each ended by a newline.
#[derive(Debug, Default)]
pub struct Batch {
    /// Finished line protocol.
    pub lines: Vec<u8>,
    /// Points in `lines`; a point is one line.
    pub points: u64,
    /// One a message, in order.
    pub marks: Vec<Mark>,
    /// The sources that have moved on since the batch before.
    pub positions: Vec<Position>,
    /// Which batch it is; none for one that was read from disk.
    pub number: Option<BatchNumber>,
}

impl Batch {
    /// An empty batch with room for `bytes` of lines and `messages` marks.
    pub fn with_capacity(bytes: usize, messages: usize) -> Self {
        let (lines, marks) = (Vec::with_capacity(bytes), Vec::with_capacity(messages));
        Self { lines, marks, ..Self::default() }
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.marks.clear();
        self.positions.clear();
        (self.points, self.number) = (0, None);
    }
}

/// The batch again, emptied, if no one else still reads it; a sink that finishes later brings it back.
pub fn reclaim(mut batch: Arc<Batch>) -> Option<Arc<Batch>> {
    Arc::get_mut(&mut batch)?.clear();
    Some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_comes_back_only_from_its_last_reader() {
        let first = Arc::new(Batch { lines: b"m v=1 1\n".to_vec(), points: 1, ..Batch::default() });
        let second = Arc::clone(&first);
        assert!(reclaim(first).is_none());
        let again = reclaim(second).unwrap();
        assert_eq!((again.lines.len(), again.points), (0, 0));
        assert!(again.lines.capacity() >= 8);
    }
}
