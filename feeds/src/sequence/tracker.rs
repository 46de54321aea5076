//! One source: where it stands, what is known of it, and what of that is still to be told.

use std::sync::Arc;

use crate::news::{Cause, Gap};

/// Where one source stood when it was last seen; a row of the state file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SequencePoint {
    /// Endpoint: its position in the plan.
    pub endpoint: u16,
    /// Topic as sent.
    pub topic: String,
    /// `_src`
    pub src: u32,
    /// Highest number known to have been sent.
    pub last: u64,
    /// When it was last heard, ns since 1970.
    pub heard_ns: i64,
    /// It has said `_end`.
    pub ended: bool,
    /// `last` may lie behind what was received: the engine was killed.
    pub inexact: bool,
    /// What has been counted of it so far.
    pub figures: Figures,
    /// What no row of `tickline_ledger` has told yet.
    pub untold: Untold,
}

/// What is known of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Numbers received, each once.
    pub messages: u64,
    /// Points made of them.
    pub points: u64,
    /// Numbers missing, by our own drops or before.
    pub lost: u64,
    /// Numbers seen before.
    pub duplicate: u64,
    /// Numbers that came after higher ones and filled their hole.
    pub late: u64,
    /// Numbers of the largest hole.
    pub gap_max: u64,
    /// When the last hole was seen, ns since 1970; 0: never.
    pub gap_last_ns: i64,
}

/// Span and contents of the next row of `tickline_ledger`: `messages + lost = last - first + 1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Untold {
    /// First number of the span.
    pub first: u64,
    /// Numbers received.
    pub messages: u64,
    /// Numbers missing; less than 0 where late ones fill holes that were told before.
    pub lost: i64,
    /// Points made.
    pub points: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Hole {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) overload: bool,
}

/// What is missing before the first word of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// It has spoken.
    Heard,
    /// It follows another source: it began at 1.
    Restart,
    /// The engine was down.
    Down { inexact: bool },
}

#[derive(Debug)]
pub(super) struct Tracker {
    pub(super) topic: Arc<str>,
    pub(super) src: u32,
    pub(super) last: u64,
    /// When it was last heard, in words of this feed's sources.
    pub(super) heard: u64,
    pub(super) heard_ns: i64,
    pub(super) before: Before,
    pub(super) ended: bool,
    pub(super) holes: Vec<Hole>,
    pub(super) figures: Figures,
    /// What rows have told; what an earlier run had not told is subtracted.
    pub(super) told: Figures,
    pub(super) told_last: u64,
}

impl Tracker {
    pub(super) fn untold(&self) -> Untold {
        Untold {
            first: self.told_last + 1,
            messages: self.figures.messages.wrapping_sub(self.told.messages),
            lost: self.figures.lost.wrapping_sub(self.told.lost) as i64,
            points: self.figures.points.wrapping_sub(self.told.points),
        }
    }

    pub(super) fn gap(&self, seqs: (u64, u64), overload: bool, to_ns: i64) -> Gap {
        let (cause, inexact) = match self.before {
            _ if overload => (Cause::Overload, false),
            Before::Heard => (Cause::Zmq, false),
            Before::Restart => (Cause::PublisherRestart, false),
            Before::Down { inexact } => (Cause::EngineDown, inexact),
        };
        let src = self.src;
        let detail = if inexact { format!("source {src}, upper bound") } else { format!("source {src}") };
        let lost = (!inexact).then(|| (seqs.1 - seqs.0).saturating_add(1));
        let from_ns = if self.heard_ns == 0 { to_ns } else { self.heard_ns };
        Gap { cause, from_ns, to_ns, lost, seqs: Some(seqs), scope: self.topic.to_string(), detail }
    }
}

/// Who sends a message, and when it was received.
#[derive(Clone, Copy, Debug)]
pub struct From<'a> {
    /// Endpoint: its position in the plan.
    pub endpoint: u16,
    /// Topic as sent.
    pub topic: &'a [u8],
    /// `_src`
    pub src: u32,
    /// ns since 1970
    pub recv_ns: i64,
}

/// A row of `tickline_ledger`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerRow<'a> {
    /// Topic as sent.
    pub topic: &'a str,
    /// `_src`
    pub src: u32,
    /// Last number of the span.
    pub last: u64,
    /// The rest of it.
    pub of: Untold,
}
