//! `oanda_tick`: v20 PRICE and the predecessor's flat map (WIRE.md;
//! <https://developer.oanda.com/rest-live-v20/pricing-df/>). One point a price; the best price of a side is its
//! highest bid or lowest ask, since buckets come in no promised order.

use tickline_config::model::FieldChoice;

use crate::counts::Undecodable;
use crate::cursor::Cursor;
use crate::emit::{Emit, VenueTime};
use crate::field::{FieldPlan, Slot};
use crate::key::word;
use crate::number;
use crate::schema::{self, FieldType};
use crate::series::SeriesId;
use crate::venue::names::Names;
use crate::venue::{Shape, read_array, read_map, read_text, read_time};

/// OANDA's times are ns.
const UNIT_NS: i64 = 1;

const BID: usize = 0;
const ASK: usize = 1;
const BID_LIQUIDITY: usize = 2;
const ASK_LIQUIDITY: usize = 3;
const TRADEABLE: usize = 4;
const SPREAD: usize = 5;
const CLOSEOUT_BID: usize = 6;
const CLOSEOUT_ASK: usize = 7;
const VOLUME: usize = 8;

/// Times as numbers are seconds.
const SECOND_NS: i64 = 1_000_000_000;

const KEY_TYPE: u64 = word("type");
const KEY_STATUS: u64 = word("status");
const KEY_INSTRUMENT: u64 = word("instrument");
const KEY_TIME: u64 = word("time");
const KEY_BID: u64 = word("bid");
const KEY_BIDS: u64 = word("bids");
const KEY_ASK: u64 = word("ask");
const KEY_ASKS: u64 = word("asks");
const KEY_VOLUME: u64 = word("volume");
const KEY_PRICE: u64 = word("price");
// The front and the length of these; their text is compared beside it.
const KEY_TIMESTAMP: u64 = word("timestamp");
const KEY_TRADEABLE: u64 = word("tradeable");
const KEY_LIQUIDITY: u64 = word("liquidity");
const KEY_CLOSEOUT: u64 = word("closeoutBid");

/// The decoder of OANDA prices.
#[derive(Debug)]
pub struct Oanda {
    plan: FieldPlan,
    /// A bit for each slot that the plan writes.
    wanted: u32,
    instruments: Names<SeriesId>,
}

impl Oanda {
    /// Writes the fields of `choice`.
    pub fn new(choice: &FieldChoice) -> Self {
        let plan = FieldPlan::new(&schema::OANDA_TICK, choice);
        let wanted = (0..9).filter(|slot| plan.wants(*slot)).fold(0, |bits, slot| bits | 1 << slot);
        Self { plan, wanted, instruments: Names::default() }
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
        let mut slots = [Slot::Empty; 9];
        let (mut instrument, mut status, mut kind): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
        let (mut time, mut quoted) = (None, false);
        let mut at = *cursor;
        for _ in 0..entries {
            let key = at.key()?;
            match key.word {
                KEY_TYPE => kind = read_text(&mut at, depth)?,
                KEY_STATUS => status = read_text(&mut at, depth)?,
                KEY_INSTRUMENT if key.text == b"instrument" => instrument = read_text(&mut at, depth)?,
                KEY_TIME | KEY_TIMESTAMP if matches!(key.text, b"time" | b"timestamp") => {
                    // Only a copy's place is told to others, so that the cursor itself stays in registers.
                    let mut after = at;
                    time = read_time(&mut after, SECOND_NS, emit, depth)?;
                    at = after;
                }
                KEY_BID => {
                    emit.fields.read_into(&mut slots[BID], &mut at, FieldType::Float, depth)?;
                    quoted = true;
                }
                KEY_ASK => {
                    emit.fields.read_into(&mut slots[ASK], &mut at, FieldType::Float, depth)?;
                    quoted = true;
                }
                KEY_BIDS => {
                    let (mut after, mut bucket) = (at, Bucket::default());
                    best(&mut bucket, &mut after, emit, Side::Bid, depth)?;
                    (at, slots[BID], slots[BID_LIQUIDITY]) = (after, bucket.price, bucket.liquidity);
                    quoted = true;
                }
                KEY_ASKS => {
                    let (mut after, mut bucket) = (at, Bucket::default());
                    best(&mut bucket, &mut after, emit, Side::Ask, depth)?;
                    (at, slots[ASK], slots[ASK_LIQUIDITY]) = (after, bucket.price, bucket.liquidity);
                    quoted = true;
                }
                KEY_VOLUME if self.wanted >> VOLUME & 1 != 0 => {
                    emit.fields.read_into(&mut slots[VOLUME], &mut at, FieldType::Integer, depth)?;
                }
                KEY_TRADEABLE if key.text == b"tradeable" && self.wanted >> TRADEABLE & 1 != 0 => {
                    emit.fields.read_into(&mut slots[TRADEABLE], &mut at, FieldType::Boolean, depth)?;
                }
                KEY_CLOSEOUT if self.wanted >> CLOSEOUT_BID != 0 => {
                    at = self.closeout(key.text, at, &mut slots, emit, depth)?;
                }
                _ if key.is_reserved() => {
                    let mut after = at;
                    emit.envelope.read(key.text, &mut after)?;
                    at = after;
                }
                _ => at.skip(depth)?,
            }
        }
        *cursor = at;
        if emit.envelope.is_control() || kind == b"HEARTBEAT" {
            return Ok(Shape::Control);
        }
        if !(kind == b"PRICE" || kind.is_empty()) || (instrument.is_empty() && !quoted) {
            return Err(Undecodable::UnknownShape);
        }
        if matches!(slots[TRADEABLE], Slot::Empty) && !status.is_empty() {
            slots[TRADEABLE] = Slot::Bool(status == b"tradeable");
        }
        self.emit(instrument, &mut slots, time, emit);
        Ok(Shape::Data)
    }

