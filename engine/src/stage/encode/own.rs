//! The rows that the engine writes itself about one feed, among the feed's own points: holes, events, what came
//! of each source, points a minute. Holes of one cause and source are told together, once a second: a publisher
//! that is too fast must not make a row a message.

use std::collections::VecDeque;
use std::sync::Arc;

use tickline_config::model::{DecoderKind, Feed};
use tickline_feeds::clock::{MonoNanos, WallNanos};
use tickline_feeds::decoder::{Decoder, measurements};
use tickline_feeds::minutes::MinuteTotal;
use tickline_feeds::news::{Event, Gap, News};
use tickline_feeds::schema::LEGACY_TICK;
use tickline_feeds::sequence::LedgerRow;

use crate::log_limit::LogLimit;

/// How long holes of one cause are gathered.
const GATHER_NS: u64 = 1_000_000_000;

/// Events of a feed in a second that are told one by one.
const EVENTS_MAX: usize = 32;

/// Holes of different sources that are gathered one by one.
const GAPS_MAX: usize = 64;

/// Times of the last rows that are remembered, so that no two rows of a series share one.
const TIMES_KEPT: usize = 256;

/// What publishers may say of their source, and what the engine says itself; anything else is told as `other`.
const KINDS: [&str; 14] = [
    "flood",
    "up",
    "down",
    "resync",
    "refused",
    "suspect",
    "clean",
    "maintenance",
    "gap",
    "publisher_restart",
    "silent",
    "heard_again",
    "no_data",
    "data_again",
];

/// Feeds of one run whose rows are told apart.
pub(super) const FEEDS_APART: i64 = 1_000;

/// What the rows of `tickline_points` of a run that began at `wall` have added to their minute, ns: less than a minute,
/// and another value for every ms of 13 hours.
pub fn run_ordinal(wall: WallNanos) -> i64 {
    (wall.0 / 1_000_000).rem_euclid(50_000_000) * FEEDS_APART
}

/// The engine's rows about one feed.
#[derive(Debug)]
pub(super) struct Own {
    feed: Arc<str>,
    instance: Arc<str>,
    /// What the decoder writes to, by position.
    measurements: Vec<String>,
    gathered: Vec<(MonoNanos, Gap)>,
    events: Vec<Event>,
    times: VecDeque<(Vec<u8>, i64)>,
    limit: LogLimit,
    event_limit: LogLimit,
    /// Since when events are counted, and how many have come since.
    told: (Option<MonoNanos>, usize),
    /// Events of that time beyond [`EVENTS_MAX`].
    untold: u64,
    /// What this run adds to the time of its rows of `tickline_points`, ns.
    ordinal: i64,
    row: Vec<u8>,
    /// Rows written so far.
    pub(super) points: u64,
}

/// The measurements that a feed writes to, in the order of its decoder.
fn measurement_names(feed: &Feed) -> Vec<String> {
    let legacy = (feed.decoder == DecoderKind::KrakenTick).then_some(&LEGACY_TICK);
    let of_venue = measurements(feed.decoder).iter().chain(legacy).map(|m| m.name.to_owned());
    feed.custom.iter().map(|custom| custom.measurement.clone()).chain(of_venue).collect()
}

impl Own {
    pub(super) fn new(feed: &Arc<str>, instance: &Arc<str>, config: &Feed, ordinal: i64) -> Self {
        Self {
            feed: Arc::clone(feed),
            instance: Arc::clone(instance),
            measurements: measurement_names(config),
            gathered: Vec::new(),
            events: Vec::new(),
            times: VecDeque::new(),
            limit: LogLimit::default(),
            event_limit: LogLimit::default(),
            told: (None, 0),
            untold: 0,
            ordinal,
            row: Vec::new(),
            points: 0,
        }
    }

    /// Whether another feed writes to the same measurements.
    pub(super) fn writes_the_same(&self, other: &Self) -> bool {
        self.measurements == other.measurements
    }

    /// Goes on with another feed's rows of `tickline_points`.
    pub(super) fn continue_minutes(&mut self, other: &Self) {
        self.ordinal = other.ordinal;
    }

    /// Takes in what a decoder has to tell.
    #[cold]
    pub(super) fn hear(&mut self, news: &mut Vec<News>, now: MonoNanos) {
        for news in news.drain(..) {
            match news {
                News::Event(event) => self.happened(event, now),
                News::Gap(gap) => self.gather(gap, now),
            }
        }
    }

