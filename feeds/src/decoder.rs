//! One feed's decoder: payload in, finished lines out, in one pass. It owns what is common to all venues:
//! bundles, reserved keys, sequences, and that an undecodable frame leaves no line and no half count.

use std::sync::Arc;

use tickline_config::model::{DecoderKind, Feed, FieldChoice};

use crate::counts::{Counts, Undecodable};
use crate::cursor::{Cursor, Value};
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
use crate::venue::Shape;
use crate::venue::betfair::Betfair;
use crate::venue::custom::CustomFeed;
use crate::venue::kraken_depth::KrakenDepth;
use crate::venue::kraken_tick::KrakenTick;
use crate::venue::kraken_trades::KrakenTrades;
use crate::venue::oanda::Oanda;

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
    /// Decoder `custom` without its table.
    #[error("custom: must be there for decoder \"custom\"")]
    NoCustom,
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

#[derive(Debug)]
enum Venue {
    KrakenTick(KrakenTick),
    KrakenDepth(KrakenDepth),
    KrakenTrades(KrakenTrades),
    Oanda(Oanda),
    Betfair(Box<Betfair>),
    Custom(Box<CustomFeed>),
}

/// A decoder of one feed, owned by one encoder thread.
#[derive(Debug)]
pub struct Decoder {
    venue: Venue,
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
        DecoderKind::OandaTick => &[schema::OANDA_TICK],
        DecoderKind::BetfairStream => {
            &[schema::BETFAIR_STREAM, schema::BETFAIR_MARKET, schema::BETFAIR_RUNNER]
        }
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
        let fields = &feed.fields;
        let venue = match feed.decoder {
            DecoderKind::KrakenTick => {
                Venue::KrakenTick(KrakenTick::new(fields, spec.legacy_tick, instruments))
            }
            DecoderKind::KrakenDepth => Venue::KrakenDepth(KrakenDepth::new(fields, instruments)),
            DecoderKind::KrakenTrades => Venue::KrakenTrades(KrakenTrades::new(fields, instruments)),
            DecoderKind::OandaTick => Venue::Oanda(Oanda::new(fields)),
            DecoderKind::BetfairStream => Venue::Betfair(Box::new(Betfair::new(fields))),
            DecoderKind::Custom => {
                Venue::Custom(Box::new(CustomFeed::new(feed.custom.as_ref().ok_or(SpecError::NoCustom)?)))
            }
        };
        Ok(Self {
            venue,
            settings: Settings::new(feed),
            series: SeriesTable::new(feed.series_max),
            sequences: Sequences::new(feed.fan_in),
            counts: Counts::default(),
            scratch: Scratch::new(feed.deadband_ppm.map(Deadband::new)),
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
            self.venue.payload(frame.payload, &mut emit)
        };
        self.maps = emit.map();
        let envelope = emit.envelope;
        self.counts.frames += 1;
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
            Err(why) => {
                self.scratch.discard();
                if let Some(count) = self.counts.undecodable.get_mut(why as usize) {
                    *count += 1;
                }
                (FrameClass::Undecodable(why), 0)
            }
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
        if let Ok((event, gap)) = news::read(frame.payload, frame.recv.0) {
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

impl Venue {
    /// A map, or an array of maps: a bundle, whose reserved keys stand in its first map.
    #[inline]
    fn payload(&mut self, payload: &[u8], emit: &mut Emit<'_>) -> Result<Shape, Undecodable> {
        let mut cursor = Cursor::new(payload);
        let shape = match cursor.short_map().or_else(|| cursor.wide_map()) {
            Some(entries) => self.map(payload, &mut cursor, entries, emit, 1)?,
            None => self.long_payload(payload, &mut cursor, emit)?,
        };
        if cursor.left() > 0 { Err(Undecodable::Malformed) } else { Ok(shape) }
    }

    /// A bundle, or a map of an odd form.
    #[inline(never)]
    fn long_payload<'a>(
        &mut self,
        payload: &'a [u8],
        cursor: &mut Cursor<'a>,
        emit: &mut Emit<'_>,
    ) -> Result<Shape, Undecodable> {
        let maps = match cursor.value()? {
            Value::Map(entries) => return self.map(payload, cursor, entries, emit, 1),
            Value::Array(maps) if maps > 0 => maps,
            _ => return Err(Undecodable::NotAMap),
        };
        if matches!(self, Venue::Betfair(_)) {
            // Its ladders outlive the message: nothing is applied of one that is broken further on.
            Cursor::check(payload).inspect_err(|_| emit.envelope.read_front(payload))?;
        }
        let mut shape = Shape::Control;
        for _ in 0..maps {
            let Value::Map(entries) = cursor.value()? else { return Err(Undecodable::NotAMap) };
            if self.map(payload, cursor, entries, emit, 2)? == Shape::Data {
                shape = Shape::Data;
            }
        }
        Ok(shape)
    }

    #[inline(always)]
    fn map<'a>(
        &mut self,
        payload: &'a [u8],
        cursor: &mut Cursor<'a>,
        entries: u32,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Shape, Undecodable> {
        emit.begin_map();
        let entries = emit.envelope.read_ours(cursor, entries);
        match self {
            Venue::KrakenTick(venue) => venue.map(cursor, entries, emit, depth),
            Venue::KrakenDepth(venue) => venue.map(payload, cursor, entries, emit, depth),
            Venue::KrakenTrades(venue) => venue.map(cursor, entries, emit, depth),
            Venue::Oanda(venue) => venue.map(cursor, entries, emit, depth),
            Venue::Betfair(venue) => venue.map(payload, cursor, entries, emit, depth),
            Venue::Custom(venue) => venue.map(cursor, entries, emit, depth),
        }
    }
}
