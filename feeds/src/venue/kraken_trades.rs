//! `kraken_trades`: WebSocket v2 `trade` messages or elements (WIRE.md;
//! <https://docs.kraken.com/api/docs/websocket-v2/trade>). One point a trade; the ordinal is `trade_id mod 1000`.

use std::sync::Arc;

use tickline_config::model::FieldChoice;

use crate::counts::Undecodable;
use crate::cursor::Cursor;
use crate::emit::{Emit, VenueTime};
use crate::field::{FieldPlan, Slot};
use crate::instruments::Instruments;
use crate::schema::{self, FieldType};
use crate::series::SeriesId;
use crate::venue::kraken_tick::snapshot_flag;
use crate::venue::names::Names;
use crate::venue::{Nested, Shape, read_array, read_map, read_text, read_time};

/// Kraken's times are µs, which leaves as many slots as `trade_id mod 1000` has values.
const UNIT_NS: i64 = 1_000;

const PRICE: usize = 0;
const QTY: usize = 1;
const TRADE_ID: usize = 2;
const ORD_TYPE: usize = 3;

/// The decoder of Kraken trades.
#[derive(Debug)]
pub struct KrakenTrades {
    instruments: Arc<Instruments>,
    plan: FieldPlan,
    /// Series of bought and sold, by symbol.
    pairs: Names<[SeriesId; 2]>,
}

#[derive(Default)]
struct Trade<'a> {
    slots: [Slot<'a>; 4],
    symbol: &'a [u8],
    side: &'a [u8],
    time: Option<i64>,
}

impl KrakenTrades {
    /// Writes the fields of `choice`.
    pub fn new(choice: &FieldChoice, instruments: Arc<Instruments>) -> Self {
        Self { instruments, plan: FieldPlan::new(&schema::KRAKEN_TRADES, choice), pairs: Names::default() }
    }

    /// One payload map of `entries` keys.
    pub fn map<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        entries: u32,
        emit: &mut Emit<'_>,
        depth: usize,
    ) -> Result<Shape, Undecodable> {
        let mut trade = Trade::default();
        let mut channel: &[u8] = &[];
        let (mut data, mut nested, mut control, mut flags) = (false, None, false, 0);
        for left in (0..entries).rev() {
            let key = cursor.key()?;
            match key.text {
                b"channel" => channel = read_text(cursor, depth)?,
                b"type" => flags = snapshot_flag(read_text(cursor, depth)?),
                b"method" => {
                    control = true;
                    cursor.skip(depth)?;
                }
                b"data" => nested = Some(Nested::at(cursor, left, depth)?),
                _ if key.is_reserved() => emit.envelope.read(key.text, cursor)?,
                _ => element_key(key.text, cursor, &mut trade, emit, depth)?,
            }
        }
        control |= emit.envelope.is_control() || matches!(channel, b"heartbeat" | b"status");
        if let Some(mut at) = nested {
            let at = at.cursor(cursor);
            data = match control {
                true => at.skip(depth).map(|()| false)?,
                false => self.data(at, channel, emit, flags, depth)?,
            };
        }
        if control {
            return Ok(Shape::Control);
        }
        if !trade.symbol.is_empty() || trade.slots.iter().any(|slot| *slot != Slot::Empty) {
            self.emit(&trade, emit, flags);
            data = true;
        }
        if data { Ok(Shape::Data) } else { Err(Undecodable::UnknownShape) }
    }

    fn data<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        channel: &[u8],
        emit: &mut Emit<'_>,
        flags: u8,
        depth: usize,
    ) -> Result<bool, Undecodable> {
        if !matches!(channel, b"trade" | b"") {
            cursor.skip(depth)?;
            return Ok(false);
        }
        let Some(elements) = read_array(cursor, depth)? else { return Ok(false) };
        for _ in 0..elements {
            let Some(entries) = read_map(cursor, depth + 1)? else { return Err(Undecodable::UnknownShape) };
            let mut trade = Trade::default();
            for _ in 0..entries {
                let key = cursor.key()?;
                element_key(key.text, cursor, &mut trade, emit, depth + 2)?;
            }
            self.emit(&trade, emit, flags);
        }
        Ok(true)
    }

    fn emit(&mut self, trade: &Trade<'_>, emit: &mut Emit<'_>, flags: u8) {
        let Self { instruments, plan, pairs } = self;
        let sides = pairs.get(trade.symbol, |name| resolve(name, instruments, emit));
        let series = match trade.side {
            b"buy" => sides.map(|[buy, _]| *buy),
            b"sell" => sides.map(|[_, sell]| *sell),
            _ => None,
        };
        let mut at = VenueTime::new(trade.time, UNIT_NS);
        if let (Slot::Int(id), Some(_)) = (trade.slots[TRADE_ID], trade.time) {
            at.own_ordinal = u32::try_from(id.rem_euclid(UNIT_NS)).ok();
        }
        emit.point(series, plan, &trade.slots, at, flags);
    }
}

#[cold]
fn resolve(name: &str, instruments: &Instruments, emit: &mut Emit<'_>) -> Option<[SeriesId; 2]> {
    let (pair, known) = instruments.kraken(name);
    if !known {
        emit.tally.rare().unknown_instrument += 1;
    }
    let mut series = |side: &str| {
        let tags: [(&str, &[u8]); 5] = [
            ("base", pair.base.as_bytes()),
            ("exchange", b"kraken"),
            ("pair", pair.pair.as_bytes()),
            ("quote", pair.quote.as_bytes()),
            ("side", side.as_bytes()),
        ];
        emit.series.intern(schema::KRAKEN_TRADES.name, &tags)
    };
    Some([series("buy")?, series("sell")?])
}

/// One key of a trade. The id is read even where it is not written, since it is the ordinal.
fn element_key<'a>(
    key: &[u8],
    cursor: &mut Cursor<'a>,
    trade: &mut Trade<'a>,
    emit: &mut Emit<'_>,
    depth: usize,
) -> Result<(), Undecodable> {
    let (slot, kind) = match key {
        b"symbol" => {
            trade.symbol = read_text(cursor, depth)?;
            return Ok(());
        }
        b"side" => {
            trade.side = read_text(cursor, depth)?;
            return Ok(());
        }
        b"timestamp" => {
            trade.time = read_time(cursor, 1_000_000_000, emit, depth)?;
            return Ok(());
        }
        b"price" => (PRICE, FieldType::Float),
        b"qty" => (QTY, FieldType::Float),
        b"trade_id" => (TRADE_ID, FieldType::Integer),
        b"ord_type" => (ORD_TYPE, FieldType::String),
        _ => return cursor.skip(depth),
    };
    let value = emit.fields.read(cursor, kind, depth)?;
    trade.slots.get_mut(slot).into_iter().for_each(|to| *to = value);
    Ok(())
}