    /// Something has happened to the feed. A flood of events is told by a few and their number.
    pub(super) fn happened(&mut self, event: Event, now: MonoNanos) {
        if self.told.0.is_none_or(|since| now.since(since) >= GATHER_NS) {
            self.told = (Some(now), 0);
        }
        self.told.1 += 1;
        if self.told.1 > EVENTS_MAX {
            self.untold += 1;
            return;
        }
        if let Some(suppressed) = self.event_limit.admit(now) {
            let more = suppressed.map_or_else(String::new, |n| format!(" (suppressed {n} such lines)"));
            let said = words(&[&event.kind, &event.scope, &event.detail]);
            match event.kind.as_str() {
                "up" | "clean" | "heard_again" | "data_again" => {
                    tracing::info!("{}: {said}{more}", self.feed)
                }
                _ => tracing::warn!("{}: {said}{more}", self.feed),
            }
        }
        self.events.push(event);
    }

    fn gather(&mut self, gap: Gap, now: MonoNanos) {
        let crowded = self.gathered.len() >= GAPS_MAX;
        let same = |(_, held): &&mut (MonoNanos, Gap)| {
            held.cause == gap.cause && (crowded || (&held.scope, &held.detail) == (&gap.scope, &gap.detail))
        };
        // Where there are too many, those of one cause are one.
        let Some((_, held)) = self.gathered.iter_mut().find(same) else {
            return self.gathered.push((now, gap));
        };
        if crowded && held.detail != gap.detail {
            "several sources".clone_into(&mut held.detail);
            held.seqs = None;
        }
        held.from_ns = held.from_ns.min(gap.from_ns);
        held.to_ns = held.to_ns.max(gap.to_ns);
        held.lost = held.lost.zip(gap.lost).map(|(held, more)| held.saturating_add(more));
        held.seqs = held.seqs.zip(gap.seqs).map(|(held, more)| (held.0.min(more.0), held.1.max(more.1)));
    }

    /// Whether something is to be written now.
    pub(super) fn is_due(&self, now: MonoNanos) -> bool {
        let ripe = self.gathered.first().is_some_and(|(since, _)| now.since(*since) >= GATHER_NS);
        let over = self.told.0.is_some_and(|since| now.since(since) >= GATHER_NS);
        ripe || !self.events.is_empty() || (over && self.untold > 0)
    }

    /// Writes events, and the holes that have been gathered for long enough; at the end of a run, all.
    pub(super) fn write_news(
        &mut self,
        now: MonoNanos,
        wall: WallNanos,
        end: bool,
        lines: &mut Vec<u8>,
    ) -> u64 {
        let mut rows = 0;
        if self.untold > 0 && (end || self.told.0.is_none_or(|since| now.since(since) >= GATHER_NS)) {
            let detail = format!("{} further events within a second", std::mem::take(&mut self.untold));
            self.events.push(Event {
                at_ns: wall.0,
                kind: "flood".to_owned(),
                scope: "*".to_owned(),
                detail,
            });
        }
        for event in std::mem::take(&mut self.events) {
            self.write_event(&event, lines);
            rows += 1;
        }
        let ripe =
            self.gathered.iter().take_while(|(since, _)| end || now.since(*since) >= GATHER_NS).count();
        for (_, gap) in self.gathered.drain(..ripe).collect::<Vec<_>>() {
            self.log(&gap, now);
            self.write_gap(&gap, lines);
            rows += 1;
        }
        self.points += rows;
        rows
    }

    /// Writes what came of each source since the last time, and the minutes that grew.
    pub(super) fn write_ledger(&mut self, decoder: &mut Decoder, now: WallNanos, lines: &mut Vec<u8>) -> u64 {
        let mut rows = 0;
        decoder.ledger_rows(|LedgerRow { topic, src, last, of }| {
            self.begin("tickline_ledger", &[]);
            self.text("topic", topic);
            self.int("src", u64::from(src));
            self.int("messages", of.messages);
            self.signed("lost", of.lost);
            self.int("points_made", of.points);
            self.int("seq_first", of.first);
            self.int("seq_last", last);
            // Rows of one moment are told apart by a ns each.
            self.finish(now.0.saturating_add(rows as i64), lines);
            rows += 1;
        });
        decoder.minute_rows(|MinuteTotal { measurement, minute_ns, points }| {
            let Some(name) = self.measurements.get(usize::from(measurement)).cloned() else { return };
            self.begin("tickline_points", &[("measurement", &name)]);
            self.int("points", points);
            // The same minute again takes the place of this run's earlier row, and of no other's.
            self.finish(minute_ns.saturating_add(self.ordinal), lines);
            rows += 1;
        });
        self.points += rows;
        rows
    }

