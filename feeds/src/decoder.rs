//! One feed's decoder: payload in, finished lines out, in one pass. It owns what is common to all venues:
//! bundles, reserved keys, sequences, and that an undecodable frame leaves no line and no half count.

use std::sync::Arc;

use tickline_config::model::{DecoderKind, Feed, FieldChoice};

use crate::condition::PlacedCondition;
use crate::counts::{Counts, Undecodable};
use crate::deadband::Deadband;
use crate::emit::{Emit, Settings};
use crate::envelope::Envelope;
use crate::frame::Frame;
use crate::instruments::Instruments;
use crate::minutes::{MinuteTotal, Minutes};
use crate::news::{self, News};
use crate::schema::{self, Measurement};
use crate::scratch::Scratch;
use crate::sequence::{From, LedgerRow, SequencePoint, Sequences};
use crate::series::SeriesTable;
use crate::text::Text;
use crate::venue::Shape;

mod venue;

use venue::Venue;

mod resent;

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
    #[error("fields: must be one of {known}, found {found:?}")]
    UnknownField {
        /// As configured.
        found: String,
        /// All fields of the decoder.
        known: String,
    },
    /// `where` names a field that is not written.
    #[error("where: must name one of the fields written ({written}), found {found:?}")]
    ConditionField {
        /// As configured.
        found: String,
        /// Those of the feed.
        written: String,
    },
    /// `where` compares a field with a value of another type.
    #[error("where: must compare {field} with a value of its type, see tickline schema")]
    ConditionType {
        /// The field.
        field: String,
    },
    /// Decoder `custom` without its table.
    #[error("custom: must be there for decoder \"custom\"")]
    NoCustom,
    /// The predecessor sent no fields with `\x01` between them to this decoder.
    #[error("format: must be \"msgpack\" or \"json\", found \"x01\"")]
    NoLayout,
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
    venue: Venue,
    /// What makes msgpack of payloads that are text.
    text: Option<Text>,
    settings: Settings,
    series: SeriesTable,
    sequences: Sequences,
    counts: Counts,
    scratch: Scratch,
    /// Payload maps read so far.
    maps: u64,
    minutes: Minutes,
    fan_in: bool,
}

/// The measurements that a decoder writes.
pub const fn measurements(kind: DecoderKind) -> &'static [Measurement] {
    match kind {
        DecoderKind::KrakenTick => &[schema::KRAKEN_TICK],
        DecoderKind::KrakenDepth => &[schema::KRAKEN_DEPTH],
        DecoderKind::KrakenTrades => &[schema::KRAKEN_TRADES],
        DecoderKind::KrakenOrders => &[schema::KRAKEN_ORDERS],
        DecoderKind::OandaTick => &[schema::OANDA_TICK],
        DecoderKind::OandaOrders => &[schema::OANDA_ORDERS],
        DecoderKind::BetfairStream => {
            &[schema::BETFAIR_STREAM, schema::BETFAIR_MARKET, schema::BETFAIR_RUNNER]
        }
        DecoderKind::BetfairOrders => &[schema::BETFAIR_ORDERS],
        DecoderKind::TwitterSentiment => &[schema::TWITTER_SENTIMENT],
        DecoderKind::KrakenEurusdTick => &[schema::SYNTHETIC],
        DecoderKind::KrakenEurusdDepth => &[schema::SYNTHETIC_DEPTH],
        DecoderKind::Instruments => &[schema::INSTRUMENT],
        DecoderKind::Custom => &[],
    }
}

fn check_fields(feed: &Feed) -> Result<(), SpecError> {
    let FieldChoice::List(names) = &feed.fields else { return Ok(()) };
    let known = measurements(feed.decoder).iter().flat_map(|m| m.fields.iter().map(|f| f.name));
    let known: Vec<&str> = known.collect();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(found) if feed.decoder != DecoderKind::Custom => {
            Err(SpecError::UnknownField { found: found.clone(), known: known.join(", ") })
        }
        _ => Ok(()),
    }
}

impl Decoder {
    /// A decoder without history.
    pub fn new(spec: &DecoderSpec, instruments: Arc<Instruments>) -> Result<Self, SpecError> {
        let feed = &spec.feed;
        check_fields(feed)?;
        Ok(Self {
            venue: Venue::new(spec, instruments)?,
            text: Text::new(feed.format, feed.decoder)?,
            settings: Settings::new(feed),
            series: SeriesTable::new(feed.series_max).with_filter(&feed.filter),
            sequences: Sequences::new(feed.fan_in),
            counts: Counts::default(),
            scratch: Scratch::new(feed.deadband_ppm.map(Deadband::new), PlacedCondition::of(feed)?),
            maps: 0,
            minutes: Minutes::default(),
            fan_in: feed.fan_in,
        })
    }

