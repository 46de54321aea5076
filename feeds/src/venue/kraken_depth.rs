//! `kraken_depth`: the complete top of a book as our publisher makes it, and REST Depth (WIRE.md). One point a
//! level; all levels of one update share one time.

use std::ops::Range;
use std::sync::Arc;

use tickline_config::model::FieldChoice;

use crate::counts::Undecodable;
use crate::cursor::Cursor;
use crate::emit::{Emit, VenueTime, flag};
use crate::field::{FieldPlan, Slot};
use crate::instruments::Instruments;
use crate::number::Digits;
use crate::quote::is_crossed;
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

const CHECKSUM: usize = 4;

/// The fields of a level, which waits for its other side: they borrow nothing, so that their memory is used again.
type Level = [Slot<'static>; 5];

/// Decimal texts of a level that no [`Slot`] holds by value, by their places in the payload; rare.
type Texts = [Range<usize>; 4];

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
    /// Levels of the book being read.
    levels: Vec<Level>,
    /// What of them is not in `levels`, up to the deepest level that has such texts.
    texts: Vec<Texts>,
    /// Levels beyond [`LEVELS_MAX`].
    beyond: usize,
}

impl KrakenDepth {
    /// Writes the fields of `choice`; the checksum comes with `all`, or by name.
    pub fn new(choice: &FieldChoice, instruments: Arc<Instruments>) -> Self {
        let plan = FieldPlan::new(&schema::KRAKEN_DEPTH, choice);
        Self {
            instruments,
            plan,
            pairs: Names::default(),
            levels: Vec::with_capacity(64),
            texts: Vec::new(),
            beyond: 0,
        }
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
        self.texts.clear();
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
        let mut at = *cursor;
        let Some(levels) = read_array(&mut at, depth)? else {
            *cursor = at;
            return Ok(());
        };
        for level in 0..levels as usize {
            let Some(items) = read_array(&mut at, depth + 1)? else { return Err(Undecodable::UnknownShape) };
            if level >= LEVELS_MAX {
                self.beyond = self.beyond.max(level + 1 - LEVELS_MAX);
                let mut after = at;
                after.skip_container(u64::from(items), depth + 1)?;
                at = after;
                continue;
            }
            match self.levels.get_mut(level) {
                Some(known) => forget(known, self.texts.get_mut(level), side),
                None => self.levels.push([Slot::Empty; 5]),
            }
            for slot in [2 * side, 2 * side + 1].into_iter().take(items as usize) {
                match Slot::plain(&mut at) {
                    Some(value) => self.put(level, slot, value),
                    None => at = self.read_odd(payload, at, (level, slot), emit, depth + 2)?,
                }
            }
            for _ in 2..items {
                at.skip(depth + 2)?;
            }
        }
        *cursor = at;
        Ok(())
    }

    #[inline]
    fn put(&mut self, level: usize, slot: usize, value: Slot<'static>) {
        if let Some(to) = self.levels.get_mut(level).and_then(|slots| slots.get_mut(slot)) {
            *to = value;
        }
    }

    /// A price or size that is no plain decimal; returns the cursor behind it.
    #[cold]
    #[inline(never)]
    fn read_odd<'a>(
        &mut self,
        payload: &[u8],
        mut cursor: Cursor<'a>,
        (level, slot): (usize, usize),
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Cursor<'a>, Undecodable> {
        let value = match emit.fields.read(&mut cursor, FieldType::Float, depth)? {
            Slot::Decimal(text) => {
                let end = payload.len() - cursor.left();
                if self.texts.len() <= level {
                    self.texts.resize(level + 1, Texts::default());
                }
                if let Some(to) = self.texts.get_mut(level).and_then(|texts| texts.get_mut(slot)) {
                    *to = end - text.len()..end;
                }
                Slot::Empty
            }
            Slot::Float(number) => Slot::Float(number),
            Slot::Whole(number) => Slot::Whole(number),
            _ => Slot::Empty,
        };
        self.put(level, slot, value);
        Ok(cursor)
    }

    #[inline(never)]
    fn emit(
        &mut self,
        payload: &[u8],
        name: &[u8],
        time: Option<i64>,
        checksum: Slot<'_>,
        emit: &mut Emit<'_>,
    ) {
        let Self { instruments, plan, pairs, levels, texts, beyond } = self;
        let mut pair = pairs.get(name, |name| {
            let (pair, known) = instruments.kraken(name);
            if !known {
                emit.tally.rare().unknown_instrument += 1;
            }
            let text = |part: std::borrow::Cow<'_, str>| Box::from(&*part);
            let (base, quote) = (text(pair.base), text(pair.quote));
            let mut pair = PairSeries { pair: text(pair.pair), base, quote, levels: Vec::new() };
            // A name without a series is not kept.
            pair.level(0, emit).map(|_| pair)
        });
        let at = VenueTime::new(time, UNIT_NS);
        if let (Some(best), Slot::Int(checksum)) = (levels.first_mut(), checksum) {
            best[CHECKSUM] = Slot::Int(checksum);
        }
        for (level, slots) in levels.iter().enumerate() {
            let series = pair.as_deref_mut().and_then(|pair| pair.level(level, emit));
            match texts.get(level) {
                None => emit.point(series, plan, slots, at, crossed(level, slots)),
                Some(texts) => {
                    let slots = with_texts(slots, texts, payload);
                    emit.point(series, plan, &slots, at, crossed(level, &slots));
                }
            }
        }
        (0..*beyond).for_each(|_| emit.bad_candidate());
    }
}

/// What came before of one side of a level is void.
#[inline]
fn forget(known: &mut Level, texts: Option<&mut Texts>, side: usize) {
    known.iter_mut().skip(2 * side).take(2).for_each(|slot| *slot = Slot::Empty);
    if let Some(texts) = texts {
        texts.iter_mut().skip(2 * side).take(2).for_each(|text| *text = 0..0);
    }
}

/// Flags of a level: only the best can be crossed in a sorted book.
#[inline]
fn crossed(level: usize, [bid, _, ask, ..]: &[Slot<'_>; 5]) -> u8 {
    if level == 0 && is_crossed(bid, ask) { flag::CROSSED } else { 0 }
}

#[cold]
#[inline(never)]
fn with_texts<'a>(slots: &Level, texts: &Texts, payload: &'a [u8]) -> [Slot<'a>; 5] {
    let mut all: [Slot<'a>; 5] = *slots;
    for (slot, bytes) in all.iter_mut().zip(texts) {
        if let Some(text) = payload.get(bytes.clone()).filter(|text| !text.is_empty()) {
            *slot = Slot::Decimal(text);
        }
    }
    all
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