    fn write_event(&mut self, event: &Event, lines: &mut Vec<u8>) {
        let known = KINDS.contains(&event.kind.as_str());
        self.begin("feed_event", &[("kind", if known { &event.kind } else { "other" })]);
        self.text("scope", &event.scope);
        if known {
            self.text("detail", &event.detail);
        } else {
            self.text("detail", &words(&[&event.kind, &event.detail]));
        }
        self.end(event.at_ns, lines);
    }

    fn write_gap(&mut self, gap: &Gap, lines: &mut Vec<u8>) {
        self.begin("feed_gap", &[("cause", gap.cause.name())]);
        self.signed("from_ns", gap.from_ns);
        self.signed("to_ns", gap.to_ns);
        if let Some(lost) = gap.lost {
            self.int("lost", lost);
        }
        if let Some((from, to)) = gap.seqs {
            self.int("from_seq", from);
            self.int("to_seq", to);
        }
        self.text("scope", &gap.scope);
        self.text("detail", &gap.detail);
        self.end(gap.from_ns, lines);
    }

    fn log(&mut self, gap: &Gap, now: MonoNanos) {
        let Some(suppressed) = self.limit.admit(now) else { return };
        let lost = gap.lost.map_or("an unknown number of".to_owned(), |lost| lost.to_string());
        let span_ms = gap.to_ns.saturating_sub(gap.from_ns) / 1_000_000;
        let more = suppressed.map_or_else(String::new, |n| format!(" (suppressed {n} such lines)"));
        tracing::warn!(
            "{}: {lost} messages lost, cause {}, in {span_ms} ms, {}{more}",
            self.feed,
            gap.cause.name(),
            words(&[&gap.scope, &gap.detail])
        );
    }

    /// Measurement and tags; `more` are those beside `feed` and `instance`, sorted by name.
    fn begin(&mut self, measurement: &str, more: &[(&str, &str)]) {
        self.row.clear();
        self.row.extend_from_slice(measurement.as_bytes());
        let own = [("feed", &*self.feed), ("instance", &*self.instance)];
        let mut tags: Vec<(&str, &str)> = own.into_iter().chain(more.iter().copied()).collect();
        tags.sort_unstable();
        for (name, value) in tags {
            self.row.extend_from_slice(format!(",{name}=").as_bytes());
            tickline_feeds::series::append_tag_value(&mut self.row, value.as_bytes());
        }
        self.row.push(b' ');
    }

    fn field(&mut self, text: &str) {
        self.row.extend_from_slice(text.as_bytes());
        self.row.push(b',');
    }

    /// Numbers out of the blue may be larger than the database holds.
    fn int(&mut self, name: &str, value: u64) {
        self.signed(name, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn signed(&mut self, name: &str, value: i64) {
        self.field(&format!("{name}={value}i"));
    }

    /// A text field, left out if it is empty.
    fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            let text: String =
                text.chars().map(|c| if c.is_control() || c == '\\' { ' ' } else { c }).collect();
            self.field(&format!("{name}=\"{}\"", text.replace('"', "\\\"")));
        }
    }

    /// Ends the row at the first free ns of its series from `time_ns` on.
    fn end(&mut self, time_ns: i64, lines: &mut Vec<u8>) {
        let series = self.row.split(|byte| *byte == b' ').next().unwrap_or_default().to_vec();
        let mut row = (series, time_ns);
        // As many tries as times are remembered find a free one.
        for _ in 0..TIMES_KEPT {
            if !self.times.contains(&row) {
                break;
            }
            row.1 = row.1.saturating_add(1);
        }
        if self.times.len() == TIMES_KEPT {
            self.times.pop_front();
        }
        self.finish(row.1, lines);
        self.times.push_back(row);
    }

    fn finish(&mut self, time_ns: i64, lines: &mut Vec<u8>) {
        self.row.pop();
        lines.extend_from_slice(&self.row);
        lines.extend_from_slice(format!(" {time_ns}\n").as_bytes());
    }
}

/// Those that are not empty, with a comma between them.
fn words(all: &[&str]) -> String {
    let some: Vec<&str> = all.iter().copied().filter(|text| !text.is_empty()).collect();
    some.join(", ")
}

#[cfg(test)]
pub(super) mod tests;
