//! `kraken_depth`: the complete top of a book as our publisher makes it, and REST Depth (WIRE.md). One point a
//! level; all levels of one update share one time.

use std::sync::Arc;

use tickline_config::model::FieldChoice;

use crate::counts::Undecodable;
use crate::cursor::Cursor;
use crate::emit::{Emit, VenueTime, flag, is_crossed};
use crate::field::{FieldCounts, FieldPlan, Slot};
use crate::instruments::Instruments;
use crate::number::Digits;
use crate::schema::{self, FieldType};
use crate::series::SeriesId;
use crate::venue::kraken_tick::venue_error;
use crate::venue::names::Names;
use crate::venue::{Nested, Shape, read_array, read_map, read_text, read_time};

/// Kraken's times are µs.
const UNIT_NS: i64 = 1_000;

/// Kraken's deepest book; deeper levels are bad points.
const LEVELS_MAX: usize = 1_000;

const BIDS: usize = 0;
const ASKS: usize = 1;

/// A price or size of a level that waits for the other side: one that borrows nothing, or text by its place in the
/// payload.
#[derive(Clone, Copy, Debug)]
enum Held {
    Slot(Slot<'static>),
    Text { start: u32, bytes: u32 },
}

impl Held {
    const EMPTY: Self = Held::Slot(Slot::Empty);

    /// The next value of `payload` as a price or size.
    #[inline]
    fn read(
        payload: &[u8],
        cursor: &mut Cursor<'_>,
        fields: &mut FieldCounts,
        depth: usize,
    ) -> Result<Self, Undecodable> {
        match Slot::plain(cursor) {
            Some(slot) => Ok(Held::Slot(slot)),
            None => Self::read_any(payload, cursor, fields, depth),
        }
    }

    #[cold]
    #[inline(never)]
    fn read_any(
        payload: &[u8],
        cursor: &mut Cursor<'_>,
        fields: &mut FieldCounts,
        depth: usize,
    ) -> Result<Self, Undecodable> {
        Ok(match fields.read(cursor, FieldType::Float, depth)? {
            Slot::Decimal(text) => {
                let start = payload.len() - cursor.left() - text.len();
                Held::Text { start: start as u32, bytes: text.len() as u32 }
            }
            Slot::Float(number) => Held::Slot(Slot::Float(number)),
            Slot::Whole(number) => Held::Slot(Slot::Whole(number)),
            _ => Held::EMPTY,
        })
    }

    #[inline]
    fn slot(self, payload: &[u8]) -> Slot<'_> {
        match self {
            Held::Slot(slot) => slot,
            Held::Text { start, bytes } => {
                let text = payload.get(start as usize..).and_then(|text| text.get(..bytes as usize));
                text.map_or(Slot::Empty, Slot::Decimal)
            }
        }
    }
}

#[derive(Debug)]
struct PairSeries {
    pair: Box<str>,
    base: Box<str>,
    quote: Box<str>,
    levels: Vec<Option<SeriesId>>,
}

/// The decoder of Kraken books.
#[derive(Debug)]
pub struct KrakenDepth {
    instruments: Arc<Instruments>,
    plan: FieldPlan,
    pairs: Names<PairSeries>,
    /// Levels of the book being read: bid, then ask, each price and size.
    levels: Vec<[[Held; 2]; 2]>,
    /// Levels beyond [`LEVELS_MAX`].
    beyond: usize,
}

impl KrakenDepth {
    /// Writes the fields of `choice`; the checksum comes with `all`, or by name.
    pub fn new(choice: &FieldChoice, instruments: Arc<Instruments>) -> Self {
        let plan = FieldPlan::new(&schema::KRAKEN_DEPTH, choice);
        Self { instruments, plan, pairs: Names::default(), levels: Vec::with_capacity(64), beyond: 0 }
    }

    /// One payload map of `entries` keys inside `payload`.
    #[inline(never)]
    pub fn map<'a>(
        &mut self,
        payload: &'a [u8],
        cursor: &mut Cursor<'a>,
        entries: u32,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Shape, Undecodable> {
        self.begin();
        let (mut symbol, mut time, mut checksum): (&[u8], _, _) = (&[], None, Slot::Empty);
        let (mut book, mut data, mut nested) = (false, false, None);
        for left in (0..entries).rev() {
            let key = cursor.key()?;
            match key.text {
                b"symbol" => symbol = read_text(cursor, depth)?,
                b"timestamp" => time = read_time(cursor, 1, emit, depth)?,
                b"checksum" => checksum = emit.fields.read(cursor, FieldType::Integer, depth)?,
                b"bids" => {
                    self.side(payload, cursor, BIDS, emit, depth)?;
                    book = true;
                }
                b"asks" => {
                    self.side(payload, cursor, ASKS, emit, depth)?;
                    book = true;
                }
                b"error" => venue_error(cursor, depth)?,
                b"result" => nested = Some(Nested::at(cursor, left, depth)?),
                _ if key.is_reserved() => emit.envelope.read(key.text, cursor)?,
                _ => cursor.skip(depth)?,
            }
        }
        let control = emit.envelope.is_control();
        if book && !control {
            self.emit(payload, symbol, time, checksum, emit);
        }
        if let Some(mut at) = nested {
            let at = at.cursor(cursor);
            data = match control {
                true => at.skip(depth).map(|()| false)?,
                false => self.result(payload, at, emit, depth)?,
            };
        }
        if control {
            return Ok(Shape::Control);
        }
        if book || data { Ok(Shape::Data) } else { Err(Undecodable::UnknownShape) }
    }

