//! `kraken_tick`: WebSocket v2 `ticker` messages or elements, REST Ticker, and the predecessor's two forms
//! (WIRE.md; <https://docs.kraken.com/api/docs/websocket-v2/ticker>). One point a pair.

use std::sync::Arc;

use tickline_config::model::{FieldChoice, TimeUnit};

use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::emit::{Emit, VenueTime, flag, is_crossed};
use crate::field::{FieldPlan, Slot};
use crate::instruments::Instruments;
use crate::schema::{self, FieldType};
use crate::series::SeriesId;
use crate::venue::names::Names;
use crate::venue::{Nested, Shape, read_array, read_map, read_text, read_time};

/// Kraken's times are µs.
const UNIT_NS: i64 = 1_000;

const BID: usize = 0;
const BID_QTY: usize = 1;
const ASK: usize = 2;
const ASK_QTY: usize = 3;
const LAST: usize = 4;
const VOLUME: usize = 5;
const VWAP: usize = 6;
const LAST_QTY: usize = 7;
const VOLUME_TODAY: usize = 8;
const VWAP_TODAY: usize = 9;
const TRADES: usize = 10;
const TRADES_TODAY: usize = 11;
const LOW: usize = 12;
const LOW_TODAY: usize = 13;
const HIGH: usize = 14;
const HIGH_TODAY: usize = 15;
const OPEN: usize = 16;
const CHANGE: usize = 17;
const CHANGE_PCT: usize = 18;
/// Behind the schema's fields: whole lots, which only the predecessor's measurement has.
const ASK_WHOLE: usize = 19;
const BID_WHOLE: usize = 20;
const SLOTS: usize = 21;

/// For each field of the predecessor's measurement `tick` the slot that it is taken from.
const LEGACY: [usize; 19] = [
    ASK,
    ASK_WHOLE,
    ASK_QTY,
    BID,
    BID_WHOLE,
    BID_QTY,
    LAST,
    LAST_QTY,
    VOLUME_TODAY,
    VOLUME,
    VWAP_TODAY,
    VWAP,
    TRADES_TODAY,
    TRADES,
    LOW_TODAY,
    LOW,
    HIGH_TODAY,
    HIGH,
    OPEN,
];

/// Slots of REST's arrays by position, [`SLOTS`] where there is none. `a b` are (price, whole lots, lots), or
/// (price, lots) in old recordings; the others (price, lot) or (today, 24 hours).
const fn rest_slots(letter: u8, items: u32) -> [usize; 3] {
    match (letter, items) {
        (b'a', 3) => [ASK, ASK_WHOLE, ASK_QTY],
        (b'a', _) => [ASK, ASK_QTY, SLOTS],
        (b'b', 3) => [BID, BID_WHOLE, BID_QTY],
        (b'b', _) => [BID, BID_QTY, SLOTS],
        (b'c', _) => [LAST, LAST_QTY, SLOTS],
        (b'v', _) => [VOLUME_TODAY, VOLUME, SLOTS],
        (b'p', _) => [VWAP_TODAY, VWAP, SLOTS],
        (b't', _) => [TRADES_TODAY, TRADES, SLOTS],
        (b'l', _) => [LOW_TODAY, LOW, SLOTS],
        (b'h', _) => [HIGH_TODAY, HIGH, SLOTS],
        (b'o', _) => [OPEN, SLOTS, SLOTS],
        _ => [SLOTS; 3],
    }
}

/// The order of REST's arrays in the predecessor's list of nine.
const LIST_ORDER: [u8; 9] = *b"abcvptlho";

#[derive(Clone, Copy, Debug)]
struct PairSeries {
    tick: Option<SeriesId>,
    legacy: Option<SeriesId>,
}

/// The decoder of Kraken tickers.
#[derive(Debug)]
pub struct KrakenTick {
    instruments: Arc<Instruments>,
    plan: FieldPlan,
    legacy_plan: Option<FieldPlan>,
    /// A bit for each slot that one of the plans writes; what is not need not be read.
    reads: u32,
    pairs: Names<PairSeries>,
}

/// One ticker as far as it has been read.
struct Ticker<'a> {
    slots: [Slot<'a>; SLOTS],
    name: &'a [u8],
    time: Option<i64>,
}

impl Ticker<'_> {
    fn new() -> Self {
        Self { slots: [Slot::Empty; SLOTS], name: &[], time: None }
    }
}

