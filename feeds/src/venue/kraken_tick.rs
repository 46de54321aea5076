//! `kraken_tick`: WebSocket v2 `ticker` messages or elements, REST Ticker, and the predecessor's two forms
//! (WIRE.md; <https://docs.kraken.com/api/docs/websocket-v2/ticker>). One point a pair.

use std::sync::Arc;

use tickline_config::model::{FieldChoice, TimeUnit};

use crate::counts::Undecodable;
use crate::cursor::{Cursor, Value};
use crate::emit::{Emit, VenueTime, flag};
use crate::field::{FieldPlan, Slot};
use crate::instruments::Instruments;
use crate::key::{Key, word};
use crate::schema::{self, FieldType};
use crate::series::SeriesId;
use crate::venue::names::Names;
use crate::venue::{Nested, Shape, read_array, read_map, read_text, read_time};

mod rest;

use rest::Arrays;

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

const KEY_CHANNEL: u64 = word("channel");
const KEY_METHOD: u64 = word("method");
const KEY_TYPE: u64 = word("type");
const KEY_ERROR: u64 = word("error");
const KEY_DATA: u64 = word("data");
const KEY_RESULT: u64 = word("result");
const KEY_SYMBOL: u64 = word("symbol");

/// The slot of a ticker's decimal, [`SLOTS`] where it has none.
#[inline]
fn ticker_slot(key: Key<'_>) -> usize {
    const KEY_BID: u64 = word("bid");
    const KEY_BID_QTY: u64 = word("bid_qty");
    const KEY_ASK: u64 = word("ask");
    const KEY_ASK_QTY: u64 = word("ask_qty");
    const KEY_LAST: u64 = word("last");
    const KEY_VOLUME: u64 = word("volume");
    const KEY_VWAP: u64 = word("vwap");
    const KEY_LOW: u64 = word("low");
    const KEY_HIGH: u64 = word("high");
    const KEY_CHANGE: u64 = word("change");
    match key.word {
        KEY_BID => BID,
        KEY_BID_QTY => BID_QTY,
        KEY_ASK => ASK,
        KEY_ASK_QTY => ASK_QTY,
        KEY_LAST => LAST,
        KEY_VOLUME => VOLUME,
        KEY_VWAP => VWAP,
        KEY_LOW => LOW,
        KEY_HIGH => HIGH,
        KEY_CHANGE => CHANGE,
        _ if key.text == b"change_pct" => CHANGE_PCT,
        _ => SLOTS,
    }
}

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
    rest: Arrays,
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
        Self { instruments, plan, legacy_plan, reads, rest: Arrays::new(reads), pairs: Names::default() }
    }

    /// One payload map of `entries` keys.
    #[inline(never)]
    pub fn map<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        entries: u32,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Shape, Undecodable> {
        let mut ticker: Option<Ticker<'a>> = None;
        let mut channel: &[u8] = &[];
        let mut nested: Option<(bool, Nested<'a>)> = None;
        let (mut data, mut control, mut flags) = (false, false, 0);
        for left in (0..entries).rev() {
            let key = cursor.key()?;
            match key.word {
                KEY_CHANNEL => channel = read_text(cursor, depth)?,
                KEY_METHOD => {
                    control = true;
                    cursor.skip(depth)?;
                }
                KEY_TYPE => flags = snapshot_flag(read_text(cursor, depth)?),
                KEY_ERROR => venue_error(cursor, depth)?,
                KEY_DATA => nested = Some((true, Nested::at(cursor, left, depth)?)),
                KEY_RESULT => nested = Some((false, Nested::at(cursor, left, depth)?)),
                _ if key.is_reserved() => emit.envelope.read(key.text, cursor)?,
                _ => self.flat_key(key, cursor, &mut ticker, emit, depth)?,
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
        let is_empty = |slot: &Slot<'_>| matches!(slot, Slot::Empty);
        if let Some(ticker) = ticker
            && !(ticker.name.is_empty() && ticker.slots.iter().all(is_empty))
        {
            self.emit(&ticker, emit, flags);
            data = true;
        }
        if data { Ok(Shape::Data) } else { Err(Undecodable::UnknownShape) }
    }

    /// The `data` array of a WebSocket message. Returns whether it was one of tickers.
    #[inline(never)]
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
            let mut at = *cursor;
            for _ in 0..entries {
                let key = at.key()?;
                self.element_key(key, &mut at, &mut ticker, emit, depth + 2)?;
            }
            *cursor = at;
            self.emit(&ticker, emit, flags);
        }
        Ok(true)
    }

    /// The same, out of the way of the messages that hold their tickers inside.
    #[inline(never)]
    fn flat_key<'a>(
        &self,
        key: Key<'a>,
        cursor: &mut Cursor<'a>,
        ticker: &mut Option<Ticker<'a>>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        self.element_key(key, cursor, ticker.get_or_insert_with(Ticker::new), emit, depth)
    }

    /// One key of a ticker element, or of the predecessor's flat map.
    #[inline(always)]
    fn element_key<'a>(
        &self,
        key: Key<'a>,
        cursor: &mut Cursor<'a>,
        ticker: &mut Ticker<'a>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let slot = ticker_slot(key);
        if slot < SLOTS {
            let slot = if self.reads >> slot & 1 != 0 { slot } else { SLOTS };
            return read_slot(slot, FieldType::Float, cursor, &mut ticker.slots, emit, depth);
        }
        if key.text == b"timestamp" {
            ticker.time = read_time(cursor, TimeUnit::Seconds.nanos(), emit, depth)?;
        } else if key.word == KEY_SYMBOL || key.text == b"instrument" {
            ticker.name = read_text(cursor, depth)?;
        } else {
            cursor.skip(depth)?;
        }
        Ok(())
    }

    #[inline]
    fn emit(&mut self, ticker: &Ticker<'_>, emit: &mut Emit<'_>, mut flags: u8) {
        let [bid, _, ask, ..] = &ticker.slots;
        flags |= emit.crossed(bid, ask);
        let at = VenueTime::new(ticker.time, UNIT_NS);
        let Self { instruments, plan, legacy_plan, pairs, .. } = self;
        let series = pairs.get(ticker.name, |name| resolve(name, instruments, legacy_plan.is_some(), emit));
        let (tick, legacy) = series.map_or((None, None), |pair| (pair.tick, pair.legacy));
        if !emit.stays(tick, [bid, ask], (flags, false)) {
            emit.point(tick, plan, &ticker.slots, at, flags);
        }
        if let Some(plan) = legacy_plan
            && !emit.stays(legacy, [bid, ask], (flags, false))
        {
            emit.point(legacy, plan, &legacy_slots(&ticker.slots), at, flags);
        }
    }
}

