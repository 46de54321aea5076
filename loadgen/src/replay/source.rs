//! Recordings as a publisher's source: looked through once for their span, then read again message by message, so
//! that memory does not grow with the file.

use std::path::PathBuf;

use tickline_config::model::DecoderKind;
use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::{Decimals, PayloadWriter, Reserved};

use super::open::open;
use super::retime::retime;
use super::{Form, Message, Reader, ReplayError, ReplayPlan, Speed};
use crate::generator::Slot;
use crate::publish::{Due, Source, Written};
use crate::result::LoadError;

/// What recordings hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Messages to publish.
    pub messages: u64,
    /// Earliest and latest venue time; none where the messages carry none.
    pub times: Option<(WallNanos, WallNanos)>,
    /// When the first message came.
    pub start: Option<WallNanos>,
    /// Time between the first and the last message, ns.
    pub recorded_ns: u64,
    /// Messages of other kinds, which are not published.
    pub passed_over: u64,
    /// Bytes behind the last whole record of torn captures.
    pub torn_bytes: u64,
}

/// Looks through the recordings of a plan.
pub fn scan(plan: &ReplayPlan) -> Result<Span, ReplayError> {
    let mut span = Span::default();
    let mut out = PayloadWriter::default();
    let mut files = Files::new(plan);
    while let Some(message) = files.next()? {
        out.clear();
        span.messages += 1;
        if let Some(at) = message.at {
            let start = *span.start.get_or_insert(at);
            span.recorded_ns = span.recorded_ns.max(at.0.saturating_sub(start.0).max(0).unsigned_abs());
        }
        if let Some(time) = retime(&message.payload, 0, &mut out).flatten() {
            let (first, last) = span.times.unwrap_or((time, time));
            span.times = Some((first.min(time), last.max(time)));
        }
    }
    (span.passed_over, span.torn_bytes) = files.passed_over;
    Ok(span)
}

/// The messages of several files, one after the other.
struct Files {
    paths: std::vec::IntoIter<PathBuf>,
    open: Option<Box<dyn Reader>>,
    feed: (String, DecoderKind),
    decimals: Decimals,
    passed_over: (u64, u64),
}

impl Files {
    fn new(plan: &ReplayPlan) -> Self {
        Self {
            paths: plan.files.clone().into_iter(),
            open: None,
            feed: (plan.feed.feed.clone(), plan.feed.kind),
            decimals: plan.decimals,
            passed_over: (0, 0),
        }
    }

    fn next(&mut self) -> Result<Option<Message>, ReplayError> {
        loop {
            if let Some(reader) = &mut self.open {
                if let Some(message) = reader.next()? {
                    return Ok(Some(message));
                }
                let (messages, bytes) = reader.passed_over();
                self.passed_over.0 += messages;
                self.passed_over.1 += bytes;
            }
            let Some(path) = self.paths.next() else { return Ok(None) };
            self.open = Some(open(&path, (&self.feed.0, self.feed.1), self.decimals)?);
        }
    }
}

pub(super) struct Replayed {
    files: Files,
    waiting: Option<Message>,
    speed: Speed,
    shift_ns: i64,
    start: WallNanos,
    due_ns: u64,
    messages: u64,
    moved: PayloadWriter,
}

impl Replayed {
    pub(super) fn new(plan: &ReplayPlan, span: &Span, shift_ns: i64) -> Self {
        Self {
            files: Files::new(plan),
            waiting: None,
            speed: plan.speed,
            shift_ns,
            start: span.start.unwrap_or_default(),
            due_ns: 0,
            messages: span.messages,
            moved: PayloadWriter::default(),
        }
    }
}

impl Source for Replayed {
    /// A message that came before its predecessor, or has no time, goes with it.
    fn due(&mut self) -> Result<Due, LoadError> {
        if self.waiting.is_none() {
            self.waiting = self.files.next()?;
        }
        let Some(message) = &self.waiting else { return Ok(Due::Never) };
        let Speed::Times(times) = self.speed else { return Ok(Due::AtOnce) };
        if let Some(at) = message.at {
            let after_ns = at.0.saturating_sub(self.start.0).max(0);
            self.due_ns = self.due_ns.max((after_ns as f64 / times) as u64);
        }
        Ok(Due::At(self.due_ns))
    }

    fn write(&mut self, slot: &Slot, out: &mut PayloadWriter) -> Written {
        let Some(message) = self.waiting.take() else { return Written::Foreign };
        self.moved.clear();
        if retime(&message.payload, self.shift_ns, &mut self.moved).is_none() {
            out.raw(&message.payload);
            return Written::Foreign;
        }
        let Some((keys, entries)) = entries(self.moved.bytes()).filter(|_| message.form != Form::Foreign)
        else {
            out.raw(self.moved.bytes());
            return Written::Foreign;
        };
        let is_first = message.form == Form::FirstOfMarket;
        let reserved = Reserved { src: slot.src, seq: slot.seq, tie: message.tie, ..Reserved::default() };
        out.begin(&reserved, keys + u16::from(is_first));
        if is_first {
            out.text("_first");
            out.bool(true);
        }
        out.raw(entries);
        let recorded = message.recv.0;
        Written::Numbered(WallNanos(if recorded == 0 { 0 } else { recorded.saturating_add(self.shift_ns) }))
    }

    fn planned(&self) -> Option<u64> {
        Some(self.messages)
    }
}

/// Number and bytes of a map's entries; none for another value, or a map too large for more keys.
fn entries(map: &[u8]) -> Option<(u16, &[u8])> {
    let (marker, rest) = map.split_first()?;
    let (keys, rest) = match marker {
        0x80..=0x8f => (u16::from(marker & 0x0f), rest),
        0xde => {
            let (keys, rest) = rest.split_first_chunk::<2>()?;
            (u16::from_be_bytes(*keys), rest)
        }
        _ => return None,
    };
    (keys <= u16::MAX - 16).then_some((keys, rest))
}