impl KrakenTick {
    /// Writes the fields of `choice`; with `legacy` also measurement `tick`.
    pub fn new(choice: &FieldChoice, legacy: bool, instruments: Arc<Instruments>) -> Self {
        let legacy_plan = legacy.then(|| FieldPlan::new(&schema::LEGACY_TICK, &FieldChoice::All).at(1));
        let plan = FieldPlan::new(&schema::KRAKEN_TICK, choice);
        // Both prices decide about a flag, even where they are not written.
        let wanted = |slot: &usize| legacy || plan.wants(*slot) || matches!(*slot, BID | ASK);
        let reads = (0..SLOTS).filter(wanted).fold(0, |bits, slot| bits | 1 << slot);
        Self { instruments, plan, legacy_plan, reads, pairs: Names::default() }
    }

    /// One payload map of `entries` keys.
    #[inline]
    pub fn map<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        entries: u32,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Shape, Undecodable> {
        let mut ticker = Ticker::new();
        let mut channel: &[u8] = &[];
        let mut nested: Option<(bool, Nested<'a>)> = None;
        let (mut data, mut control, mut flags) = (false, false, 0);
        for left in (0..entries).rev() {
            let key = cursor.key()?;
            match key {
                b"channel" => channel = read_text(cursor, depth)?,
                b"method" => {
                    control = true;
                    cursor.skip(depth)?;
                }
                b"type" => flags = snapshot_flag(read_text(cursor, depth)?),
                b"error" => venue_error(cursor, depth)?,
                b"data" | b"result" => nested = Some((key == b"data", Nested::at(cursor, left, depth)?)),
                _ if key.first() == Some(&b'_') => emit.envelope.read(key, cursor)?,
                _ => self.element_key(key, cursor, &mut ticker, emit, depth)?,
            }
        }
        control |= emit.envelope.is_control() || matches!(channel, b"heartbeat" | b"status");
        if let Some((is_data, mut at)) = nested {
            let at = at.cursor(cursor);
            data = match (control, is_data) {
                (true, _) => at.skip(depth).map(|()| false)?,
                (false, true) => self.data(at, channel, emit, flags, depth)?,
                (false, false) => self.result(at, emit, depth)?,
            };
        }
        if control {
            return Ok(Shape::Control);
        }
        if !ticker.name.is_empty() || ticker.slots.iter().any(|slot| *slot != Slot::Empty) {
            self.emit(&ticker, emit, flags);
            data = true;
        }
        if data { Ok(Shape::Data) } else { Err(Undecodable::UnknownShape) }
    }

    /// The `data` array of a WebSocket message. Returns whether it was one of tickers.
    fn data<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        channel: &[u8],
        emit: &mut Emit<'_>,
        flags: u8,
        depth: usize,
    ) -> Result<bool, Undecodable> {
        if !matches!(channel, b"ticker" | b"") {
            cursor.skip(depth)?;
            return Ok(false);
        }
        let Some(elements) = read_array(cursor, depth)? else { return Ok(false) };
        for _ in 0..elements {
            let Some(entries) = read_map(cursor, depth + 1)? else { return Err(Undecodable::UnknownShape) };
            let mut ticker = Ticker::new();
            for _ in 0..entries {
                let key = cursor.key()?;
                self.element_key(key, cursor, &mut ticker, emit, depth + 2)?;
            }
            self.emit(&ticker, emit, flags);
        }
        Ok(true)
    }

