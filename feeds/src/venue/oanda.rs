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
// The front and the length of these; their text is compared beside it.
const KEY_TIMESTAMP: u64 = word("timestamp");
const KEY_TRADEABLE: u64 = word("tradeable");
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
                KEY_TIME => {
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
                    let mut after = at;
                    (slots[BID], slots[BID_LIQUIDITY]) = best(&mut after, emit, Side::Bid, depth)?;
                    at = after;
                    quoted = true;
                }
                KEY_ASKS => {
                    let mut after = at;
                    (slots[ASK], slots[ASK_LIQUIDITY]) = best(&mut after, emit, Side::Ask, depth)?;
                    at = after;
                    quoted = true;
                }
                KEY_VOLUME if self.wanted >> VOLUME & 1 != 0 => {
                    emit.fields.read_into(&mut slots[VOLUME], &mut at, FieldType::Integer, depth)?;
                }
                KEY_TIMESTAMP if key.text == b"timestamp" => {
                    let mut after = at;
                    time = read_time(&mut after, SECOND_NS, emit, depth)?;
                    at = after;
                }
                KEY_TRADEABLE | KEY_CLOSEOUT => at = self.further(key.text, at, &mut slots, emit, depth)?,
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

    /// A key that may be one of the rarer fields; returns the cursor behind its value.
    #[inline(never)]
    fn further<'a>(
        &self,
        key: &[u8],
        mut cursor: Cursor<'a>,
        slots: &mut [Slot<'a>; 9],
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Cursor<'a>, Undecodable> {
        let (slot, field) = match key {
            b"tradeable" => (TRADEABLE, FieldType::Boolean),
            b"closeoutBid" => (CLOSEOUT_BID, FieldType::Float),
            b"closeoutAsk" => (CLOSEOUT_ASK, FieldType::Float),
            _ => (slots.len(), FieldType::Float),
        };
        match slots.get_mut(slot).filter(|_| self.wanted >> slot & 1 != 0) {
            Some(to) => emit.fields.read_into(to, &mut cursor, field, depth)?,
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
        if !emit.stays(series, [&slots[BID], &slots[ASK]], flags) {
            emit.point(series, &self.plan, slots, VenueTime::new(time, UNIT_NS), flags);
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Bid,
    Ask,
}

/// Best price of `[{price, liquidity} …]` and what is there.
#[inline]
fn best<'a>(
    cursor: &mut Cursor<'a>,
    emit: &mut Emit<'_>,
    side: Side,
    depth: usize,
) -> Result<(Slot<'a>, Slot<'a>), Undecodable> {
    let mut best = (Slot::Empty, Slot::Empty);
    let Some(buckets) = read_array(cursor, depth)? else { return Ok(best) };
    let mut at = *cursor;
    for _ in 0..buckets {
        let Some(keys) = read_map(&mut at, depth + 1)? else { return Err(Undecodable::UnknownShape) };
        let (mut price, mut liquidity) = (Slot::Empty, Slot::Empty);
        for _ in 0..keys {
            match at.key()?.text {
                b"price" => emit.fields.read_into(&mut price, &mut at, FieldType::Float, depth + 2)?,
                b"liquidity" => liquidity = emit.fields.read(&mut at, FieldType::Integer, depth + 2)?,
                _ => at.skip(depth + 2)?,
            }
        }
        if !matches!(price, Slot::Empty) && (matches!(best.0, Slot::Empty) || is_better(side, price, best.0))
        {
            best = (price, liquidity);
        }
    }
    *cursor = at;
    Ok(best)
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
