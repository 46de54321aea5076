//! The quarantine: frames that could not be decoded, kept on disk for whoever asks why. Encoders hand them
//! over without waiting; the control thread writes them, in the capture format, up to a limit. What does not
//! fit is only counted.

use std::sync::Arc;

use tickline_feeds::counts::Undecodable;
use tickline_feeds::frame::Frame;

/// Undecodable frames that may wait for the control thread.
pub const SUSPECTS_MAX: usize = 64;

/// An undecodable frame on its way to disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Feed it belongs to.
    pub feed: u16,
    /// When it was received, ns.
    pub recv_ns: i64,
    /// Why it could not be decoded.
    pub reason: Undecodable,
    /// Topic as sent.
    pub topic: Arc<[u8]>,
    /// Payload, cut if it was too large.
    pub payload: Vec<u8>,
}

impl Suspect {
    /// A copy of the frame.
    pub fn new(frame: &Frame<'_>, reason: Undecodable) -> Self {
        Self {
            feed: frame.feed,
            recv_ns: frame.recv.0,
            reason,
            topic: frame.topic.into(),
            payload: frame.payload.to_vec(),
        }
    }
}