    /// One key of a ticker element, or of the predecessor's flat map.
    #[inline]
    fn element_key<'a>(
        &self,
        key: &[u8],
        cursor: &mut Cursor<'a>,
        ticker: &mut Ticker<'a>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let slot = match key {
            b"symbol" | b"instrument" => {
                ticker.name = read_text(cursor, depth)?;
                return Ok(());
            }
            b"timestamp" => {
                ticker.time = read_time(cursor, TimeUnit::Seconds.nanos(), depth)?;
                return Ok(());
            }
            b"bid" => BID,
            b"bid_qty" => BID_QTY,
            b"ask" => ASK,
            b"ask_qty" => ASK_QTY,
            b"last" => LAST,
            b"volume" => VOLUME,
            b"vwap" => VWAP,
            b"low" => LOW,
            b"high" => HIGH,
            b"change" => CHANGE,
            b"change_pct" => CHANGE_PCT,
            _ => return cursor.skip(depth),
        };
        self.read_slot(slot, FieldType::Float, cursor, &mut ticker.slots, emit, depth)
    }

    #[inline]
    fn read_slot<'a>(
        &self,
        slot: usize,
        kind: FieldType,
        cursor: &mut Cursor<'a>,
        slots: &mut [Slot<'a>; SLOTS],
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        if self.reads >> slot & 1 == 0 {
            return cursor.skip(depth);
        }
        let Some(to) = slots.get_mut(slot) else { return cursor.skip(depth) };
        if kind == FieldType::Float
            && let Some(decimal) = emit.fields.wide_decimal(cursor)
        {
            *to = decimal;
            return Ok(());
        }
        *to = emit.fields.read(cursor, kind, depth)?;
        Ok(())
    }

    /// REST's `result`: pair name to ticker.
    fn result(
        &mut self,
        cursor: &mut Cursor<'_>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<bool, Undecodable> {
        let Some(pairs) = read_map(cursor, depth)? else { return Ok(false) };
        for _ in 0..pairs {
            let mut ticker = Ticker { name: cursor.key()?, ..Ticker::new() };
            match cursor.value()? {
                Value::Map(entries) => {
                    for _ in 0..entries {
                        let key = cursor.key()?;
                        let letter = if let [letter] = key { *letter } else { 0 };
                        self.rest_array(letter, cursor, &mut ticker, emit, depth + 2)?;
                    }
                }
                Value::Array(9) => {
                    for letter in LIST_ORDER {
                        self.rest_array(letter, cursor, &mut ticker, emit, depth + 2)?;
                    }
                }
                _ => return Err(Undecodable::UnknownShape),
            }
            self.emit(&ticker, emit, 0);
        }
        Ok(true)
    }

    /// One of REST's arrays; `o` may be one value.
    #[inline]
    fn rest_array<'a>(
        &self,
        letter: u8,
        cursor: &mut Cursor<'a>,
        ticker: &mut Ticker<'a>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let kind = if letter == b't' { FieldType::Integer } else { FieldType::Float };
        let start = *cursor;
        let items = match cursor.short_array() {
            Some(items) => items,
            None => match cursor.value()? {
                Value::Array(items) => items,
                _ => {
                    *cursor = start;
                    let slot = if letter == b'o' { OPEN } else { SLOTS };
                    return self.read_slot(slot, kind, cursor, &mut ticker.slots, emit, depth);
                }
            },
        };
        let slots = rest_slots(letter, items);
        for slot in slots.into_iter().take(items as usize) {
            self.read_slot(slot, kind, cursor, &mut ticker.slots, emit, depth + 1)?;
        }
        for _ in 3..items {
            cursor.skip(depth + 1)?;
        }
        Ok(())
    }

    #[inline]
    fn emit(&mut self, ticker: &Ticker<'_>, emit: &mut Emit<'_>, mut flags: u8) {
        let [bid, _, ask, ..] = ticker.slots;
        if is_crossed(bid, ask) {
            flags |= flag::CROSSED;
        }
        let at = VenueTime::new(ticker.time, UNIT_NS);
        let Self { instruments, plan, legacy_plan, pairs, .. } = self;
        let series = pairs.get(ticker.name, |name| resolve(name, instruments, legacy_plan.is_some(), emit));
        let (tick, legacy) = series.map_or((None, None), |pair| (pair.tick, pair.legacy));
        emit.point(tick, plan, &ticker.slots, at, flags);
        if let Some(plan) = legacy_plan {
            emit.point(legacy, plan, &legacy_slots(&ticker.slots), at, flags);
        }
    }
}

#[cold]
fn resolve(name: &str, instruments: &Instruments, legacy: bool, emit: &mut Emit<'_>) -> Option<PairSeries> {
    let (pair, known) = instruments.kraken(name);
    emit.tally.unknown_instrument += u64::from(!known);
    let (base, quote) = (pair.base.as_bytes(), pair.quote.as_bytes());
    let tags: [(&str, &[u8]); 4] =
        [("base", base), ("exchange", b"kraken"), ("pair", pair.pair.as_bytes()), ("quote", quote)];
    let tick = emit.series.intern(schema::KRAKEN_TICK.name, &tags)?;
    let tags: [(&str, &[u8]); 3] = [("base_ccy", base), ("instrument", name.as_bytes()), ("term_ccy", quote)];
    let legacy = if legacy { emit.series.intern(schema::LEGACY_TICK.name, &tags) } else { None };
    Some(PairSeries { tick: Some(tick), legacy })
}

/// The predecessor stored every field as a float.
fn legacy_slots<'a>(slots: &[Slot<'a>; SLOTS]) -> [Slot<'a>; 19] {
    LEGACY.map(|from| match slots.get(from).copied().unwrap_or_default() {
        Slot::Int(number) => Slot::Whole(number),
        other => other,
    })
}

/// Flag 1 for messages of type `snapshot`.
pub(crate) fn snapshot_flag(kind: &[u8]) -> u8 {
    if kind == b"snapshot" { flag::IMAGE } else { 0 }
}

/// REST's `error` array: empty, or the venue says error.
pub(crate) fn venue_error(cursor: &mut Cursor<'_>, depth: usize) -> Result<(), Undecodable> {
    match cursor.value()? {
        Value::Array(0) | Value::Nil => Ok(()),
        Value::Array(entries) => {
            cursor.skip_container(u64::from(entries), depth)?;
            Err(Undecodable::VenueError)
        }
        _ => Err(Undecodable::VenueError),
    }
}
