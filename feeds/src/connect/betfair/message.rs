//! What is read of a line of the stream before it is published as it is.

use std::borrow::Cow;

use serde::Deserialize;

use crate::clock::WallNanos;
use crate::connect::upstream::front;
use crate::venue::betfair::image::Part;

/// Betfair's times are ms.
const MILLI_NS: i64 = 1_000_000;

/// The keys beside the content.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head<'a> {
    #[serde(borrow, default)]
    pub(super) op: Cow<'a, str>,
    pub(super) id: Option<i64>,
    ct: Option<Cow<'a, str>>,
    segment_type: Option<Cow<'a, str>>,
    pub(super) initial_clk: Option<Cow<'a, str>>,
    pub(super) clk: Option<Cow<'a, str>>,
    pub(super) pt: Option<i64>,
    pub(super) conflate_ms: Option<u64>,
    pub(super) heartbeat_ms: Option<u64>,
    status: Option<i64>,
    status_code: Option<Cow<'a, str>>,
    error_code: Option<Cow<'a, str>>,
    error_message: Option<Cow<'a, str>>,
    pub(super) connection_closed: Option<bool>,
}

/// Which part of a message a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Whole,
    First,
    Middle,
    Last,
}

impl<'a> Head<'a> {
    /// Reads a line; the error is for people.
    pub(super) fn read(line: &'a [u8]) -> Result<(Self, &'a str), String> {
        let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
        serde_json::from_str(text).map(|head| (head, text)).map_err(|error| error.to_string())
    }

    pub(super) fn segment(&self) -> Segment {
        match self.segment_type.as_deref() {
            Some("SEG_START") => Segment::First,
            Some("SEG") => Segment::Middle,
            Some("SEG_END") => Segment::Last,
            _ => Segment::Whole,
        }
    }

    pub(super) fn is_heartbeat(&self) -> bool {
        self.ct.as_deref() == Some("HEARTBEAT")
    }

    /// What it is of the venue's whole state.
    pub(super) fn part(&self) -> Part {
        let segment = self.segment();
        Part {
            of_image: self.ct.as_deref() == Some("SUB_IMAGE"),
            starts: matches!(segment, Segment::Whole | Segment::First),
            ends: matches!(segment, Segment::Whole | Segment::Last),
        }
    }

    /// Whether the venue begins to tell its whole state.
    pub(super) fn begins_image(&self) -> bool {
        let part = self.part();
        part.of_image && part.starts
    }

    /// The venue says that its data are late.
    pub(super) fn is_suspect(&self) -> bool {
        self.status == Some(503)
    }

    /// When the venue sent it.
    pub(super) fn time(&self) -> Option<WallNanos> {
        self.pt.and_then(|ms| ms.checked_mul(MILLI_NS)).map(WallNanos)
    }

    /// Whether a `status` says yes.
    pub(super) fn is_success(&self) -> bool {
        self.status_code.as_deref() == Some("SUCCESS")
    }

    pub(super) fn error(&self) -> &str {
        self.error_code.as_deref().unwrap_or("UNEXPECTED_ERROR")
    }

    /// Code and words of an error.
    pub(super) fn said(&self) -> String {
        let words = front(self.error_message.as_deref().unwrap_or_default());
        if words.is_empty() { self.error().to_owned() } else { format!("{}: {words}", self.error()) }
    }
}