    /// REST's `result`: pair name to book. The levels' own stamps are not used.
    fn result<'a>(
        &mut self,
        payload: &'a [u8],
        cursor: &mut Cursor<'a>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<bool, Undecodable> {
        let Some(pairs) = read_map(cursor, depth)? else { return Ok(false) };
        for _ in 0..pairs {
            let name = cursor.key()?.text;
            let Some(keys) = read_map(cursor, depth + 1)? else { return Err(Undecodable::UnknownShape) };
            self.begin();
            for _ in 0..keys {
                match cursor.key()?.text {
                    b"bids" => self.side(payload, cursor, BIDS, emit, depth + 2)?,
                    b"asks" => self.side(payload, cursor, ASKS, emit, depth + 2)?,
                    _ => cursor.skip(depth + 2)?,
                }
            }
            self.emit(payload, name, None, Slot::Empty, emit);
        }
        Ok(true)
    }

    fn begin(&mut self) {
        self.levels.clear();
        self.beyond = 0;
    }

    /// One side, best first: `[[price, size, …] …]`.
    #[inline]
    fn side<'a>(
        &mut self,
        payload: &'a [u8],
        cursor: &mut Cursor<'a>,
        side: usize,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let Some(levels) = read_array(cursor, depth)? else { return Ok(()) };
        for level in 0..levels as usize {
            let Some(items) = read_array(cursor, depth + 1)? else { return Err(Undecodable::UnknownShape) };
            if level >= LEVELS_MAX {
                self.beyond = self.beyond.max(level + 1 - LEVELS_MAX);
                cursor.skip_container(u64::from(items), depth + 1)?;
                continue;
            }
            let mut held = [Held::EMPTY; 2];
            for to in held.iter_mut().take(items as usize) {
                *to = Held::read(payload, cursor, &mut emit.fields, depth + 2)?;
            }
            for _ in 2..items {
                cursor.skip(depth + 2)?;
            }
            if self.levels.len() <= level {
                self.levels.push([[Held::EMPTY; 2]; 2]);
            }
            if let Some(to) = self.levels.get_mut(level).and_then(|sides| sides.get_mut(side)) {
                *to = held;
            }
        }
        Ok(())
    }

    fn emit(
        &mut self,
        payload: &[u8],
        name: &[u8],
        time: Option<i64>,
        checksum: Slot<'_>,
        emit: &mut Emit<'_>,
    ) {
        let Self { instruments, plan, pairs, levels, beyond } = self;
        let mut pair = pairs.get(name, |name| {
            let (pair, known) = instruments.kraken(name);
            emit.tally.unknown_instrument += u64::from(!known);
            let text = |part: std::borrow::Cow<'_, str>| Box::from(&*part);
            let (base, quote) = (text(pair.base), text(pair.quote));
            let mut pair = PairSeries { pair: text(pair.pair), base, quote, levels: Vec::new() };
            // A name without a series is not kept.
            pair.level(0, emit).map(|_| pair)
        });
        let at = VenueTime::new(time, UNIT_NS);
        for (level, held) in levels.iter().enumerate() {
            let [[bid, bid_size], [ask, ask_size]] = held.map(|side| side.map(|held| held.slot(payload)));
            let checksum = if level == 0 { checksum } else { Slot::Empty };
            let slots = [bid, bid_size, ask, ask_size, checksum];
            // Only the best level can be crossed in a sorted book.
            let flags = if level == 0 && is_crossed(bid, ask) { flag::CROSSED } else { 0 };
            let series = pair.as_deref_mut().and_then(|pair| pair.level(level, emit));
            emit.point(series, plan, &slots, at, flags);
        }
        (0..*beyond).for_each(|_| emit.bad_candidate());
    }
}

impl PairSeries {
    #[inline]
    fn level(&mut self, level: usize, emit: &mut Emit<'_>) -> Option<SeriesId> {
        if let Some(known) = self.levels.get(level) {
            return *known;
        }
        self.new_level(level, emit)
    }

    #[cold]
    fn new_level(&mut self, level: usize, emit: &mut Emit<'_>) -> Option<SeriesId> {
        let number = Digits::of_unsigned(level as u64);
        let tags: [(&str, &[u8]); 5] = [
            ("base", self.base.as_bytes()),
            ("exchange", b"kraken"),
            ("level", number.as_bytes()),
            ("pair", self.pair.as_bytes()),
            ("quote", self.quote.as_bytes()),
        ];
        let series = emit.series.intern(schema::KRAKEN_DEPTH.name, &tags)?;
        self.levels.push(Some(series));
        Some(series)
    }
}