/// Reads a value into its slot; [`SLOTS`] is walked over.
#[inline(always)]
fn read_slot<'a>(
    slot: usize,
    kind: FieldType,
    cursor: &mut Cursor<'a>,
    slots: &mut [Slot<'a>; SLOTS],
    emit: &mut Emit<'_>,
    depth: usize,
) -> Result<(), Undecodable> {
    match slots.get_mut(slot) {
        Some(to) => emit.fields.read_into(to, cursor, kind, depth),
        None => cursor.skip(depth),
    }
}

#[cold]
fn resolve(name: &str, instruments: &Instruments, legacy: bool, emit: &mut Emit<'_>) -> Option<PairSeries> {
    let (pair, known) = instruments.kraken(name);
    if !known {
        emit.tally.rare().unknown_instrument += 1;
    }
    let (base, quote) = (pair.base.as_bytes(), pair.quote.as_bytes());
    let tags: [(&str, &[u8]); 4] =
        [("base", base), ("exchange", b"kraken"), ("pair", pair.pair.as_bytes()), ("quote", quote)];
    let tick = emit.series.intern(schema::KRAKEN_TICK.name, &tags)?;
    let tags: [(&str, &[u8]); 3] = [("base_ccy", base), ("instrument", name.as_bytes()), ("term_ccy", quote)];
    let legacy = if legacy { emit.series.intern_beside(tick, schema::LEGACY_TICK.name, &tags) } else { None };
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
    let mut none = *cursor;
    if none.short_array() == Some(0) {
        *cursor = none;
        return Ok(());
    }
    match cursor.value()? {
        Value::Array(0) | Value::Nil => Ok(()),
        Value::Array(entries) => {
            cursor.skip_container(u64::from(entries), depth)?;
            Err(Undecodable::VenueError)
        }
        _ => Err(Undecodable::VenueError),
    }
}
