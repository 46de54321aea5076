//! Recordings as a publisher's source: looked through once for their span, then read again message by message and
//! merged by time, so that memory does not grow with the files.

use std::path::Path;

use tickline_feeds::clock::WallNanos;
use tickline_feeds::payload::{Decimals, PayloadWriter, Reserved};

use super::open::open;
use super::retime::retime;
use super::{Form, Message, Reader, ReplayError, ReplayPlan, SHIFT_UNIT_NS, Speed, TimeMode};
use crate::generator::Slot;
use crate::plan::FeedLoad;
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

impl Span {
    /// What several feeds hold together.
    pub fn whole(spans: &[Self]) -> Self {
        let start = spans.iter().filter_map(|span| span.start).min();
        let end_ns = |span: &Self| Some(span.start?.0.saturating_add_unsigned(span.recorded_ns));
        let end = spans.iter().filter_map(end_ns).max();
        let times = spans.iter().filter_map(|span| span.times);
        Self {
            messages: spans.iter().map(|span| span.messages).sum(),
            times: times.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1))),
            start,
            recorded_ns: start.zip(end).map_or(0, |(start, end)| end.saturating_sub(start.0).unsigned_abs()),
            passed_over: spans.iter().map(|span| span.passed_over).max().unwrap_or(0),
            torn_bytes: spans.iter().map(|span| span.torn_bytes).max().unwrap_or(0),
        }
    }

    /// Time from one round to the next: the recording and the mean distance of its messages, in whole milliseconds.
    pub(super) fn period_ns(&self) -> u64 {
        let gap_ns = self.recorded_ns / self.messages.saturating_sub(1).max(1);
        (self.recorded_ns + gap_ns).next_multiple_of(SHIFT_UNIT_NS.unsigned_abs()).max(1)
    }
}

/// Looks through the recordings of a plan, for each of its feeds.
pub fn scan(plan: &ReplayPlan) -> Result<Vec<Span>, ReplayError> {
    plan.feeds.iter().map(|feed| scan_feed(plan, feed)).collect()
}

fn scan_feed(plan: &ReplayPlan, feed: &FeedLoad) -> Result<Span, ReplayError> {
    let mut span = Span::default();
    let mut out = PayloadWriter::default();
    let mut files = Merged::open(plan, feed)?;
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
    if span.messages == 0 {
        return Err(ReplayError::NoMessage { feed: feed.feed.clone() });
    }
    for file in &files.files {
        let (messages, bytes) = file.reader.passed_over();
        span.passed_over += messages;
        span.torn_bytes += bytes;
    }
    Ok(span)
}

/// When each message of a recording that is of this feed came, ns after the first, and the bytes of its payload.
pub(crate) fn recorded(path: &Path, feed: &FeedLoad) -> Result<Vec<(u64, usize)>, ReplayError> {
    let mut reader = open(path, feed, Decimals::Text)?;
    let (mut messages, mut start, mut latest) = (Vec::new(), None, 0);
    while let Some(message) = reader.next()? {
        let Some(WallNanos(at)) = message.at else { continue };
        // One that came before its predecessor goes with it.
        latest = at.saturating_sub(*start.get_or_insert(at)).max(0).unsigned_abs().max(latest);
        messages.push((latest, message.payload.len()));
    }
    if messages.len() < 2 {
        return Err(ReplayError::NoMessage { feed: feed.feed.clone() });
    }
    Ok(messages)
}

/// One file and its next message.
struct File {
    reader: Box<dyn Reader>,
    next: Option<Message>,
    /// When that message, or the last one before it that has a time, came.
    at: i64,
}

impl File {
    fn read(&mut self) -> Result<Option<Message>, ReplayError> {
        let read = std::mem::replace(&mut self.next, self.reader.next()?);
        // A message that came before its predecessor goes with it: a file keeps its own order.
        if let Some(at) = self.next.as_ref().and_then(|next| next.at) {
            self.at = self.at.max(at.0);
        }
        Ok(read)
    }
}

/// The messages of several files, merged by the time at which they came; equal ones in the order of the files.
struct Merged {
    files: Vec<File>,
}

impl Merged {
    fn open(plan: &ReplayPlan, feed: &FeedLoad) -> Result<Self, ReplayError> {
        let mut files = Vec::with_capacity(plan.files.len());
        for path in &plan.files {
            let mut file = File { reader: open(path, feed, plan.decimals)?, next: None, at: i64::MIN };
            file.read()?;
            files.push(file);
        }
        Ok(Self { files })
    }

    fn next(&mut self) -> Result<Option<Message>, ReplayError> {
        let open = self.files.iter_mut().filter(|file| file.next.is_some());
        let Some(first) = open.min_by_key(|file| file.at) else { return Ok(None) };
        first.read()
    }
}

pub(super) struct Replayed {
    plan: ReplayPlan,
    feed: FeedLoad,
    files: Merged,
    waiting: Option<Message>,
    /// When the first message of all feeds came.
    start: WallNanos,
    period_ns: u64,
    /// Rounds begun before this one.
    round: u32,
    shift_ns: i64,
    due_ns: u64,
    messages: u64,
    moved: PayloadWriter,
}

impl Replayed {
    /// The `messages` of one feed; the start, and the time a round takes, are those of the `whole`.
    pub(super) fn new(
        plan: &ReplayPlan,
        feed: &FeedLoad,
        messages: u64,
        whole: &Span,
        shift_ns: i64,
    ) -> Result<Self, ReplayError> {
        Ok(Self {
            plan: plan.clone(),
            feed: feed.clone(),
            files: Merged::open(plan, feed)?,
            waiting: None,
            start: whole.start.unwrap_or_default(),
            period_ns: whole.period_ns(),
            round: 0,
            shift_ns,
            due_ns: 0,
            messages: messages * u64::from(plan.loops),
            moved: PayloadWriter::default(),
        })
    }

    /// The next message, of the next round if this one has ended.
    fn read(&mut self) -> Result<Option<Message>, ReplayError> {
        let message = self.files.next()?;
        if message.is_some() || self.round + 1 >= self.plan.loops {
            return Ok(message);
        }
        self.round += 1;
        if self.plan.time != TimeMode::Original {
            self.shift_ns = self.shift_ns.saturating_add_unsigned(self.period_ns);
        }
        self.files = Merged::open(&self.plan, &self.feed)?;
        self.files.next()
    }
}

impl Source for Replayed {
    /// A message that came before its predecessor, or has no time, goes with it.
    fn due(&mut self) -> Result<Due, LoadError> {
        if self.waiting.is_none() {
            self.waiting = self.read()?;
        }
        let Some(message) = &self.waiting else { return Ok(Due::Never) };
        let Speed::Times(times) = self.plan.speed else { return Ok(Due::AtOnce) };
        if let Some(at) = message.at {
            let after_ns = at.0.saturating_sub(self.start.0).max(0).unsigned_abs();
            let after_ns = after_ns + u64::from(self.round) * self.period_ns;
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

    fn lasts_ns(&self) -> u64 {
        match self.plan.speed {
            Speed::Times(times) => ((u64::from(self.plan.loops) * self.period_ns) as f64 / times) as u64,
            Speed::Max => 0,
        }
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