    /// Decodes one frame and appends its lines. If the frame is undecodable, `lines` is as it was.
    pub fn decode(&mut self, frame: &Frame<'_>, lines: &mut Vec<u8>) -> Decoded {
        let mut emit = Emit::new(&mut self.scratch, &mut self.series, self.settings, frame.recv, self.maps);
        let result = if frame.oversized {
            emit.envelope.read_front(frame.payload);
            Err(Undecodable::Oversized)
        } else {
            let payload = match &mut self.text {
                None => Ok(frame.payload),
                Some(text) => text.to_msgpack(frame.topic, frame.payload),
            };
            payload.and_then(|payload| self.venue.payload(payload, &mut emit))
        };
        self.maps = emit.map();
        let envelope = emit.envelope;
        self.counts.frames += 1;
        if envelope.resend {
            let (tally, fields) = (emit.tally, emit.fields);
            return self.resent(frame, &envelope, result, (&tally, &fields), lines);
        }
        let class = match result {
            Ok(shape) => {
                let points = emit.tally.points_made as u32;
                self.counts.add(&emit.tally, &emit.fields);
                lines.extend_from_slice(self.scratch.lines());
                let class = if shape == Shape::Data { FrameClass::Points } else { FrameClass::Control };
                self.counts.decoded += u64::from(class == FrameClass::Points);
                self.counts.control += u64::from(class == FrameClass::Control);
                (class, points)
            }
            Err(why) => (self.discard(why), 0),
        };
        let seen_before = self.follow(frame, &envelope, u64::from(class.1));
        if !seen_before && class.1 > 0 {
            self.minutes.add(&self.scratch.minutes);
        }
        if envelope.event && class.0 == FrameClass::Control {
            self.hear(frame);
        }
        Decoded { class: class.0, points: class.1, sent: envelope.sent, due: envelope.due }
    }

    /// Nothing is written of an undecodable frame.
    #[cold]
    fn discard(&mut self, why: Undecodable) -> FrameClass {
        self.scratch.discard();
        self.venue.discard();
        if let Some(count) = self.counts.undecodable.get_mut(why as usize) {
            *count += 1;
        }
        FrameClass::Undecodable(why)
    }

    /// Whether the message was seen before.
    #[inline]
    fn follow(&mut self, frame: &Frame<'_>, envelope: &Envelope, points: u64) -> bool {
        let Frame { endpoint, topic, recv, .. } = *frame;
        let from = From { endpoint, topic, src: envelope.src, recv_ns: recv.0 };
        if !envelope.numbered || (envelope.seq == 0 && !envelope.silence) {
            self.counts.unsequenced += u64::from(!envelope.silence);
            return false;
        }
        if envelope.silence {
            self.sequences.span(from, envelope.seq, envelope.end, &mut self.counts);
            return false;
        }
        self.sequences.message(from, envelope.seq, points, &mut self.counts)
    }

    /// Keeps what an event says.
    #[cold]
    fn hear(&mut self, frame: &Frame<'_>) {
        // A payload that was decoded can be read again.
        let payload = self.text.as_ref().map_or(frame.payload, Text::msgpack);
        if let Ok((event, gap)) = news::read(payload, frame.recv.0) {
            self.sequences.news().extend([News::Event(event)].into_iter().chain(gap.map(News::Gap)));
        }
    }

    /// Says that `frames` frames of this feed were dropped between the last frame decoded and the next.
    pub fn announce_drops(&mut self, frames: u64) {
        self.sequences.announce_drops(frames);
    }

    /// Everything that the feed's next decoder continues; this one knows no source any more. The points a minute go
    /// along if they are of the same measurements.
    pub fn hand_over(&mut self, to: &mut Self, same_measurements: bool) {
        let own = std::mem::replace(&mut self.sequences, Sequences::new(false));
        to.sequences = own.with_fan_in(to.fan_in);
        if same_measurements {
            to.minutes = std::mem::take(&mut self.minutes);
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Series known so far.
    pub fn series(&self) -> usize {
        self.series.len()
    }

    /// What has happened since this was last emptied.
    #[inline]
    pub fn news(&mut self) -> &mut Vec<News> {
        self.sequences.news()
    }

    /// Calls `each` with a row for every source of which something is new, and counts it as told.
    pub fn ledger_rows(&mut self, each: impl FnMut(LedgerRow<'_>)) {
        self.sequences.ledger_rows(each);
    }

    /// Calls `each` with the points of every minute that has grown since it was last told.
    pub fn minute_rows(&mut self, each: impl FnMut(MinuteTotal)) {
        self.minutes.tell(each);
    }

    /// Where each source stands, for the state file.
    pub fn sequence_points(&self) -> Vec<SequencePoint> {
        self.sequences.points()
    }

    /// Calls `each` with topic, `_src` and last number of the sources that were heard since `mark`, and moves it.
    pub fn heard_since(&self, mark: &mut u64, each: impl FnMut(&Arc<str>, u32, u64)) {
        self.sequences.heard_since(mark, each);
    }

    /// Continues where the state file stood; before the first frame.
    pub fn resume_sequences(&mut self, points: &[SequencePoint]) {
        self.sequences.resume(points);
    }
}