    /// A key that may be one of the prices for closing out; returns the cursor behind its value.
    #[inline(never)]
    fn closeout<'a>(
        &self,
        key: &[u8],
        mut cursor: Cursor<'a>,
        slots: &mut [Slot<'a>; 9],
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Cursor<'a>, Undecodable> {
        let slot = match key {
            b"closeoutBid" => CLOSEOUT_BID,
            b"closeoutAsk" => CLOSEOUT_ASK,
            _ => slots.len(),
        };
        match slots.get_mut(slot).filter(|_| self.wanted >> slot & 1 != 0) {
            Some(to) => emit.fields.read_into(to, &mut cursor, FieldType::Float, depth)?,
            None => cursor.skip(depth)?,
        }
        Ok(cursor)
    }

    #[inline]
    fn emit(&mut self, name: &[u8], slots: &mut [Slot<'_>; 9], time: Option<i64>, emit: &mut Emit<'_>) {
        let flags = emit.crossed(&slots[BID], &slots[ASK]);
        if self.wanted >> SPREAD & 1 != 0 {
            slots[SPREAD] = spread(slots[BID], slots[ASK]);
        }
        let series = self.instruments.get(name, |name| {
            let (base, quote) = name.split_once('_').unwrap_or(("", ""));
            let tags: [(&str, &[u8]); 4] = [
                ("base", base.as_bytes()),
                ("exchange", b"oanda"),
                ("instrument", name.as_bytes()),
                ("quote", quote.as_bytes()),
            ];
            emit.series.intern(schema::OANDA_TICK.name, &tags)
        });
        let series = series.map(|id| *id);
        let halted = matches!(slots[TRADEABLE], Slot::Bool(false));
        if !emit.stays(series, [&slots[BID], &slots[ASK]], (flags, halted)) {
            emit.point(series, &self.plan, slots, VenueTime::new(time, UNIT_NS), flags);
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Bid,
    Ask,
}

/// One price and what is there.
#[derive(Clone, Copy, Default)]
struct Bucket<'a> {
    price: Slot<'a>,
    liquidity: Slot<'a>,
}

impl<'a> Bucket<'a> {
    /// Fills it from `{price, liquidity}`.
    #[inline]
    fn read(
        &mut self,
        cursor: &mut Cursor<'a>,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<(), Undecodable> {
        let Some(keys) = read_map(cursor, depth)? else { return Err(Undecodable::UnknownShape) };
        let mut at = *cursor;
        for _ in 0..keys {
            let key = at.key()?;
            match key.word {
                KEY_PRICE => emit.fields.read_into(&mut self.price, &mut at, FieldType::Float, depth + 1)?,
                KEY_LIQUIDITY if key.text == b"liquidity" => {
                    emit.fields.read_into(&mut self.liquidity, &mut at, FieldType::Integer, depth + 1)?;
                }
                _ => at.skip(depth + 1)?,
            }
        }
        *cursor = at;
        Ok(())
    }
}

/// The bucket with the best price of `[{price, liquidity} …]`.
#[inline(never)]
fn best<'a>(
    best: &mut Bucket<'a>,
    cursor: &mut Cursor<'a>,
    emit: &mut Emit<'_>,
    side: Side,
    depth: usize,
) -> Result<(), Undecodable> {
    let buckets = read_array(cursor, depth)?.unwrap_or(0);
    for at in 0..buckets {
        if at == 0 {
            best.read(cursor, emit, depth + 1)?;
            continue;
        }
        let mut other = Bucket::default();
        other.read(cursor, emit, depth + 1)?;
        let first = matches!(best.price, Slot::Empty);
        if !matches!(other.price, Slot::Empty) && (first || is_better(side, other.price, best.price)) {
            *best = other;
        }
    }
    if matches!(best.price, Slot::Empty) {
        *best = Bucket::default();
    }
    Ok(())
}

#[cold]
fn is_better(side: Side, price: Slot<'_>, than: Slot<'_>) -> bool {
    match (price.as_f64(), than.as_f64()) {
        (Some(price), Some(than)) => {
            (side == Side::Bid && price > than) || (side == Side::Ask && price < than)
        }
        _ => false,
    }
}

/// `ask - bid`, exactly: on scaled integers, from the text or from a float's shortest text.
fn spread<'a>(bid: Slot<'_>, ask: Slot<'_>) -> Slot<'a> {
    let units = |slot: Slot<'_>| match slot {
        Slot::Decimal(_) | Slot::Wide(..) => slot.scaled(),
        Slot::Whole(number) => Some((number, 0)),
        Slot::Float(number) => {
            let mut text = Vec::new();
            number::append_f64(&mut text, number);
            number::scaled(&text)
        }
        _ => None,
    };
    // Eighteen places are the most that an i64 writes out.
    let units = |slot| units(slot).filter(|(_, scale)| *scale <= 18);
    let (Some((bid, bid_scale)), Some((ask, ask_scale))) = (units(bid), units(ask)) else {
        return Slot::Empty;
    };
    let scale = bid_scale.max(ask_scale);
    if scale > number::SCALE_MAX {
        return Slot::Empty;
    }
    let difference = number::rescale(ask, ask_scale, scale)
        .zip(number::rescale(bid, bid_scale, scale))
        .and_then(|(ask, bid)| ask.checked_sub(bid));
    difference.map_or(Slot::Empty, |units| Slot::Scaled(units, scale))
}
