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
    /// The files that hold any, by their place among all, with when their first message came; in that order.
    pub(super) begins: Vec<(i64, usize)>,
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
            begins: Vec::new(),
        }
    }

    /// Counts a message.
    fn take(&mut self, message: &Message, out: &mut PayloadWriter) {
        self.messages += 1;
        out.clear();
        if let Some(time) = retime(&message.payload, 0, out).flatten() {
            let (first, last) = self.times.unwrap_or((time, time));
            self.times = Some((first.min(time), last.max(time)));
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

/// One file after the other: an archive may have more of them than a process may have open.
fn scan_feed(plan: &ReplayPlan, feed: &FeedLoad) -> Result<Span, ReplayError> {
    let mut span = Span::default();
    let (mut end, mut out) = (None, PayloadWriter::default());
    for (place, path) in plan.files.iter().enumerate() {
        let mut file = File::open(path, place, plan, feed)?;
        if file.next.is_some() {
            span.begins.push(file.key());
        }
        let mut start = None;
        while let Some(message) = file.read()? {
            span.take(&message, &mut out);
            start = start.or(message.at);
            end = end.max(message.at);
        }
        span.start = [span.start, start].into_iter().flatten().min();
        let (messages, bytes) = file.reader.passed_over();
        span.passed_over += messages;
        span.torn_bytes += bytes;
    }
    if span.messages == 0 {
        return Err(ReplayError::NoMessage { feed: feed.feed.clone() });
    }
    span.recorded_ns =
        span.start.zip(end).map_or(0, |(start, end)| end.0.saturating_sub(start.0).max(0).unsigned_abs());
    span.begins.sort_unstable();
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
    /// Its place among the files.
    place: usize,
}

impl File {
    fn open(path: &Path, place: usize, plan: &ReplayPlan, feed: &FeedLoad) -> Result<Self, ReplayError> {
        let reader = open(path, feed, plan.decimals)?;
        let mut file = Self { reader, next: None, at: i64::MIN, place };
        file.read()?;
        Ok(file)
    }

    /// What it is merged by.
    fn key(&self) -> (i64, usize) {
        (self.at, self.place)
    }

    fn read(&mut self) -> Result<Option<Message>, ReplayError> {
        let read = std::mem::replace(&mut self.next, self.reader.next()?);
        // A message that came before its predecessor goes with it: a file keeps its own order.
        if let Some(at) = self.next.as_ref().and_then(|next| next.at) {
            self.at = self.at.max(at.0);
        }
        Ok(read)
    }
}

/// The messages of several files, merged by the time at which they came; equal ones in the order of the files. A file
/// is open from its first message to its last.
struct Merged {
    open: Vec<File>,
    /// Those that have not begun yet, the next one last.
    later: Vec<(i64, usize)>,
}

impl Merged {
    fn new(begins: &[(i64, usize)]) -> Self {
        Self { open: Vec::new(), later: begins.iter().rev().copied().collect() }
    }

    fn next(&mut self, plan: &ReplayPlan, feed: &FeedLoad) -> Result<Option<Message>, ReplayError> {
        let first = self.open.iter().map(File::key).min();
        if let Some((_, place)) = self.later.pop_if(|later| first.is_none_or(|first| *later < first)) {
            let Some(path) = plan.files.get(place) else { return Ok(None) };
            self.open.push(File::open(path, place, plan, feed)?);
        }
        let first = self.open.iter_mut().enumerate().min_by_key(|(_, file)| file.key());
        let Some((at, file)) = first else { return Ok(None) };
        let message = file.read()?;
        if file.next.is_none() {
            self.open.swap_remove(at);
        }
        Ok(message)
    }
}

pub(super) struct Replayed {
    plan: ReplayPlan,
    feed: FeedLoad,
    begins: Vec<(i64, usize)>,
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
    /// What one feed has; the start, and the time a round takes, are those of the `whole`.
    pub(super) fn new(plan: &ReplayPlan, feed: &FeedLoad, span: &Span, whole: &Span, shift_ns: i64) -> Self {
        Self {
            plan: plan.clone(),
            feed: feed.clone(),
            begins: span.begins.clone(),
            files: Merged::new(&span.begins),
            waiting: None,
            start: whole.start.unwrap_or_default(),
            period_ns: whole.period_ns(),
            round: 0,
            shift_ns,
            due_ns: 0,
            messages: span.messages * u64::from(plan.loops),
            moved: PayloadWriter::default(),
        }
    }

    /// The next message, of the next round if this one has ended.
    fn read(&mut self) -> Result<Option<Message>, ReplayError> {
        let message = self.files.next(&self.plan, &self.feed)?;
        if message.is_some() || self.round + 1 >= self.plan.loops {
            return Ok(message);
        }
        self.round += 1;
        if self.plan.time != TimeMode::Original {
            self.shift_ns = self.shift_ns.saturating_add_unsigned(self.period_ns);
        }
        self.files = Merged::new(&self.begins);
        self.files.next(&self.plan, &self.feed)
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tickline_feeds::capture::{self, Record};

    use super::*;
    use crate::plan::Rate;

    #[test]
    fn a_file_is_open_only_while_its_messages_are_due() {
        let folder = tempfile::tempdir().unwrap();
        // Each file has 10 messages and reaches over the first 5 of the next one.
        let write = |file: i64| -> PathBuf {
            let mut bytes = Vec::new();
            capture::begin(&mut bytes);
            for message in 0..10 {
                let recv = WallNanos(1 + file * 5 + message);
                let payload = [&b"\x81\xa1n\xd3"[..], &recv.0.to_be_bytes()].concat();
                capture::append(&mut bytes, &Record { recv, topic: b"kraken_tick", payload: &payload })
                    .unwrap();
            }
            let path = folder.path().join(format!("{file:03}.cap"));
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let feed = FeedLoad::new("kraken_tick", "", Rate::Max).unwrap();
        let plan = ReplayPlan {
            files: (0..300).rev().map(write).collect(),
            feeds: vec![feed.clone()],
            loops: 1,
            speed: Speed::Max,
            time: TimeMode::Original,
            decimals: Decimals::Text,
            wait: false,
            wait_timeout: None,
            sndhwm: 1,
            door: None,
        };
        let span = scan(&plan).unwrap().remove(0);
        let mut files = Merged::new(&span.begins);
        let (mut times, mut open) = (Vec::new(), 0);
        while let Some(message) = files.next(&plan, &feed).unwrap() {
            times.push(message.at.unwrap().0);
            open = open.max(files.open.len());
        }
        assert_eq!((times.len(), span.messages, span.recorded_ns), (3_000, 3_000, 299 * 5 + 9));
        assert!(times.is_sorted());
        assert_eq!(open, 2);
    }
}
