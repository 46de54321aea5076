//! One feed's decoder: payload in, finished lines out, in one pass.

use std::sync::Arc;

use tickline_config::model::Feed;

use crate::counts::{Counts, Undecodable};
use crate::frame::Frame;
use crate::instruments::Instruments;
use crate::sequence::SequencePoint;

/// What a decoder is made from.
#[derive(Clone, Debug)]
pub struct DecoderSpec {
    /// `[feeds.NAME]`
    pub feed: Feed,
    /// `compat.legacy_tick`
    pub legacy_tick: bool,
}

/// Why a decoder cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// `fields` names what the schema does not have.
    #[error("fields: unknown field {found:?}, the schema has {known}")]
    UnknownField {
        /// As configured.
        found: String,
        /// All fields of the decoder.
        known: String,
    },
}

/// What became of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// What the frame was.
    pub class: FrameClass,
    /// Lines appended.
    pub points: u32,
    /// `_ts`, ns; 0 where absent.
    pub sent: i64,
    /// `_due`, ns; 0 where absent.
    pub due: i64,
}

/// What a frame was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameClass {
    /// Market data.
    Points,
    /// No point by design.
    Control,
    /// Nothing of it was written.
    Undecodable(Undecodable),
}

/// A decoder of one feed, owned by one encoder thread.
#[derive(Debug)]
pub struct Decoder {
    counts: Counts,
}

impl Decoder {
    /// A decoder without history.
    pub fn new(_spec: &DecoderSpec, _instruments: Arc<Instruments>) -> Result<Self, SpecError> {
        Ok(Self { counts: Counts::default() })
    }

    /// Decodes one frame and appends its lines. If the frame is undecodable, `lines` is as it was.
    pub fn decode(&mut self, _frame: &Frame<'_>, _lines: &mut Vec<u8>) -> Decoded {
        self.counts.frames += 1;
        self.counts.undecodable[Undecodable::UnknownShape as usize] += 1;
        Decoded { class: FrameClass::Undecodable(Undecodable::UnknownShape), points: 0, sent: 0, due: 0 }
    }

    /// Says that `frames` frames of this feed were dropped between the last frame decoded and the next.
    pub fn announce_drops(&mut self, _frames: u64) {}

    /// What was done so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Where each source stands, for the state file.
    pub fn sequence_points(&self) -> Vec<SequencePoint> {
        Vec::new()
    }

    /// Continues where the state file stood; before the first frame.
    pub fn resume_sequences(&mut self, _points: &[SequencePoint]) {}
}
